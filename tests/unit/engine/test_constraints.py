"""Learning under bounds on the shares: the constrained optimum, and a whole job within them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.problems import MeanMatching
from support.tiny_jobs import Recorder, tiny_spec

from tandem_engine import polytope
from tandem_engine.bilevel import BilevelSettings, solve
from tandem_engine.contracts.records import ResultRecord
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import load_corpus
from tandem_engine.errors import InvalidSpecError, StopRequestedError
from tandem_engine.job import run_job
from tandem_engine.mixture_steps import build_mixture_step
from tandem_engine.presets import resolve
from tandem_engine.stage_one import StageOne

INTERIOR = [[0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.6, 0.2, 0.2]]
SETTINGS = BilevelSettings(
    episodes=300, probing_steps=10, penalty=10.0, lr_proxy=0.3, lr_mixture=0.3
)
NONE, ALL = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        (NONE, (0.4, 1.0, 1.0)),
        ((0.0, 0.0, 0.3), ALL),
        ((0.0, 0.35, 0.0), (0.35, 1.0, 0.22)),
        (NONE, (0.45, 0.32, 1.0)),
        ((0.2, 0.2, 0.2), (0.6, 0.6, 0.6)),
    ],
)
@pytest.mark.parametrize("step", ["raw", "adagrad"])
def test_mean_matching_reaches_the_constrained_closed_form(
    lower: tuple[float, ...], upper: tuple[float, ...], step: str
) -> None:
    # H(alpha) is half the mean squared distance to the b_m, so its minimum over any convex set of
    # mixtures is the projection of the mean of the b_m onto that set.
    problem = MeanMatching(INTERIOR)
    bounds = [torch.tensor(values, dtype=torch.float64) for values in (lower, upper)]
    optimum = polytope.project(problem.validation.mean(dim=0), *bounds)
    found = solve(
        problem, replace(SETTINGS, minimum_share=lower, maximum_share=upper, mixture_step=step)
    )
    assert float((found.mixture - optimum).abs().sum()) < 0.02
    assert bool((found.alpha >= bounds[0]).all())
    assert bool((found.alpha <= bounds[1]).all())
    torch.testing.assert_close(found.alpha.sum(dim=1), torch.ones(301, dtype=torch.float64))


def test_the_start_is_projected_too() -> None:
    settings = replace(SETTINGS, episodes=1, maximum_share=(0.2, 1.0, 1.0))
    start = solve(MeanMatching(INTERIOR), settings).alpha[0]
    torch.testing.assert_close(start, torch.tensor([0.2, 0.4, 0.4], dtype=torch.float64))
    settings = replace(settings, initial_mixture=(1.0, 0.0, 0.0))
    start = solve(MeanMatching(INTERIOR), settings).alpha[0]
    torch.testing.assert_close(start, torch.tensor([0.2, 0.4, 0.4], dtype=torch.float64))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"minimum_share": (0.5, 0.5)}, "minimum_share .* must hold 3 shares"),
        ({"maximum_share": (0.5, 0.5, 1.5)}, "maximum_share .* from 0 to 1"),
        ({"maximum_share": (0.2, 0.2, 0.2)}, "upper bounds sum to 0.6"),
        ({"minimum_share": (0.5, 0.5, 0.5)}, "lower bounds sum to 1.5"),
    ],
)
def test_bounds_that_do_not_fit_the_problem_are_refused(
    change: dict[str, tuple[float, ...]], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        solve(MeanMatching(INTERIOR), replace(SETTINGS, **change))


@pytest.mark.parametrize("kind", ["raw", "adagrad"])
def test_a_step_ends_with_the_projection_that_it_was_given(kind: str) -> None:
    seen: list[torch.Tensor] = []

    def project(point_M: torch.Tensor) -> torch.Tensor:
        seen.append(point_M)
        return torch.tensor([0.25, 0.75])

    step = build_mixture_step(kind, learning_rate=0.1, penalty=1.0, project=project)
    assert step(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0])).tolist() == [0.25, 0.75]
    assert len(seen) == 1


# --- a job on a tiny model ---

Bounds = dict[str, dict[str, float | None]]


def bounded(spec: JobSpec, bounds: Bounds, **changes: object) -> JobSpec:
    """Return `spec` with bounds by domain name."""
    described = [
        domain.model_dump(exclude_unset=True) | bounds.get(domain.name, {})
        for domain in spec.domains
    ]
    return spec.evolve(domains=described, **changes)


def run(spec: JobSpec, out: Path, attempt: int = 1, stop_after: int | None = None) -> Recorder:
    recorder = Recorder(stop_after)
    run_job(spec, out, emit=recorder, attempt=attempt, stop=recorder.stop)
    return recorder


BOUNDS: Bounds = {"apples": {"minimum_share": 0.5}, "cedar": {"maximum_epochs": 1.5}}


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    return bounded(tiny_spec(tmp_path_factory.mktemp("domains")), BOUNDS)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("job") / "out"


@pytest.fixture(scope="module")
def straight(spec: JobSpec, out: Path) -> Recorder:
    return run(spec, out)


def result_of(recorder: Recorder) -> ResultRecord:
    last = recorder.records[-1]
    assert isinstance(last, ResultRecord)
    return last


def test_a_job_keeps_its_bounds_in_every_episode_and_in_the_manifest(
    straight: Recorder, out: Path
) -> None:
    head = json.loads((out / "manifest" / "manifest.json").read_text())
    apples, _, cedar = head["domains"]
    cap = 1.5 * cedar["available_tokens"] / head["target_tokens"]
    for point in straight.points:
        assert point.alpha[0] >= 0.5
        assert point.alpha[2] <= cap
    assert len({tuple(point.alpha) for point in straight.points}) > 1
    assert apples["share"] >= 0.5
    assert cedar["epochs"] <= 1.5 + 1 / cedar["available_tokens"]  # whole tokens


@pytest.mark.parametrize("initial", ["uniform", "natural"])
def test_a_job_starts_within_its_bounds(spec: JobSpec, tmp_path: Path, initial: str) -> None:
    wanted: Bounds = {
        "apples": {"minimum_share": None, "maximum_share": 0.3},
        "cedar": {"minimum_share": 0.5, "maximum_epochs": None},
    }
    learning = spec.learning.model_dump(exclude_unset=True) | {"prior": {"kind": initial}}
    changed = resolve(bounded(spec, wanted, learning=learning))
    corpus = load_corpus(changed, tmp_path, lambda _: None)
    stage_one = StageOne(corpus, changed, torch.device("cpu"))
    assert stage_one.limits is not None
    start = stage_one.first_start()
    assert float(start.sum()) == pytest.approx(1.0)
    assert bool((start >= stage_one.limits.bounds.lower_M).all())
    assert bool((start <= stage_one.limits.bounds.upper_M).all())


def test_the_verdict_names_the_bounds_that_held_and_the_rules_that_break_them(
    straight: Recorder,
) -> None:
    result = result_of(straight)
    cedar = result.mixture.alpha[2]
    cap = 1.5 * result.domains[2].train_tokens / sum(d.train_tokens for d in result.domains)
    assert cedar == pytest.approx(cap, abs=1e-12)
    assert f"the cap of 1.5 epochs holds for domain cedar at {cap:.4g}" in result.verdict.warnings
    assert result.verdict.warnings[-1].endswith("baselines: uniform")
    (uniform,) = [row for row in result.stage_two if row.mixture == "uniform"]
    assert np.allclose(uniform.alpha, 1 / 3)


def test_a_bounded_job_that_was_stopped_ends_as_if_it_had_not_been(
    spec: JobSpec, straight: Recorder, tmp_path: Path
) -> None:
    with pytest.raises(StopRequestedError):
        run(spec, tmp_path, stop_after=2)
    second = run(spec, tmp_path, attempt=2)
    assert second.points == straight.points
    clocks = {"learning_seconds", "evaluation_seconds"}
    assert result_of(second).model_dump(exclude=clocks) == result_of(straight).model_dump(
        exclude=clocks
    )


def test_bounds_that_cannot_bind_leave_the_trajectory_bitwise_as_it_was(tmp_path: Path) -> None:
    free = tiny_spec(tmp_path / "domains", evaluation={"enabled": False})
    wide: Bounds = {
        name: {"maximum_epochs": 1000.0, "minimum_share": 0.0} for name in free.domain_names
    }
    assert run(bounded(free, wide), tmp_path / "b").points == run(free, tmp_path / "a").points


def test_caps_that_the_data_contradict_end_the_job_before_it_learns(
    spec: JobSpec, tmp_path: Path
) -> None:
    tight: Bounds = {
        name: {"maximum_epochs": 0.25, "minimum_share": None} for name in spec.domain_names
    }
    recorder = Recorder()
    with pytest.raises(InvalidSpecError, match="together allow 25") as caught:
        run_job(bounded(spec, tight), tmp_path, emit=recorder)
    assert caught.value.field == "manifest.target_tokens"
    assert recorder.points == []
