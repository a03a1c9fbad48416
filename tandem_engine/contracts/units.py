"""Shares of tokens in other units: documents, passes, whole tokens.

A trainer that draws documents by a share of tokens gets another mixture wherever documents differ
in length from domain to domain. Lists are per domain in the sorted order of names.
"""

import math
from collections.abc import Sequence
from fractions import Fraction


def document_shares(
    token_shares: Sequence[float], tokens_per_document: Sequence[float]
) -> list[float]:
    r"""Return shares of documents that give `token_shares` of tokens.

    .. math:: d_m = \frac{\alpha_m / t_m}{\sum_i \alpha_i / t_i}

    Args:
        token_shares: alpha, sums to 1.
        tokens_per_document: Mean tokens of a domain's documents, t; of those that bear loss, where
            alpha is of them.

    Raises:
        ValueError: a mean is not positive.
    """
    if min(tokens_per_document) <= 0:
        msg = f"tokens per document must be positive, got {min(tokens_per_document)}"
        raise ValueError(msg)
    raw = [share / mean for share, mean in zip(token_shares, tokens_per_document, strict=True)]
    total = math.fsum(raw)
    return [value / total for value in raw]


def largest_remainder(shares: Sequence[float], total: int) -> list[int]:
    """Return integers in proportion to `shares` that sum to `total` exactly (Hamilton's method).

    Each gets the floor of its exact quota; what is left goes to the largest remainders, the first
    of equal ones. A share of 0 gets 0; no result is a whole unit away from its quota.

    Raises:
        ValueError: a share is negative or not finite, all are 0, or `total` is negative.
    """
    if total < 0 or not all(math.isfinite(share) and share >= 0 for share in shares):
        msg = f"shares and total must be finite and not negative, got {list(shares)} and {total}"
        raise ValueError(msg)
    # Fractions, so that rounding can neither lose a unit nor depend on the machine.
    exact = [Fraction(share) for share in shares]
    whole = sum(exact)
    if not whole:
        raise ValueError("at least one share must be above 0")
    quotas = [share * total / whole for share in exact]
    counts = [math.floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda place: counts[place] - quotas[place])
    for place in by_remainder[: total - sum(counts)]:
        counts[place] += 1
    return counts
