"""How well a mean over a few seeds is known."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

T_975 = (
    *(12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157),
    *(2.228139, 2.200985, 2.178813, 2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922),
    *(2.093024, 2.085963, 2.079614, 2.073873, 2.068658, 2.063899, 2.059539, 2.055529, 2.051831),
    *(2.048407, 2.045230, 2.042272, 2.039513),
)
"""97.5 % quantiles of Student's t with 1, 2, ..., 31 degrees of freedom.

NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2, with more digits. A table, because
neither the standard library nor torch has the inverse, and a job has at most 32 seeds.
"""


def mean_over_seeds(shares_SM: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean per domain, M shares, of S rows of M shares."""
    return [fmean(of_domain) for of_domain in zip(*shares_SM, strict=True)]


def interval_over_seeds(shares_SM: Sequence[Sequence[float]]) -> list[tuple[float, float]] | None:
    r"""Return the 95 % interval of each domain's mean share, or None with one seed.

    .. math:: \bar a_m \pm t_{0.975, S - 1}\, s_m / \sqrt S

    with the standard deviation s between seeds (S - 1 in its denominator), cut to [0, 1].

    Args:
        shares_SM: One mixture per seed, 2 to 32 of them.
    """
    seeds = len(shares_SM)
    if seeds == 1:
        return None
    quantile = T_975[seeds - 2]
    intervals = []
    for of_domain in zip(*shares_SM, strict=True):
        middle, half = fmean(of_domain), quantile * stdev(of_domain) / math.sqrt(seeds)
        intervals.append((max(0.0, middle - half), min(1.0, middle + half)))
    return intervals
