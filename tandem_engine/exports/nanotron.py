"""Nanotron: weights of sequences cut from joined documents, so of tokens."""

from tandem_engine.exports.base import Export, Exporter, as_yaml, exact, path
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import MixturePlan


def _nanotron(plan: MixturePlan, options: ExportOptions) -> Export:
    dataset = {
        "dataset_folder": [path(domain, options, "data/{slug}") for domain in plan.domains],
        "dataset_weights": exact([domain.token_share for domain in plan.domains]),
    }
    stage = {
        "name": "mixture",
        "start_training_step": 1,
        "data": {"dataset": dataset, "num_loading_workers": 1, "seed": plan.seed},
    }
    warnings = ["Nanoset repeats one pseudo-pass word for word, so it reads part of a large domain"]
    if len(plan.domains) == 1:
        warnings.append("with one folder Nanotron sets its weight to 1 by itself")
    return Export(
        files={"data_stages.yaml": as_yaml({"data_stages": [stage]})},
        usage=(
            "merge into the Nanotron configuration; folders hold datatrove's .ds files",
            f"the target is {plan.tokens} tokens; domains repeat without a warning",
        ),
        warnings=tuple(warnings),
    )


NANOTRON = Exporter(
    "nanotron",
    "Nanotron data stage",
    "tokens",
    "huggingface/nanotron 2411b022 src/nanotron/config/config.py, src/nanotron/data/nanoset.py",
    _nanotron,
)
