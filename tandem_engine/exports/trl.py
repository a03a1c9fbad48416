"""TRL: fractions of rows. It never repeats: the smallest domain ends the mixture.

So a domain that is read several times is listed as often, each time with a part of its fraction,
and the whole is as long as it can be; TRL takes the first rows of each entry.
"""

from typing import Any

from tandem_engine.exports.base import Export, Exporter, as_yaml, builder, exact, paths
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import MixturePlan


def _trl(plan: MixturePlan, options: ExportOptions) -> Export:
    entries: list[dict[str, Any]] = []
    fractions: list[float] = []
    for domain in plan.domains:
        files = list(paths(domain, options, "data/{slug}.jsonl"))
        for _ in range(domain.row_passes):
            entries.append(
                {
                    "path": builder(files[0]),
                    "data_files": files if len(files) > 1 else files[0],
                    "split": "train",
                }
            )
            fractions.append(domain.document_share / domain.row_passes)
    for entry, fraction in zip(entries, exact(fractions), strict=True):
        entry["fraction"] = fraction
    rows = round(plan.documents * min(d.row_passes / d.row_epochs for d in plan.domains))
    warnings = [
        "TRL takes the first rows of a file: shuffle the files first if they are sorted",
    ]
    repeated = [domain.name for domain in plan.domains if domain.row_passes > 1]
    if repeated:
        warnings.append(
            f"{', '.join(map(repr, repeated))}: listed once per pass, and each pass takes the same "
            "rows"
        )
    return Export(
        files={"mixture.yaml": as_yaml({"datasets": entries, "streaming": False})},
        usage=(
            (
                "trl sft --config mixture.yaml; needs TRL 1.8 or newer, older releases refuse "
                "`fraction`"
            ),
            (
                f"the mixture has about {rows} rows, of which the target is {plan.documents}: set "
                "max_steps to that divided by the batch size"
            ),
        ),
        warnings=tuple(warnings),
    )


TRL = Exporter(
    "trl",
    "TRL dataset mixture",
    "documents",
    "huggingface/trl f2cd5771 trl/scripts/utils.py; trl 1.16.0",
    _trl,
)
