"""What the evidence says: rows of the comparison table, the noise, and a verdict in words."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, stdev
from typing import Literal

from tandem_engine.contracts.records import (
    MixtureResult,
    StageTwoRow,
    StageTwoRun,
    TrajectoryPoint,
    Verdict,
)

NO_EFFECT_L1 = 0.02
"""A result this close to its start (L1 distance) recommends nothing."""
DRIFT_L1 = 0.05
"""A change this large between the last tenth and the one before says that alpha still moves."""
CLEAR = 2.0
"""Standard errors of a difference that count as clear."""


def tabulate(runs: Sequence[StageTwoRun]) -> list[StageTwoRow]:
    """Return one row per mixture, best average first.

    Perplexity is exp of the mean loss over seeds; the average perplexity is exp of the mean of
    the per-domain losses (paper, Table 2).
    """
    rows = []
    for name, group in groupby(sorted(runs, key=lambda run: run.mixture), lambda r: r.mixture):
        of_mixture = list(group)
        losses = [fmean(values) for values in zip(*(r.test_loss for r in of_mixture), strict=True)]
        averages = [fmean(run.test_loss) for run in of_mixture]
        rows.append(
            StageTwoRow(
                mixture=name,
                alpha=of_mixture[0].alpha,
                epochs=[fmean(v) for v in zip(*(r.epochs for r in of_mixture), strict=True)],
                perplexity=[math.exp(loss) for loss in losses],
                average_perplexity=math.exp(fmean(averages)),
                average_loss=fmean(averages),
                average_loss_sd=stdev(averages) if len(averages) > 1 else None,
                seeds=len(of_mixture),
            )
        )
    return sorted(rows, key=lambda row: row.average_loss)


def difference_error(runs: Sequence[StageTwoRun]) -> float | None:
    r"""Return the standard error of a difference of two mixtures' average losses, nats per token.

    Mixtures of one seed share weights and order, so the noise is what is left after taking out
    mixture and seed: :math:`s^2 = \sum (x_{ij} - \bar x_i - \bar x_j + \bar x)^2 /
    ((I - 1)(J - 1))`, and the error is :math:`s \sqrt{2 / J}`. None with one seed or mixture.
    """
    seeds = sorted({run.seed for run in runs})
    names = sorted({run.mixture for run in runs})
    if len(seeds) < 2 or len(names) < 2:  # noqa: PLR2004 - no spread without two
        return None
    loss = {(run.mixture, run.seed): fmean(run.test_loss) for run in runs}
    by_name = {name: fmean(loss[name, seed] for seed in seeds) for name in names}
    by_seed = {seed: fmean(loss[name, seed] for name in names) for seed in seeds}
    grand = fmean(by_name.values())
    squares = sum(
        (loss[name, seed] - by_name[name] - by_seed[seed] + grand) ** 2
        for name in names
        for seed in seeds
    )
    variance = squares / ((len(names) - 1) * (len(seeds) - 1))
    return math.sqrt(2 * variance / len(seeds))


@dataclass(frozen=True, slots=True)
class _Contest:
    """The learned mixture against the best free rule."""

    learned: StageTwoRow
    rival: StageTwoRow
    error: float | None
    rival_is_allowed: bool

    @property
    def outcome(self) -> Literal["better", "tie", "worse"]:
        gain = self.rival.average_loss - self.learned.average_loss
        if self.error is None or abs(gain) <= CLEAR * self.error:
            return "tie"
        return "better" if gain > 0 else "worse"


def judge(
    mixture: MixtureResult,
    start: Sequence[float],
    points: Sequence[TrajectoryPoint],
    runs: Sequence[StageTwoRun],
    *,
    learned: str,
    outside: Collection[str] = (),
    notes: Sequence[str] = (),
) -> Verdict:
    """Return the verdict on a learned mixture; it says so when a free rule is better.

    Args:
        mixture: What was learned.
        start: alpha before the first episode.
        points: The trajectories of the runs that count, one after the other.
        runs: Stage-two runs; empty when there was no stage two.
        learned: Name of the learned mixture among the runs.
        outside: Names of the free rules that break the job's bounds on shares.
        notes: Warnings about those bounds, which follow the others.
    """
    warnings = [*_warnings(mixture, points), *notes]
    rows = tabulate(runs)
    best = rows[0].mixture if rows else None
    moved = sum(abs(a - b) for a, b in zip(mixture.alpha, start, strict=True))
    if moved < NO_EFFECT_L1:
        text = (
            f"The learned mixture is within {moved:.3f} (L1) of its start: reweighting had no "
            "effect here, so it is no recommendation."
        )
        return Verdict(outcome="no_effect", text=text, best_mixture=best, warnings=warnings)
    rivals = [row for row in rows if row.mixture != learned]
    mine = [row for row in rows if row.mixture == learned]
    if not rivals or not mine:
        text = (
            "The mixture was compared with no free rule in stage two, so nothing is known about "
            "how good it is."
        )
        return Verdict(outcome="not_evaluated", text=text, best_mixture=None, warnings=warnings)
    allowed = rivals[0].mixture not in outside
    contest = _Contest(mine[0], rivals[0], difference_error(runs), allowed)
    text = " ".join([_headline(contest), *_against_each(contest, rivals)])
    return Verdict(outcome=contest.outcome, text=text, best_mixture=best, warnings=warnings)


def _headline(contest: _Contest) -> str:
    mine, rival = contest.learned, contest.rival
    numbers = (
        f"average test perplexity {mine.average_perplexity:.3f} against "
        f"{rival.average_perplexity:.3f} of {rival.mixture}, the best free rule"
    )
    if contest.error is None:
        return f"Learned mixture: {numbers}. One seed cannot tell this difference from noise."
    noise = f"(a difference is known to {contest.error:.4f} nats per token, one standard error)"
    words = {
        "better": "The learned mixture is better than every free rule",
        "tie": "The learned mixture and the best free rule cannot be told apart",
        "worse": "A free rule is better than the learned mixture"
        + ("; use it instead" if contest.rival_is_allowed else ", but breaks the bounds on shares"),
    }
    return f"{words[contest.outcome]}: {numbers} {noise}."


def _against_each(contest: _Contest, rivals: Sequence[StageTwoRow]) -> list[str]:
    sentences = []
    for rival in rivals:
        gain = rival.average_loss - contest.learned.average_loss
        relation = "better" if gain > 0 else "worse"
        sentences.append(f"{abs(gain):.4f} nats {relation} than {rival.mixture}.")
    return sentences


def _warnings(mixture: MixtureResult, points: Sequence[TrajectoryPoint]) -> list[str]:
    warnings = []
    runs = [list(group) for _, group in groupby(points, lambda point: point.run)]
    length = min(map(len, runs), default=0)
    tenth = max(1, length // 10)
    if length >= 2 * tenth:
        last = _mean_alpha([point for run in runs for point in run[-tenth:]])
        before = _mean_alpha([point for run in runs for point in run[-2 * tenth : -tenth]])
        drift = sum(abs(a - b) for a, b in zip(last, before, strict=True))
        if drift > DRIFT_L1:
            warnings.append(
                f"alpha still moves: {drift:.3f} (L1) between the last two tenths of the "
                "trajectory; raise learning.total_steps"
            )
    emptied = [d for d, a in zip(mixture.domains, mixture.alpha, strict=True) if a == 0.0]
    if emptied:
        warnings.append(f"the learned share is 0 for {', '.join(emptied)}")
    cosines = [p.delta_cosine for p in points if p.delta_cosine is not None]
    if cosines and fmean(cosines) < 0.1:  # noqa: PLR2004 - of 1; two halves hardly agree
        warnings.append(
            f"Delta is mostly noise: its two halves agree with a mean cosine of "
            f"{fmean(cosines):.2f}; raise learning.delta_sequences or probing_steps"
        )
    return warnings


def _mean_alpha(points: Sequence[TrajectoryPoint]) -> list[float]:
    return [fmean(values) for values in zip(*(p.alpha for p in points), strict=True)]
