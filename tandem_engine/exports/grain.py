"""Grain, MaxText and torchtitan, which mix with Grain: weights of elements.

Grain scales weights so that the smallest is 100 and cuts them to integers, in floating point: a
smallest weight of 49,100 may become 99, and its domain lose 1 %. Whole numbers of which the
smallest is 100 already pass unchanged. Its mixture ends with the first exhausted child, so every
child repeats.
"""

from collections.abc import Sequence

from tandem_engine.errors import ExportRefusedError
from tandem_engine.exports.base import Export, Exporter, as_json, path, python_literal
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import MixturePlan

_SMALLEST = 100
_TRIES = 1000

_GRAIN = '''"""The mixture @MIXTURE@ of documents, without end."""

import grain

SEED = @SEED@
# Documents of each domain for 100 of the rarest: the steps in which Grain weighs.
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

# domain: weight of a packed sequence, for 100 of the rarest; no other numbers survive rounding
WEIGHTS = @WEIGHTS@


def mixture(packed):
    """Return the configuration; `packed` holds a packed, repeating dataset by domain."""
    return DatasetMixConfig(
        datasets=tuple(
            WeightedDataset(dataset=packed[name], weight=weight) for name, weight in WEIGHTS.items()
        )
    )
'''


def whole_weights(shares: Sequence[float]) -> list[int]:
    """Return shares as whole numbers of which the smallest is 100, as Grain keeps them."""
    return [round(_SMALLEST * share / min(shares)) for share in shares]


def normalised_weights(shares: Sequence[float]) -> list[float]:
    """Return weights that come to `whole_weights` where they are normalised before Grain.

    What is cut off must not matter: others than the smallest lie in the middle between two whole
    numbers. Whether the smallest stays 100 hangs on the last bit of its quotients, so the largest
    is moved until it does.
    """
    counts = whole_weights(shares)
    weights = [float(n) if n == _SMALLEST else n + 0.5 for n in counts]
    largest = max(range(len(weights)), key=weights.__getitem__)
    for _ in range(_TRIES):
        total = sum(weights)
        parts = [weight / total for weight in weights]
        scale = _SMALLEST / min(parts)
        if [int(part * scale) for part in parts] == counts:
            break
        weights[largest] += 2.0**-12
    return weights


def _rounding(shares: Sequence[float]) -> str:
    counts = whole_weights(shares)
    worst = max(
        abs(count / sum(counts) / share - 1) for count, share in zip(counts, shares, strict=True)
    )
    return (
        f"Grain weighs in hundredths of the smallest share: shares are off by {worst:.2%} at most"
    )


def _grain(plan: MixturePlan, options: ExportOptions) -> Export:
    del options
    shares = [domain.document_share for domain in plan.domains]
    names = [domain.name for domain in plan.domains]
    weights = dict(zip(names, whole_weights(shares), strict=True))
    script = (
        _GRAIN.replace("@MIXTURE@", plan.mixture_id)
        .replace("@SEED@", str(plan.seed))
        .replace("@WEIGHTS@", python_literal(weights))
        .replace("@DOCUMENTS@", str(plan.documents))
    )
    return Export(
        files={"mixture.py": script},
        usage=(
            "from mixture import mixture; dataset = mixture({name: records, ...})",
            f"{plan.documents} elements are the mixture once",
            _rounding(shares),
        ),
    )


def _maxtext(plan: MixturePlan, options: ExportOptions) -> Export:
    shares = [domain.document_share for domain in plan.domains]
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
        domain.slug: {"path": place, "weight": weight}
        for domain, place, weight in zip(plan.domains, places, whole_weights(shares), strict=True)
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
            _rounding(shares),
        ),
    )


def _torchtitan(plan: MixturePlan, options: ExportOptions) -> Export:
    del options
    shares = [domain.token_share for domain in plan.domains]
    names = [domain.name for domain in plan.domains]
    weights = dict(zip(names, normalised_weights(shares), strict=True))
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
            _rounding(shares),
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
