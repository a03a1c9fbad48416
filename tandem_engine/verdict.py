"""The verdict on a learned mixture, in one word and in sentences."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from tandem_engine.contracts.records import (
    Evidence,
    MixtureResult,
    StageTwoRow,
    StageTwoRun,
    Verdict,
)
from tandem_engine.evidence import cautions, is_within_noise
from tandem_engine.stage_two_table import difference_error, tabulate

NO_EFFECT_L1 = 0.02
"""A result this close to its start (L1 distance) recommends nothing."""
CLEAR = 2.0
"""Standard errors of a difference that count as clear."""


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
    evidence: Evidence,
    runs: Sequence[StageTwoRun],
    *,
    learned: str,
    targets: bool = False,
    outside: Collection[str] = (),
    notes: Sequence[str] = (),
) -> Verdict:
    """Return the verdict on a learned mixture; it says so when a free rule is better.

    Args:
        mixture: What was learned.
        evidence: What the trajectories say about it.
        runs: Stage-two runs; empty when there was no stage two.
        learned: Name of the learned mixture among the runs.
        targets: Whether it was learned for targets.
        outside: Names of the free rules that break the job's bounds on shares.
        notes: Warnings about those bounds, which follow the others.
    """
    warnings = [*cautions(evidence, mixture, targets=targets), *notes]
    rows = tabulate(runs)
    best = rows[0].mixture if rows else None
    rivals = [row for row in rows if row.mixture != learned]
    mine = [row for row in rows if row.mixture == learned]
    contest = None
    if rivals and mine:
        allowed = rivals[0].mixture not in outside
        contest = _Contest(mine[0], rivals[0], difference_error(runs), allowed)

    def verdict(
        outcome: Literal["better", "tie", "worse", "no_effect", "not_evaluated"], text: str
    ) -> Verdict:
        return Verdict(
            outcome=outcome,
            text=text,
            best_mixture=None if outcome == "not_evaluated" else best,
            warnings=warnings,
            evidence=evidence,
        )

    if evidence.moved < NO_EFFECT_L1:
        return verdict(
            "no_effect",
            f"The learned mixture is within {evidence.moved:.3f} (L1) of its start: reweighting "
            "had no effect here, so it is no recommendation.",
        )
    if is_within_noise(evidence) and (contest is None or contest.outcome != "better"):
        return verdict(
            "no_effect",
            f"The learned mixture is {evidence.moved:.3f} (L1) from its start, no further than "
            f"noise alone would have taken it (up to {evidence.null_moved_high:.3f}): no effect "
            "was found, so it is no recommendation.",
        )
    if contest is None:
        return verdict(
            "not_evaluated",
            "The mixture was compared with no free rule in stage two, so nothing is known about "
            "how good it is.",
        )
    return verdict(contest.outcome, " ".join([_headline(contest), *_against_each(contest, rivals)]))


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
