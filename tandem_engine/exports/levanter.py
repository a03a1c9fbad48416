"""Levanter and Marin: weights are cut to whole sequences of a block, so the block is chosen here.

A weight below one sequence per block is 0 there with only a warning. The block is a power of two
and every weight a multiple of its inverse, so that their arithmetic is exact.
"""

from typing import Any

from tandem_engine.contracts.units import largest_remainder
from tandem_engine.errors import ExportRefusedError
from tandem_engine.exports.base import Export, Exporter, as_yaml, paths
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import MixturePlan

_SMALLEST_BLOCK, _LARGEST_BLOCK = 2048, 32_768
_SEQUENCES_OF_SMALLEST = 20  # so that rounding changes no share by more than 2.5 %


def block_size(shares: list[float]) -> int:
    """Return a power of two in which the smallest share is 20 sequences or more, up to 32,768."""
    size = _SMALLEST_BLOCK
    while size < _LARGEST_BLOCK and min(shares) * size < _SEQUENCES_OF_SMALLEST:
        size *= 2
    return size


def _levanter(plan: MixturePlan, options: ExportOptions) -> Export:
    shares = [domain.token_share for domain in plan.domains]
    block = block_size(shares)
    counts = largest_remainder(shares, block)
    if not all(counts):
        lost = plan.domains[counts.index(0)]
        raise ExportRefusedError(
            f"domain {lost.name!r} has a share of {lost.token_share:.3g}, which Levanter's largest "
            f"block of {block} sequences cannot hold",
            field="format",
            value="levanter",
            hint="give the domain a minimum_share, or train on a materialised corpus",
        )
    weights = {d.slug: count / block for d, count in zip(plan.domains, counts, strict=True)}
    urls = {
        domain.slug: {"train_urls": list(paths(domain, options, "data/{slug}/*.jsonl.gz"))}
        for domain in plan.domains
    }
    common = {"train_weights": weights, "mixture_block_size": block, "stop_strategy": "restart"}
    levanter: dict[str, Any] = {"data": {"configs": urls, **common}}
    components = {name: {"source": {"type": "url", **entry}} for name, entry in urls.items()}
    marin: dict[str, Any] = {"data": {"components": components, **common}}
    worst = max(abs(count / block / share - 1) for count, share in zip(counts, shares, strict=True))
    return Export(
        files={"levanter.yaml": as_yaml(levanter), "marin.yaml": as_yaml(marin)},
        usage=(
            (
                "levanter.yaml is for Levanter up to 1.2, marin.yaml for the one in Marin's "
                "repository; add tokenizer and cache_dir"
            ),
            f"set num_train_steps to {plan.tokens} tokens; domains repeat for ever",
            f"shares are rounded to 1/{block}, by {worst:.2%} at most",
        ),
    )


LEVANTER = Exporter(
    "levanter",
    "Levanter / Marin train_weights",
    "tokens",
    "marin-community/levanter 9263f81e src/levanter/data/mixture.py; marin-community/marin "
    "00643f7e lib/levanter/src/levanter/data/text/datasets.py",
    _levanter,
)
