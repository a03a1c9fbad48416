"""Grain, MaxText and torchtitan, which mix with Grain: weights of elements.

Grain scales weights so that the smallest is 100 and cuts them to integers, which is wrong by up to
1 %; whole numbers above 100 pass unchanged. Its mixture ends with the first exhausted child, so
every child repeats.
"""

from tandem_engine.contracts.units import largest_remainder
from tandem_engine.errors import ExportRefusedError
from tandem_engine.exports.base import Export, Exporter, as_json, path, python_literal
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import MixturePlan

_PARTS = 1_000_000
_SMALLEST = 100

_GRAIN = '''"""The mixture @MIXTURE@ of documents, without end."""

import grain

SEED = @SEED@
# Documents of each domain per million.
WEIGHTS = @WEIGHTS@
ELEMENTS = @DOCUMENTS@
"""Documents that make the mixture once."""


def mixture(domains):
    """Return the mixture of `domains`, a grain.MapDataset (or a sequence) by name."""
    parts = []
    for place, name in enumerate(WEIGHTS):
        child = domains[name]
        if not isinstance(child, grain.MapDataset):
            child = grain.MapDataset.source(child)
        parts.append(child.seed(SEED + place).shuffle().repeat())
    return grain.MapDataset.mix(parts, weights=list(WEIGHTS.values()))
'''

_TORCHTITAN = '''"""The mixture @MIXTURE@: packed sequences are mixed, so weights are of tokens."""

from torchtitan.components.data.dataset import DatasetMixConfig, WeightedDataset

# domain: share of tokens
WEIGHTS = @WEIGHTS@


def mixture(packed):
    """Return the configuration; `packed` holds a packed, repeating dataset by domain."""
    return DatasetMixConfig(
        datasets=tuple(
            WeightedDataset(dataset=packed[name], weight=weight) for name, weight in WEIGHTS.items()
        )
    )
'''


def whole_weights(plan: MixturePlan) -> dict[str, int]:
    """Return documents of each domain per million.

    Raises:
        ExportRefusedError: one is below 100, where Grain would round it.
    """
    counts = largest_remainder([domain.document_share for domain in plan.domains], _PARTS)
    for domain, count in zip(plan.domains, counts, strict=True):
        if count < _SMALLEST:
            raise ExportRefusedError(
                f"domain {domain.name!r} has {domain.document_share:.3g} of the documents, below "
                "one in 10,000, which Grain would round",
                field="format",
                value="grain",
                hint="give the domain a minimum_share, or train on a materialised corpus",
            )
    return {domain.name: count for domain, count in zip(plan.domains, counts, strict=True)}


def _grain(plan: MixturePlan, options: ExportOptions) -> Export:
    del options
    script = (
        _GRAIN.replace("@MIXTURE@", plan.mixture_id)
        .replace("@SEED@", str(plan.seed))
        .replace("@WEIGHTS@", python_literal(whole_weights(plan)))
        .replace("@DOCUMENTS@", str(plan.documents))
    )
    return Export(
        files={"mixture.py": script},
        usage=(
            "from mixture import mixture; dataset = mixture({name: records, ...})",
            f"{plan.documents} elements are the mixture once",
        ),
    )


def _maxtext(plan: MixturePlan, options: ExportOptions) -> Export:
    weights = whole_weights(plan)
    places = [path(domain, options, "data/{slug}*.array_record") for domain in plan.domains]
    for place in places:
        if "," in place or ";" in place:
            raise ExportRefusedError(
                "MaxText splits paths at commas and semicolons",
                field="path_template",
                value=place,
                hint="write a path without them",
            )
    config = {
        domain.slug: {"path": place, "weight": weights[domain.name]}
        for domain, place in zip(plan.domains, places, strict=True)
    }
    epochs = max(domain.row_passes for domain in plan.domains)
    return Export(
        files={"mixture.json": as_json(config)},
        usage=(
            f"grain_train_mixture_config_path=mixture.json num_epoch={epochs}",
            "files are ArrayRecord with a document per record",
            (
                "the mixture ends with the first domain that is exhausted, so num_epoch is the "
                "most passes that any domain needs"
            ),
        ),
    )


def _torchtitan(plan: MixturePlan, options: ExportOptions) -> Export:
    del options
    weights = {domain.name: domain.token_share for domain in plan.domains}
    script = _TORCHTITAN.replace("@MIXTURE@", plan.mixture_id).replace(
        "@WEIGHTS@", python_literal(weights)
    )
    return Export(
        files={"mixture.py": script},
        usage=(
            "from mixture import mixture; config = mixture({name: packed dataset, ...})",
            (
                "pack below the mix: a mix of documents that are packed after it takes other "
                "weights (share_of_documents of the json export)"
            ),
        ),
    )


GRAIN = Exporter(
    "grain",
    "Grain MapDataset.mix",
    "documents",
    "google/grain f5dd0d8 grain/_src/python/dataset/transformations/mix.py; grain 0.2.18",
    _grain,
)
MAXTEXT = Exporter(
    "maxtext",
    "MaxText grain mixture",
    "documents",
    "AI-Hypercomputer/maxtext e591f30c src/maxtext/input_pipeline/grain_data_processing.py",
    _maxtext,
)
TORCHTITAN = Exporter(
    "torchtitan",
    "torchtitan DatasetMixConfig",
    "tokens",
    "pytorch/torchtitan b5bcd76c torchtitan/components/data/dataset.py",
    _torchtitan,
)
