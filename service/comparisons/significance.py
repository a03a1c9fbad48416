"""Are two entries apart, or is it noise? Paired by seed, because a seed's models start alike.

The noise is not pooled over entries: a method whose answers vary from seed to seed would make all
others look uncertain, and one that hardly varies would make it look certain.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, stdev

from service.comparisons.schemas import PairRow


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Student's test of paired values."""

    seeds: int
    difference: float
    standard_error: float
    p: float


def paired_test(first: Mapping[int, float], second: Mapping[int, float]) -> PairedTest | None:
    r"""Return the paired t-test over common seeds, or None with fewer than two.

    With differences :math:`d_j` of n seeds: :math:`\bar d`, its error :math:`s_d / \sqrt n`, and
    :math:`p = P(|T_{n-1}| \ge |\bar d| \sqrt n / s_d)`. Differences that are all the same have
    p = 0, or 1 where they are 0.

    Args:
        first: Loss by seed.
        second: Loss by seed of the other.
    """
    from scipy.stats import t  # noqa: PLC0415 - slow to load, and only a comparison needs it

    seeds = sorted(first.keys() & second.keys())
    if len(seeds) < 2:  # noqa: PLR2004 - no spread without two
        return None
    differences = [first[seed] - second[seed] for seed in seeds]
    mean, error = fmean(differences), stdev(differences) / math.sqrt(len(seeds))
    if error == 0.0:
        return PairedTest(len(seeds), mean, 0.0, 0.0 if mean else 1.0)
    p = 2.0 * float(t.sf(abs(mean) / error, len(seeds) - 1))
    return PairedTest(len(seeds), mean, error, p)


def holm(p_values: Sequence[float]) -> list[float]:
    r"""Return p-values corrected for their number (Holm 1979, step-down).

    In ascending order the i-th of n becomes :math:`\max_{j \le i} \min(1, (n - j + 1)\, p_j)`.
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    corrected = [0.0] * len(p_values)
    running = 0.0
    for rank, place in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = running
    return corrected


def all_pairs(losses: Mapping[str, Mapping[int, float]]) -> list[PairRow]:
    """Return the test of every two entries, the lower loss first, most certain pair first.

    Args:
        losses: Average test loss by entry and seed, nats per token.
    """
    tests = []
    for names in combinations(losses, 2):
        found = paired_test(losses[names[0]], losses[names[1]])
        if found is not None:
            tests.append((names if found.difference <= 0 else names[::-1], found))
    corrected = holm([found.p for _, found in tests])
    rows = [
        PairRow(
            first=names[0],
            second=names[1],
            seeds=found.seeds,
            difference=-abs(found.difference),
            standard_error=found.standard_error,
            p=found.p,
            p_holm=p_holm,
        )
        for (names, found), p_holm in zip(tests, corrected, strict=True)
    ]
    return sorted(rows, key=lambda row: (row.p, row.difference))
