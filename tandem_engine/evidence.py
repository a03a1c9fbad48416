"""What a job's trajectories say about its mixture: numbers first, then cautions in words."""

import math
from collections.abc import Sequence
from itertools import combinations, groupby
from statistics import fmean

from tandem_engine.contracts.records import Evidence, MixtureResult, TrajectoryPoint

DRIFT_L1 = 0.05
"""A change this large between the last tenth and the one before says that alpha still moves."""
NOISE_COSINE = 0.1
"""Two halves of Delta that agree less than this, of 1, hardly agree."""
SMALL_GAP = 0.1
"""Generalisation gap, nats per token, below which reweighting has hardly anything to win."""
QUANTILE = 0.95


def gather(
    mixture: MixtureResult,
    start: Sequence[float],
    points: Sequence[TrajectoryPoint],
    null: Sequence[float] = (),
) -> Evidence:
    r"""Return the evidence of the runs that count.

    The generalisation gap of a domain is the validation loss of u minus its train loss (Figure 9),
    mean over the last tenth of the episodes. Agreement of seeds is the mean over pairs of
    :math:`\cos(\alpha_i - \alpha^0, \alpha_j - \alpha^0)`.

    Args:
        mixture: What was learned.
        start: alpha before the first episode.
        points: The trajectories, one after the other.
        null: Distances that noise alone would give, sorted (`tandem_engine.null_drift`).
    """
    runs = [list(group) for _, group in groupby(points, lambda point: point.run)]
    cosines = [point.delta_cosine for point in points if point.delta_cosine is not None]
    offsets = [[a - b for a, b in zip(one, start, strict=True)] for one in mixture.alpha_by_seed]
    agreements = [_cosine(*pair) for pair in combinations(offsets, 2)]
    known = [value for value in agreements if value is not None]
    return Evidence(
        moved=_distance(mixture.alpha, start),
        null_moved=fmean(null) if null else None,
        null_moved_high=null[min(len(null) - 1, int(QUANTILE * len(null)))] if null else None,
        travel=fmean(run[-1].travel for run in runs) if runs else 0.0,
        drift=_drift(runs),
        delta_cosine=fmean(cosines) if cosines else None,
        seed_agreement=fmean(known) if known else None,
        generalisation_gap=_gap(runs),
    )


def cautions(evidence: Evidence, mixture: MixtureResult, *, targets: bool = False) -> list[str]:
    """Return a sentence for each reason for care.

    Args:
        evidence: The numbers.
        mixture: What was learned.
        targets: Whether w validated on targets; the gap then says nothing about reweighting.
    """
    sentences = []
    if evidence.drift is not None and evidence.drift > DRIFT_L1:
        sentences.append(
            f"alpha still moves: {evidence.drift:.3f} (L1) between the last two tenths of the "
            "trajectory; raise learning.total_steps"
        )
    emptied = [d for d, a in zip(mixture.domains, mixture.alpha, strict=True) if a == 0.0]
    if emptied:
        sentences.append(f"the learned share is 0 for {', '.join(emptied)}")
    if evidence.delta_cosine is not None and evidence.delta_cosine < NOISE_COSINE:
        sentences.append(
            f"Delta is mostly noise: its two halves agree with a mean cosine of "
            f"{evidence.delta_cosine:.2f}; raise learning.delta_sequences or probing_steps"
        )
    if is_within_noise(evidence):
        sentences.append(
            f"alpha went {evidence.moved:.3f} (L1) from its start; noise alone would have taken "
            f"it {evidence.null_moved:.3f}, and in one of twenty runs "
            f"{evidence.null_moved_high:.3f} or more"
        )
    if evidence.seed_agreement is not None and evidence.seed_agreement < 0.5:  # noqa: PLR2004 - of 1
        sentences.append(
            f"the seeds moved alpha in different directions (mean cosine "
            f"{evidence.seed_agreement:.2f}); learn with more seeds or raise total_steps"
        )
    if evidence.generalisation_gap and not targets:
        gaps = dict(zip(mixture.domains, evidence.generalisation_gap, strict=True))
        widest = max(gaps, key=lambda name: gaps[name])
        if gaps[widest] < SMALL_GAP:
            sentences.append(
                "reweighting is hardly worth it here: validation loss is above train loss by at "
                f"most {gaps[widest]:.3f} nats per token ({widest}), and where they agree, no "
                "mixture can gain much (Proposition 1)"
            )
    return sentences


def is_within_noise(evidence: Evidence) -> bool:
    """Tell if alpha went no further than noise alone takes it in all but one of twenty runs."""
    return evidence.null_moved_high is not None and evidence.moved <= evidence.null_moved_high


def _drift(runs: Sequence[Sequence[TrajectoryPoint]]) -> float | None:
    length = min(map(len, runs), default=0)
    tenth = max(1, length // 10)
    if length < 2 * tenth:
        return None
    last = _mean_alpha([point for run in runs for point in run[-tenth:]])
    before = _mean_alpha([point for run in runs for point in run[-2 * tenth : -tenth]])
    return _distance(last, before)


def _gap(runs: Sequence[Sequence[TrajectoryPoint]]) -> list[float]:
    tails = [point for run in runs for point in run[-max(1, len(run) // 10) :]]
    return [fmean(of_domain) for of_domain in zip(*(p.gap for p in tails), strict=True)]


def _mean_alpha(points: Sequence[TrajectoryPoint]) -> list[float]:
    return [fmean(values) for values in zip(*(p.alpha for p in points), strict=True)]


def _distance(first: Sequence[float], second: Sequence[float]) -> float:
    return math.fsum(abs(a - b) for a, b in zip(first, second, strict=True))


def _cosine(first: Sequence[float], second: Sequence[float]) -> float | None:
    norms = math.hypot(*first) * math.hypot(*second)
    if norms == 0.0:
        return None
    return math.fsum(a * b for a, b in zip(first, second, strict=True)) / norms
