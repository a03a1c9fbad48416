"""Shares of tokens in other units: documents, passes, whole tokens.

A trainer that draws documents by a share of tokens gets another mixture wherever documents differ
in length from domain to domain. Lists are per domain in the sorted order of names.
"""

import math
from collections.abc import Sequence


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


def whole_parts(shares: Sequence[float], total: int) -> list[int]:
    """Return whole numbers in proportion to `shares` that sum to `total` (largest remainder).

    Each is its exact part rounded down, or one more; the largest remainders are rounded up, of
    equal ones the first.

    Raises:
        ValueError: the shares do not sum to a positive number, or one is negative.
    """
    summed = math.fsum(shares)
    if min(shares) < 0 or summed <= 0:
        msg = f"shares must be at least 0 and not all 0, got {list(shares)}"
        raise ValueError(msg)
    exact = [share / summed * total for share in shares]
    floors = [math.floor(value) for value in exact]
    left = total - sum(floors)
    by_remainder = sorted(range(len(exact)), key=lambda place: floors[place] - exact[place])
    for place in by_remainder[:left]:
        floors[place] += 1
    return floors
