"""Which points to draw when there are more than a picture can show.

The first and the last stay. The points between are cut into equal runs, and of each run stay the
point at which alpha moved most (L1, from the point before) and the one before it, so that a jump
stays a jump and a spike of one point stays a spike. The largest move of all is always among them.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

FEWEST = 2


def movements(
    batches: Iterable[Sequence[tuple[int, list[float]]]],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the places of points, and how far alpha moved to each (0 for the first).

    Only a batch of mixtures is in memory at a time.
    """
    places: list[NDArray[np.int64]] = []
    moves: list[NDArray[np.float64]] = []
    before: NDArray[np.float64] | None = None
    for batch in batches:
        alphas = np.asarray([alpha for _, alpha in batch], dtype=np.float64)
        previous = np.concatenate([alphas[:1] if before is None else before, alphas[:-1]])
        places.append(np.asarray([place for place, _ in batch], dtype=np.int64))
        moves.append(np.abs(alphas - previous).sum(axis=1))
        before = alphas[-1:]
    if not places:
        return np.empty(0, dtype=np.int64), np.empty(0)
    return np.concatenate(places), np.concatenate(moves)


def choose(moves: NDArray[np.float64], count: int) -> list[int]:
    """Return the indices of at most `count` points (2 or more), in order.

    Args:
        moves: How far alpha moved to each point from the one before.
        count: How many points there may be.
    """
    total = len(moves)
    if total <= count:
        return list(range(total))
    chosen = {0, total - 1}
    runs = (count - FEWEST) // 2
    if runs == 0 and count > FEWEST:
        chosen.add(1 + int(np.argmax(moves[1:-1])))
    # The last point's own move counts too: the point before it may stay for it.
    for run in np.array_split(np.arange(1, total), runs) if runs else []:
        peak = int(run[np.argmax(moves[run])])
        chosen |= {peak - 1, peak}
    return sorted(chosen)
