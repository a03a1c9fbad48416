"""Are two entries apart, or is it noise? By a model with an effect of entry and one of seed.

All entries with the same seed start from the same weights, so a seed's luck is common to them.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from service.comparisons.schemas import PairRow

ESTIMABLE = 1e-8
"""A difference that the design leaves open by more than this is not tested."""


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
    r"""Return the test of every two entries, the lower loss first, most certain pair first.

    The losses are fitted as :math:`x_{ij} = a_i + b_j + e_{ij}` (entry i, seed j) by least
    squares. With the residual variance :math:`s^2` of :math:`\nu` degrees of freedom a difference
    :math:`d = a_i - a_k` has the error :math:`s \sqrt{c^\top (X^\top X)^+ c}` and
    :math:`p = P(|T_\nu| \ge |d| / \text{error})`. With all cells finished this is the paired
    comparison with a noise that is pooled over entries: a few seeds alone know it badly. Cells may
    be missing. Empty where no cell is left to tell the noise from.

    Args:
        losses: Average test loss by entry and seed, nats per token.
    """
    import numpy as np  # noqa: PLC0415 - both are slow to load, and only comparisons need them
    from scipy.stats import t  # noqa: PLC0415

    entries = [name for name, by_seed in losses.items() if by_seed]
    seeds = sorted({seed for by_seed in losses.values() for seed in by_seed})
    cells = [(name, seed) for name in entries for seed in losses[name]]
    design = np.zeros((len(cells), len(entries) + len(seeds)))
    for row, (name, seed) in enumerate(cells):
        design[row, entries.index(name)] = 1.0
        design[row, len(entries) + seeds.index(seed)] = 1.0
    # Entries that no common seed connects leave more open than the sum of all effects.
    freedom = len(cells) - int(np.linalg.matrix_rank(design)) if cells else 0
    if len(entries) < 2 or freedom < 1:  # noqa: PLR2004 - nothing to compare
        return []
    values = np.array([losses[name][seed] for name, seed in cells])
    inverse = np.linalg.pinv(design.T @ design)
    effects = inverse @ design.T @ values
    variance = float(((values - design @ effects) ** 2).sum()) / freedom
    tested = []
    for first, second in combinations(range(len(entries)), 2):
        contrast = np.zeros(design.shape[1])
        contrast[first], contrast[second] = 1.0, -1.0
        if np.abs(contrast @ inverse @ design.T @ design - contrast).max() > ESTIMABLE:
            continue
        difference = float(contrast @ effects)
        error = math.sqrt(variance * float(contrast @ inverse @ contrast))
        p = 2.0 * float(t.sf(abs(difference) / error, freedom)) if error else float(not difference)
        names = (entries[first], entries[second])
        tested.append((names if difference <= 0 else names[::-1], abs(difference), error, p))
    rows = [
        PairRow(
            first=names[0],
            second=names[1],
            seeds=len(losses[names[0]].keys() & losses[names[1]].keys()),
            difference=-size,
            standard_error=error,
            p=p,
            p_holm=p_holm,
        )
        for (names, size, error, p), p_holm in zip(
            tested, holm([p for *_, p in tested]), strict=True
        )
    ]
    return sorted(rows, key=lambda row: (row.p, row.difference))
