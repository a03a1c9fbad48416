"""The runs of a job, their order and the roots of their randomness."""

import pytest

from service.jobs.views import total_episodes
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.learning_plan import PlannedRun, has_bounds, plan_runs

PLAIN = [{"name": name, "uris": [f"/{name}.jsonl"]} for name in ("a", "b")]
CAPPED = [PLAIN[0], PLAIN[1] | {"maximum_share": 0.4}]


def spec(domains: list[dict[str, object]] = PLAIN, **learning: object) -> JobSpec:
    return JobSpec.model_validate({"domains": domains, "learning": learning, "seed": 9})


def kinds(spec: JobSpec) -> list[tuple[int, int, bool]]:
    return [(run.seed, run.restart, run.bounded) for run in plan_runs(spec)]


def test_by_default_there_is_one_run() -> None:
    assert plan_runs(spec()) == [PlannedRun(run=0, seed=0, restart=0, bounded=True)]


def test_seeds_follow_each_other_each_with_its_restarts() -> None:
    assert kinds(spec(seeds=2, restarts=2)) == [
        (0, 0, True),
        (0, 1, True),
        (0, 2, True),
        (1, 0, True),
        (1, 1, True),
        (1, 2, True),
    ]


def test_each_seed_has_one_run_without_bounds_and_ends_within_them() -> None:
    assert kinds(spec(CAPPED, seeds=2, restarts=1, unconstrained=True)) == [
        (0, 0, False),
        (0, 0, True),
        (0, 1, True),
        (1, 0, False),
        (1, 0, True),
        (1, 1, True),
    ]


def test_without_bounds_there_is_nothing_to_free() -> None:
    assert kinds(spec(seeds=2, unconstrained=True)) == [(0, 0, True), (1, 0, True)]


@pytest.mark.parametrize("bound", ["minimum_share", "maximum_share", "maximum_epochs"])
def test_every_kind_of_bound_counts(bound: str) -> None:
    assert has_bounds(spec([PLAIN[0], PLAIN[1] | {bound: 0.4}]))
    assert not has_bounds(spec())


def test_runs_are_numbered_by_their_place() -> None:
    plan = plan_runs(spec(CAPPED, seeds=3, restarts=1, unconstrained=True))
    assert [run.run for run in plan] == list(range(9))


def test_the_first_run_has_the_root_of_the_specification() -> None:
    (run,) = plan_runs(spec())
    assert (run.weights_root(9), run.data_root(9)) == (9, 9)


def test_runs_of_a_seed_share_their_weights_and_restarts_their_data_with_none() -> None:
    plan = plan_runs(spec(CAPPED, seeds=3, restarts=2, unconstrained=True))
    weights = {run.seed: {r.weights_root(9) for r in plan if r.seed == run.seed} for run in plan}
    assert [len(roots) for roots in weights.values()] == [1, 1, 1]
    assert len(set.union(*weights.values())) == 3
    data = [run.data_root(9) for run in plan if run.bounded]
    assert len(set(data)) == len(data) == 9
    free = [run for run in plan if not run.bounded]
    first = [run for run in plan if run.bounded and run.restart == 0]
    assert [r.data_root(9) for r in free] == [r.data_root(9) for r in first]


@pytest.mark.parametrize("domains", [PLAIN, CAPPED])
@pytest.mark.parametrize("asked_for", [{}, {"unconstrained": True}])
@pytest.mark.parametrize(("seeds", "restarts"), [(1, 0), (3, 0), (1, 2), (2, 1)])
def test_the_service_counts_the_episodes_of_the_same_runs(
    domains: list[dict[str, object]], asked_for: dict[str, bool], seeds: int, restarts: int
) -> None:
    asked = spec(domains, seeds=seeds, restarts=restarts, **asked_for)
    expected = len(plan_runs(asked)) * asked.learning.episodes
    assert total_episodes(asked.model_dump(mode="json")) == expected


def test_the_service_still_counts_the_episodes_of_older_specifications() -> None:
    old = spec().model_dump(mode="json")
    for name in ("seeds", "restarts", "unconstrained"):
        del old["learning"][name]
    assert total_episodes(old) == spec().learning.episodes
