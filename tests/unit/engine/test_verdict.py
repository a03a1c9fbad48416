"""The verdict goes by the noise, and says so when a free rule wins."""

import math
from typing import Any

import pytest

from tandem_engine.contracts.records import (
    MixtureResult,
    StageTwoRun,
    TrajectoryPoint,
    Verdict,
)
from tandem_engine.evidence import gather
from tandem_engine.stage_two_table import difference_error, tabulate
from tandem_engine.verdict import judge as judge_evidence

MIXTURE = MixtureResult(
    domains=["a", "b"],
    alpha=[0.7, 0.3],
    trajectory_mean=[0.6, 0.4],
    last=[0.7, 0.3],
    natural=[0.9, 0.1],
)
START = [0.5, 0.5]


def one(mixture: str, seed: int, *losses: float) -> StageTwoRun:
    return StageTwoRun(
        mixture=mixture,
        seed=seed,
        alpha=[0.5, 0.5],
        epochs=[1.0, 1.0],
        test_loss=list(losses),
        average_loss=sum(losses) / len(losses),
    )


def runs(learned: float, rival: float, *, noise: float = 0.001) -> list[StageTwoRun]:
    """Three seeds of three mixtures; the third is far behind. Seeds shift all mixtures alike."""
    found = []
    for seed, (shift, wobble) in enumerate([(0.0, 1), (0.3, -1), (0.1, 0)]):
        for name, loss in (("tandem", learned), ("uniform", rival), ("natural", 3.5)):
            own = noise * wobble if name == "tandem" else 0.0
            found.append(one(name, seed, loss + shift + own, loss + shift + own))
    return found


def point(episode: int, alpha: list[float], cosine: float = 0.8) -> TrajectoryPoint:
    return TrajectoryPoint(
        episode=episode,
        step=10 * episode,
        alpha=alpha,
        delta=[0.1, -0.1],
        delta_cosine=cosine,
        delta_norm=0.14,
        train_loss=[1.0, 1.0],
        validation_loss=[1.2, 1.2],
        gap=[0.2, 0.2],
        twin_distance=0.1,
        learning_rate=0.001,
        entropy=0.6,
        travel=0.4,
        tokens=100,
        epochs=[1.0, 2.0],
    )


def judge(
    mixture: MixtureResult,
    start: list[float],
    points: list[TrajectoryPoint],
    found: list[StageTwoRun],
    *,
    null: tuple[float, ...] = (),
    **options: Any,
) -> Verdict:
    evidence = gather(mixture, start, points, null)
    return judge_evidence(mixture, evidence, found, learned="tandem", **options)


def steady() -> list[TrajectoryPoint]:
    return [point(episode, [0.7, 0.3]) for episode in range(1, 21)]


def test_rows_are_exponentials_of_means_sorted_by_average_loss() -> None:
    rows = tabulate([one("x", 0, 2.0, 3.0), one("x", 1, 2.2, 3.2), one("y", 0, 1.0, 1.0)])
    assert [row.mixture for row in rows] == ["y", "x"]
    assert rows[1].perplexity == pytest.approx([math.exp(2.1), math.exp(3.1)])
    assert rows[1].average_perplexity == pytest.approx(math.exp(2.6))
    assert rows[1].average_loss_sd == pytest.approx(0.2 / 2**0.5)
    assert rows[0].average_loss_sd is None


def test_the_error_of_a_difference_leaves_out_what_seeds_share() -> None:
    # Residuals of mixture and seed, by hand: 2 x 2 with interaction d has s^2 = d^2.
    found = [one("x", 0, 1.0), one("x", 1, 2.0), one("y", 0, 1.5), one("y", 1, 2.5 + 4 * 0.01)]
    assert difference_error(found) == pytest.approx(math.sqrt(2 * (2 * 0.01) ** 2 / 2), rel=1e-6)
    shared_only = [one("x", 0, 1.0), one("x", 1, 9.0), one("y", 0, 1.5), one("y", 1, 9.5)]
    assert difference_error(shared_only) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("learned", "rival", "outcome"),
    [(3.0, 3.1, "better"), (3.1, 3.0, "worse"), (3.0, 3.0005, "tie")],
)
def test_the_outcome_is_clear_beyond_two_standard_errors(
    learned: float, rival: float, outcome: str
) -> None:
    verdict = judge(MIXTURE, START, steady(), runs(learned, rival))
    assert verdict.outcome == outcome
    assert "uniform" in verdict.text
    assert "natural" in verdict.text
    assert verdict.warnings == []


def test_a_better_free_rule_is_recommended_in_words() -> None:
    verdict = judge(MIXTURE, START, steady(), runs(3.1, 3.0))
    assert "use it instead" in verdict.text
    assert verdict.best_mixture == "uniform"


def test_a_better_free_rule_that_breaks_the_bounds_is_not_recommended() -> None:
    notes = ["a note"]
    verdict = judge(
        MIXTURE,
        START,
        steady(),
        runs(3.1, 3.0),
        outside=["uniform"],
        notes=notes,
    )
    assert verdict.outcome == "worse"
    assert "breaks the bounds" in verdict.text
    assert "use it" not in verdict.text
    assert verdict.warnings == notes


def test_one_seed_never_tells_a_winner() -> None:
    verdict = judge(MIXTURE, START, steady(), [one("tandem", 0, 1.0), one("uniform", 0, 9.0)])
    assert verdict.outcome == "tie"
    assert "One seed" in verdict.text


def test_a_mixture_that_did_not_move_is_no_recommendation() -> None:
    verdict = judge(MIXTURE, [0.695, 0.305], steady(), runs(3.0, 3.1))
    assert verdict.outcome == "no_effect"


def test_without_stage_two_nothing_is_claimed() -> None:
    assert judge(MIXTURE, START, steady(), []).outcome == "not_evaluated"


def test_drift_noise_and_an_empty_share_are_warned_of() -> None:
    moving = [point(i, [0.5 + i / 50, 0.5 - i / 50], cosine=0.02) for i in range(1, 21)]
    emptied = MIXTURE.evolve(alpha=[1.0, 0.0])
    warnings = judge(emptied, START, moving, []).warnings
    assert len(warnings) == 3
    assert "still moves" in warnings[0]
    assert "share is 0 for b" in warnings[1]
    assert "mostly noise" in warnings[2]


def test_seeds_that_end_apart_are_no_drift_but_seeds_that_move_are() -> None:
    # Ten runs of two episodes; the tenths are those of each run, not of all in a row.
    def several(step: float) -> list[TrajectoryPoint]:
        return [
            point(
                2 * run + turn, [0.4 + run / 50 + step * turn, 0.6 - run / 50 - step * turn]
            ).evolve(run=run, seed=run)
            for run in range(10)
            for turn in (1, 2)
        ]

    assert judge(MIXTURE, START, several(0.0), []).warnings == []
    (warning,) = judge(MIXTURE, START, several(0.05), []).warnings
    assert "alpha still moves: 0.100" in warning


def test_the_evidence_by_hand() -> None:
    points = [
        point(1, [0.6, 0.4]),
        point(2, [0.7, 0.3]).evolve(gap=[0.1, 0.5]),
        point(3, [0.6, 0.4]).evolve(run=1, seed=1),
        point(4, [0.8, 0.2]).evolve(run=1, seed=1, gap=[0.3, 0.5], travel=0.6),
    ]
    mixture = MIXTURE.evolve(alpha=[0.75, 0.25], alpha_by_seed=[[0.7, 0.3], [0.8, 0.2]])
    evidence = gather(mixture, START, points, [0.1, 0.2, 0.3, 0.4])
    assert evidence.moved == pytest.approx(0.5)
    assert evidence.null_moved == pytest.approx(0.25)
    assert evidence.null_moved_high == 0.4
    assert evidence.travel == pytest.approx(0.5)
    assert evidence.drift == pytest.approx(0.3)
    assert evidence.seed_agreement == pytest.approx(1.0)
    assert evidence.generalisation_gap == pytest.approx([0.2, 0.5])


def test_a_move_within_noise_is_no_effect_unless_stage_two_is_clear() -> None:
    null = (0.3, 0.6)
    within = judge(MIXTURE, START, steady(), runs(3.0, 3.0005), null=null)
    assert within.outcome == "no_effect"
    assert "no further than noise alone" in within.text
    better = judge(MIXTURE, START, steady(), runs(3.0, 3.1), null=null)
    assert better.outcome == "better"
    assert "noise alone would have taken it 0.450" in better.warnings[0]
    beyond = judge(MIXTURE, START, steady(), runs(3.0, 3.0005), null=(0.1, 0.2))
    assert beyond.outcome == "tie"


def test_a_small_gap_says_that_reweighting_is_hardly_worth_it() -> None:
    closed = [one.evolve(gap=[-0.2, 0.04]) for one in steady()]
    (warning,) = judge(MIXTURE, START, closed, []).warnings
    assert "hardly worth it" in warning
    assert "0.040 nats per token (b)" in warning
    assert judge(MIXTURE, START, closed, [], targets=True).warnings == []
    wide = [one.evolve(gap=[0.01, 0.2]) for one in steady()]
    assert judge(MIXTURE, START, wide, []).warnings == []


def test_seeds_that_go_different_ways_are_warned_of() -> None:
    apart = MIXTURE.evolve(alpha_by_seed=[[0.7, 0.3], [0.4, 0.6]])
    (warning,) = judge(apart, START, steady(), []).warnings
    assert "different directions (mean cosine -1.00)" in warning
