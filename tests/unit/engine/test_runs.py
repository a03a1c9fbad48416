"""Several runs as one job: resumable bitwise in each, and what their result is the mean of."""

from pathlib import Path
from statistics import fmean

import pytest
import torch
from support.tiny_jobs import Recorder, tiny_spec

from tandem_engine.contracts.records import (
    PhaseRecord,
    ResultRecord,
    ResumedRecord,
    TrajectoryPoint,
)
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import load_corpus
from tandem_engine.errors import StopRequestedError
from tandem_engine.intervals import interval_over_seeds
from tandem_engine.job import run_job
from tandem_engine.presets import resolve
from tandem_engine.stage_one import StageOne
from tandem_engine.twins import Twin

EPISODES = 3
RUNS = 6  # two seeds: one run without bounds, one within, one restart
LEARNING = {
    "total_steps": 9,
    "probing_steps": 2,
    "free_steps": 1,
    "delta_sequences": 4,
    "checkpoint_every": 2,
}
# Every second of 18 episodes, and the last one of each run of three where it is an odd one.
CHECKPOINTS = 9 + 3


def several(folder: Path, **learning: object) -> JobSpec:
    """Two seeds, each with a run without bounds, one within, and a restart."""
    changes = {"seeds": 2, "restarts": 1, "unconstrained": True} | learning
    spec = tiny_spec(folder, learning=LEARNING | changes, evaluation={"enabled": False})
    described = [domain.model_dump(exclude_unset=True) for domain in spec.domains]
    described[0]["minimum_share"] = 0.4
    return spec.evolve(domains=described)


def run(spec: JobSpec, out: Path, attempt: int = 1, stop_after: int | None = None) -> Recorder:
    recorder = Recorder(stop_after)
    run_job(spec, out, emit=recorder, attempt=attempt, stop=recorder.stop)
    return recorder


def result_of(recorder: Recorder) -> ResultRecord:
    last = recorder.records[-1]
    assert isinstance(last, ResultRecord)
    return last


def comparable(result: ResultRecord) -> dict[str, object]:
    return result.model_dump(exclude={"learning_seconds", "evaluation_seconds"})


def of_run(points: list[TrajectoryPoint], number: int) -> list[TrajectoryPoint]:
    return [point for point in points if point.run == number]


def content(points: list[TrajectoryPoint]) -> list[dict[str, object]]:
    """Points without what counts over all runs."""
    place = {"episode", "step", "tokens", "run", "bounded"}
    return [point.model_dump(exclude=place) for point in points]


def mean_alpha(points: list[TrajectoryPoint]) -> list[float]:
    return torch.tensor([p.alpha for p in points], dtype=torch.float64).mean(dim=0).tolist()


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    return several(tmp_path_factory.mktemp("domains"))


@pytest.fixture(scope="module")
def straight(spec: JobSpec, tmp_path_factory: pytest.TempPathFactory) -> Recorder:
    return run(spec, tmp_path_factory.mktemp("straight") / "out")


def test_the_points_of_all_runs_count_on_and_name_their_run(straight: Recorder) -> None:
    points = straight.points
    assert [p.episode for p in points] == list(range(1, RUNS * EPISODES + 1))
    assert [p.step for p in points] == [3 * p.episode for p in points]
    assert [p.tokens for p in points] == [p.step * 6 * 16 for p in points]
    assert [(p.run, p.seed, p.restart, p.bounded) for p in points[::EPISODES]] == [
        (0, 0, 0, False),
        (1, 0, 0, True),
        (2, 0, 1, True),
        (3, 1, 0, False),
        (4, 1, 0, True),
        (5, 1, 1, True),
    ]
    phases = [r for r in straight.records if isinstance(r, PhaseRecord) and r.phase == "learning"]
    assert [phase.total_units for phase in phases] == [RUNS * EPISODES]
    result = result_of(straight)
    assert (result.episodes, result.steps) == (RUNS * EPISODES, 3 * RUNS * EPISODES)


@pytest.mark.parametrize("checkpoint", range(1, CHECKPOINTS))
def test_a_job_stopped_at_any_checkpoint_of_any_run_ends_as_if_it_had_not_been(
    spec: JobSpec, straight: Recorder, tmp_path: Path, checkpoint: int
) -> None:
    with pytest.raises(StopRequestedError):
        run(spec, tmp_path, stop_after=checkpoint)
    second = run(spec, tmp_path, attempt=2)
    assert second.points == straight.points
    assert comparable(result_of(second)) == comparable(result_of(straight))


def test_there_are_checkpoints_within_and_after_every_run(
    spec: JobSpec, straight: Recorder, tmp_path: Path
) -> None:
    resumed_at = []
    for checkpoint in range(1, CHECKPOINTS):
        with pytest.raises(StopRequestedError):
            run(spec, tmp_path, attempt=checkpoint, stop_after=1)
        episodes = [r.episode for r in _records(spec, tmp_path, checkpoint + 1)]
        resumed_at += episodes
    assert resumed_at == [2, 3, 4, 6, 8, 9, 10, 12, 14, 15, 16]
    assert result_of(run(spec, tmp_path, attempt=99)).mixture == result_of(straight).mixture


def _records(spec: JobSpec, out: Path, attempt: int) -> list[ResumedRecord]:
    """What the next attempt says first, stopped before it learns."""

    class Leaves(Recorder):
        def __call__(self, record: object) -> None:
            super().__call__(record)  # type: ignore[arg-type]
            if isinstance(record, ResumedRecord):
                raise StopRequestedError("enough was said")

    recorder = Leaves()
    with pytest.raises(StopRequestedError):
        run_job(spec, out, emit=recorder, attempt=attempt)
    return [record for record in recorder.records if isinstance(record, ResumedRecord)]


def test_a_first_seed_among_several_is_bitwise_the_only_seed(
    spec: JobSpec, straight: Recorder, tmp_path: Path
) -> None:
    learning = spec.learning.model_dump(exclude_unset=True) | {
        "seeds": 1,
        "restarts": 0,
        "unconstrained": False,
    }
    alone = run(spec.evolve(learning=learning), tmp_path)
    assert content(alone.points) == content(of_run(straight.points, 1))
    assert result_of(alone).mixture.interval is None


def test_another_learning_seed_starts_alike_and_learns_otherwise(straight: Recorder) -> None:
    first, second = of_run(straight.points, 1), of_run(straight.points, 4)
    assert first[0].train_loss != second[0].train_loss
    assert first[-1].alpha != second[-1].alpha


def test_a_restart_begins_at_the_mean_alpha_so_far_with_the_initial_weights(
    spec: JobSpec, straight: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved = resolve(
        spec.evolve(learning=spec.learning.model_dump(exclude_unset=True) | {"restarts": 2})
    )
    corpus = load_corpus(resolved, tmp_path / "corpus", lambda _: None)
    stage_one = StageOne(corpus, resolved, torch.device("cpu"))
    weights, original = [], Twin.__init__

    def spy(self: Twin, model: torch.nn.Module, *rest: object) -> None:
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
        original(self, model, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Twin, "__init__", spy)
    stage_one.run(lambda _: None)
    points, plan = stage_one.points, stage_one.plan
    bounds = stage_one.limits.bounds if stage_one.limits else None
    assert bounds is not None
    for planned, earlier in ((plan[2], [1]), (plan[3], [1, 2]), (plan[7], [5, 6])):
        assert planned.restart == len(earlier)
        mean = mean_alpha([point for number in earlier for point in of_run(points, number)])
        start = stage_one.start(planned)
        torch.testing.assert_close(start, torch.tensor(mean, dtype=torch.float64))
        assert bool((start >= bounds.lower_M).all())
        first = of_run(points, planned.run)[0]
        moved = sum(abs(a - b) for a, b in zip(first.alpha, start.tolist(), strict=True))
        assert first.travel == pytest.approx(moved, abs=1e-12)
    of_u = weights[::2]
    assert all(torch.equal(of_u[0], other) for other in of_u[1:4])
    assert not torch.equal(of_u[0], of_u[4])
    assert all(torch.equal(of_u[4], other) for other in of_u[5:])
    assert of_run(points, 2)[0].learning_rate == of_run(points, 1)[0].learning_rate
    # Its data come in another order, so even the first batches differ.
    assert of_run(points, 2)[0].train_loss != of_run(points, 1)[0].train_loss
    assert of_run(points, 2) == of_run(straight.points, 2)


def test_a_restart_with_the_same_seed_starts_its_epochs_anew(straight: Recorder) -> None:
    assert of_run(straight.points, 2)[0].epochs == of_run(straight.points, 1)[0].epochs


def test_the_run_without_bounds_starts_beyond_them_and_is_reported(straight: Recorder) -> None:
    free = [p for p in straight.points if not p.bounded]
    bounded = [p for p in straight.points if p.bounded]
    assert {p.run for p in free} == {0, 3}
    assert min(p.alpha[0] for p in bounded) >= 0.4
    assert min(p.alpha[0] for p in free) < 0.4
    tails = [of_run(straight.points, number)[-1].alpha for number in (0, 3)]
    mixture = result_of(straight).mixture
    assert mixture.unconstrained == [fmean(shares) for shares in zip(*tails, strict=True)]
    assert mixture.unconstrained != mixture.alpha


def test_the_result_is_the_mean_of_each_seeds_last_run_within_the_bounds(
    straight: Recorder,
) -> None:
    # The tail of three episodes is the last one.
    tails = [of_run(straight.points, number)[-1].alpha for number in (2, 5)]
    mixture = result_of(straight).mixture
    assert mixture.alpha_by_seed == tails
    assert mixture.alpha == [fmean(shares) for shares in zip(*tails, strict=True)]
    assert mixture.last == mixture.alpha
    whole = [mean_alpha(of_run(straight.points, number)) for number in (2, 5)]
    assert mixture.trajectory_mean == [fmean(shares) for shares in zip(*whole, strict=True)]
    assert mixture.interval == interval_over_seeds(tails)
    # By hand: two seeds are apart by 2 s / sqrt 2, so the half width is t / 2 times the distance.
    assert mixture.interval is not None
    for (low, high), one, other in zip(mixture.interval, *tails, strict=True):
        middle, half = (one + other) / 2, 12.706205 / 2 * abs(one - other)
        assert low == pytest.approx(max(0.0, middle - half))
        assert high == pytest.approx(min(1.0, middle + half))


def test_without_bounds_nothing_is_reported_as_unconstrained(tmp_path: Path) -> None:
    learning = LEARNING | {"unconstrained": True}
    spec = tiny_spec(tmp_path / "domains", learning=learning, evaluation={"enabled": False})
    recorder = run(spec, tmp_path / "out")
    assert result_of(recorder).mixture.unconstrained is None
    assert len(recorder.points) == EPISODES


def test_the_order_in_which_domains_are_named_changes_nothing(
    spec: JobSpec, tmp_path: Path
) -> None:
    shares = {"cedar": 0.2, "apples": 0.5, "brass": 0.3}
    learning = spec.learning.model_dump(exclude_unset=True)
    learning["prior"] = {"kind": "custom", "shares": shares, "pull": 1.0}
    asked = spec.evolve(learning=learning)
    learning["prior"]["shares"] = dict(sorted(shares.items()))
    turned = spec.evolve(learning=learning, domains=spec.domains[::-1])
    one, other = run(asked, tmp_path / "a"), run(turned, tmp_path / "b")
    assert one.points == other.points
    assert result_of(one).mixture == result_of(other).mixture


def test_a_pull_keeps_a_job_near_its_prior(spec: JobSpec, tmp_path: Path) -> None:
    shares = {"apples": 0.5, "brass": 0.3, "cedar": 0.2}
    small = spec.learning.model_dump(exclude_unset=True) | {
        "seeds": 1,
        "restarts": 0,
        "unconstrained": False,
    }

    def learned(pull: float) -> list[float]:
        prior = {"kind": "custom", "shares": shares, "pull": pull}
        out = tmp_path / str(pull)
        return result_of(run(spec.evolve(learning=small | {"prior": prior}), out)).mixture.alpha

    free, pulled, held = (
        sum(abs(a - b) for a, b in zip(learned(pull), shares.values(), strict=True))
        for pull in (0.0, 1.0, 1e9)
    )
    assert held < 1e-6 < pulled < free


def test_mixtures_of_ones_own_are_compared_after_the_free_rules(tmp_path: Path) -> None:
    custom = {
        "mine": {"cedar": 0.5, "apples": 0.25, "brass": 0.25},
        "Half": {"apples": 0.5, "brass": 0.5, "cedar": 0.0},
    }
    evaluation = {"steps": 2, "seeds": 1, "mixtures": ["uniform"], "custom": custom}
    spec = tiny_spec(tmp_path / "domains", learning=LEARNING, evaluation=evaluation)
    recorder = run(spec, tmp_path / "out")
    rows = {row.mixture: row for row in result_of(recorder).stage_two}
    assert rows["mine"].alpha == [0.25, 0.25, 0.5]
    assert rows["Half"].alpha == [0.5, 0.5, 0.0]
    assert rows["Half"].epochs[2] == 0.0
    names = [r.mixture for r in recorder.records if r.type == "stage_two_run"]  # type: ignore[attr-defined]
    assert names == ["tandem", "uniform", "Half", "mine"]
