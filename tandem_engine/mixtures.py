"""Free rules: mixtures that need no learning, to compare a learned one with.

Lists are per domain in the sorted order of names; shares are of tokens and sum to one. Every rule
is equivariant: reordering the domains reorders the shares and changes none.
"""

import math
from collections.abc import Sequence


def natural(tokens: Sequence[int]) -> list[float]:
    """Return shares in proportion to `tokens`: share_m = n_m / sum n.

    Raises:
        ValueError: a count is not positive, or there is no domain.
    """
    _require_positive(tokens)
    total = sum(tokens)
    return [n / total for n in tokens]


def uniform(domains: int) -> list[float]:
    """Return the same share for each of `domains`: share_m = 1 / M.

    Raises:
        ValueError: there is no domain.
    """
    return natural([1] * domains)


def temperature(tokens: Sequence[int], tau: float) -> list[float]:
    """Return share_m = n_m^tau / sum n^tau (Conneau et al. 2020, XLM-R, section 3.1).

    Args:
        tokens: Training tokens per domain, n.
        tau: 1 is natural, 0 is uniform, no unit. (mT5 writes the same with 1/T.)

    Raises:
        ValueError: a count is not positive, there is no domain, or tau is not in [0, 1].
    """
    _require_positive(tokens)
    if not 0 <= tau <= 1:
        msg = f"tau must be in [0, 1], got {tau}"
        raise ValueError(msg)
    # Divided by the largest before the power, so that no count overflows.
    largest = max(tokens)
    return _normalised([(n / largest) ** tau for n in tokens])


def unimax(tokens: Sequence[int], budget_tokens: int, max_epochs: float) -> list[float]:
    """Return the UniMax shares (Chung et al. 2023, arXiv 2304.09151, Algorithm 1).

    Domains in ascending size each get an even part of what is left of the budget, but no more
    than `max_epochs` passes: U_m = min(left / domains left, max_epochs n_m); share_m = U_m / sum U.
    Where all are capped, the budget is not spent and the shares are the natural ones.

    Args:
        tokens: Training tokens per domain, n.
        budget_tokens: Tokens to train on.
        max_epochs: Largest number of passes over a domain, no unit.

    Raises:
        ValueError: a count, the budget or `max_epochs` is not positive, or there is no domain.
    """
    _require_positive(tokens)
    if budget_tokens <= 0 or not max_epochs > 0:
        msg = f"budget_tokens and max_epochs must be positive, got {budget_tokens}, {max_epochs}"
        raise ValueError(msg)
    left = float(budget_tokens)
    planned = [0.0] * len(tokens)
    ascending = sorted(range(len(tokens)), key=lambda place: tokens[place])
    for done, place in enumerate(ascending):
        planned[place] = min(left / (len(tokens) - done), max_epochs * tokens[place])
        left -= planned[place]
    return _normalised(planned)


def _require_positive(tokens: Sequence[int]) -> None:
    if not tokens or any(n <= 0 for n in tokens):
        msg = f"every domain must have tokens, got {list(tokens)}"
        raise ValueError(msg)


def _normalised(weights: Sequence[float]) -> list[float]:
    total = math.fsum(weights)
    return [weight / total for weight in weights]
