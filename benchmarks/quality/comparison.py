"""From test losses to a table: paired differences, standard errors, shares of the oracle's gain.

Replicate j of every mixture starts from the same weights and reads in the same order, and replicate
j of the learned mixture was learned with root seed j. So a paired difference over replicates holds
the noise of learning and of training.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

RESAMPLES = 4_000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Row:
    """One mixture over all replicates; losses in nats per byte on test text."""

    name: str
    loss: float
    difference: float
    """Loss minus that of the mixture compared with; negative is better."""
    difference_error: float
    """Standard error of `difference`, from its spread over replicates."""
    gain_share: float
    """(uniform - this) / (uniform - oracle)."""
    gain_low: float
    gain_high: float
    """Bootstrap interval of `gain_share` over replicates."""


def compare(
    losses: Mapping[str, Sequence[float]], *, against: str, worst: str, oracle: str, seed: int
) -> list[Row]:
    """Return a row per mixture, best first.

    Args:
        losses: Average test loss per replicate, in the same order for every mixture, shape (J,).
        against: Mixture whose loss is taken off for `difference`.
        worst: Mixture at a gain share of 0.
        oracle: Mixture at a gain share of 1.
        seed: Of the bootstrap.

    Raises:
        ValueError: the mixtures were not trained equally often, or only once.
    """
    table = {name: np.asarray(values, dtype=np.float64) for name, values in losses.items()}
    counts = {len(values) for values in table.values()}
    if len(counts) != 1 or min(counts) < 2:  # noqa: PLR2004 - no spread without two
        msg = f"every mixture needs the same number of replicates, two or more; got {counts}"
        raise ValueError(msg)
    picks = np.random.default_rng(seed).integers(0, min(counts), (RESAMPLES, min(counts)))
    rows = []
    for name, loss_J in table.items():
        difference_J = loss_J - table[against]
        low, high = _interval(_gain_shares(loss_J, table[worst], table[oracle], picks))
        rows.append(
            Row(
                name=name,
                loss=float(loss_J.mean()),
                difference=float(difference_J.mean()),
                difference_error=float(difference_J.std(ddof=1)) / math.sqrt(len(loss_J)),
                gain_share=_ratio(loss_J.mean(), table[worst].mean(), table[oracle].mean()),
                gain_low=low,
                gain_high=high,
            )
        )
    return sorted(rows, key=lambda row: row.loss)


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % t-interval of the mean of `values`.

    Raises:
        ValueError: there are fewer than two values.
    """
    if len(values) < 2:  # noqa: PLR2004 - no spread without two
        raise ValueError("an interval needs two values or more")
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
    half = quantile * spread / math.sqrt(len(values))
    return mean - half, mean + half


def _gain_shares(loss_J: Floats, worst_J: Floats, oracle_J: Floats, picks: Integers) -> Floats:
    means = [values[picks].mean(axis=1) for values in (loss_J, worst_J, oracle_J)]
    return np.array([_ratio(*three) for three in zip(*means, strict=True)])


def _ratio(loss: float, worst: float, oracle: float) -> float:
    gain = worst - oracle
    return float((worst - loss) / gain) if gain else math.nan


def _interval(values: Floats) -> tuple[float, float]:
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)
