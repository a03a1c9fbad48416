"""How often each document of a domain is read.

The documents of a domain are its records, numbered i = 0, 1, ..., n - 1 in the order (source URI
bytewise, record number); some are excluded (blank, malformed, exact duplicates, held out) and keep
their number. Every other one is read `full_passes` times, and once more if PRP(i) < `threshold`,
where PRP is the permutation of [0, n) in `manifests.permutation`. So the readings of a record are a
function of its number: without a list, in any order, in parallel; a larger target only adds some.

`full_passes` is floor(target / available tokens). With known lengths `threshold` is where the
planned tokens come nearest to the target, counted over true lengths (the lower where two are
equally near): a measured plan. Without, a share of the records is taken that gives the target in
expectation: an expected plan, which costs nothing but arithmetic.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tandem_engine.manifests.permutation import permute

_CHUNK = 1 << 22

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DomainPlan:
    """The rule of a domain, and what it comes to."""

    full_passes: int
    threshold: int
    extra_documents: int
    """Documents that are read once more."""
    planned_documents: int
    planned_tokens: int
    measured: bool
    """Whether the last three are counted, or expected."""


def plan_measured(
    numbers: Numbers,
    token_counts: Numbers,
    records: int,
    target_tokens: int,
    *,
    seed: int,
    domain: str,
) -> DomainPlan:
    """Return the plan that comes nearest to `target_tokens`.

    Args:
        numbers: Record numbers of the documents that may be read, ascending.
        token_counts: Tokens of each.
        records: n, records of the domain, excluded ones included.
        target_tokens: Tokens to read from this domain.
        seed: The manifest's seed.
        domain: The domain's name, which keys the permutation.
    """
    available = int(token_counts.sum())
    full_passes, missing = divmod(target_tokens, available)
    places = np.empty_like(numbers)
    for begin in range(0, len(numbers), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        places[part] = permute(numbers[part], records, seed=seed, domain=domain)
    order = np.argsort(places)
    reached = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(token_counts[order])])
    # `reached` rises, so the nearest is one of the two around what is missing.
    above = int(np.searchsorted(reached, missing))
    below = max(0, above - 1)
    extra = below if missing - reached[below] <= reached[above] - missing else above
    threshold = int(places[order[extra]]) if extra < len(numbers) else records
    return DomainPlan(
        full_passes=full_passes,
        threshold=threshold,
        extra_documents=extra,
        planned_documents=full_passes * len(numbers) + extra,
        planned_tokens=full_passes * available + int(reached[extra]),
        measured=True,
    )


def plan_expected(
    available_documents: int, available_tokens: int, records: int, target_tokens: int
) -> DomainPlan:
    """Return the plan whose expected tokens come nearest to `target_tokens`.

    Args:
        available_documents: Documents that may be read.
        available_tokens: Their tokens.
        records: n, records of the domain.
        target_tokens: Tokens to read from this domain.
    """
    full_passes, missing = divmod(target_tokens, available_tokens)
    # Integer arithmetic: a share of 1e10 records must not depend on the rounding of a float.
    threshold = (2 * missing * records + available_tokens) // (2 * available_tokens)
    extra = (2 * threshold * available_documents + records) // (2 * records)
    return DomainPlan(
        full_passes=full_passes,
        threshold=threshold,
        extra_documents=extra,
        planned_documents=full_passes * available_documents + extra,
        planned_tokens=full_passes * available_tokens
        + (2 * threshold * available_tokens + records) // (2 * records),
        measured=False,
    )


def repeat_counts(
    numbers: Numbers, records: int, full_passes: int, threshold: int, *, seed: int, domain: str
) -> Numbers:
    """Return how often the records `numbers` are read, none of them excluded, same shape."""
    places = permute(numbers, records, seed=seed, domain=domain)
    return full_passes + (places < threshold).astype(np.int64)
