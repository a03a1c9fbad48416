"""A whole job on a tiny model: the same twice, the same after any interruption."""

import json
from pathlib import Path

import pytest
from support.tiny_jobs import Recorder, tiny_spec

from tandem_engine.contracts.records import ResultRecord, ResumedRecord, StageTwoRun
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.errors import CheckpointError, StopRequestedError
from tandem_engine.job import run_job

CHECKPOINTS = 3 + 2 * 4  # every second of 6 episodes; two models x two seeds, in mid-run and after


def run(spec: JobSpec, out: Path, attempt: int = 1, stop_after: int | None = None) -> Recorder:
    recorder = Recorder(stop_after)
    run_job(spec, out, emit=recorder, attempt=attempt, stop=recorder.stop)
    return recorder


def comparable(result: ResultRecord) -> dict[str, object]:
    """The result without what a clock measured."""
    return result.model_dump(exclude={"learning_seconds", "evaluation_seconds"})


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    return tiny_spec(tmp_path_factory.mktemp("domains"))


@pytest.fixture(scope="module")
def straight(spec: JobSpec, tmp_path_factory: pytest.TempPathFactory) -> Recorder:
    return run(spec, tmp_path_factory.mktemp("straight") / "out")


def result_of(recorder: Recorder) -> ResultRecord:
    last = recorder.records[-1]
    assert isinstance(last, ResultRecord)
    return last


def test_a_job_ends_with_a_mixture_a_table_a_verdict_and_a_manifest(straight: Recorder) -> None:
    result = result_of(straight)
    assert result.mixture.domains == ["apples", "brass", "cedar"]
    assert sum(result.mixture.alpha) == pytest.approx(1.0)
    assert {row.mixture for row in result.stage_two} == {"tandem", "uniform"}
    assert result.stage_two[0].average_loss <= result.stage_two[1].average_loss
    assert result.verdict.text
    assert result.manifest.planned_tokens > 0
    assert (result.episodes, result.steps) == (6, 24)


def test_alpha_moves_and_every_point_is_on_the_simplex(straight: Recorder) -> None:
    assert [point.episode for point in straight.points] == [1, 2, 3, 4, 5, 6]
    assert [point.step for point in straight.points] == [4, 8, 12, 16, 20, 24]
    for point in straight.points:
        assert sum(point.alpha) == pytest.approx(1.0, abs=1e-12)
        assert min(point.alpha) >= 0.0
    assert straight.points[-1].travel > 0.01
    assert straight.points[-1].train_loss[0] < straight.points[0].train_loss[0]


def test_the_same_specification_gives_bitwise_the_same_trajectory(
    spec: JobSpec, straight: Recorder, tmp_path: Path
) -> None:
    again = run(spec, tmp_path)
    assert again.points == straight.points
    assert comparable(result_of(again)) == comparable(result_of(straight))


def test_the_order_in_which_domains_are_named_changes_nothing(
    spec: JobSpec, straight: Recorder, tmp_path: Path
) -> None:
    turned = spec.evolve(domains=spec.domains[::-1])
    assert run(turned, tmp_path).points == straight.points


def test_another_seed_gives_another_trajectory(
    spec: JobSpec, straight: Recorder, tmp_path: Path
) -> None:
    other = spec.evolve(seed=8, evaluation={"enabled": False})
    assert run(other, tmp_path).points != straight.points


@pytest.mark.parametrize("checkpoint", range(1, CHECKPOINTS + 1))
def test_a_job_stopped_at_any_checkpoint_ends_as_if_it_had_not_been(
    spec: JobSpec, straight: Recorder, tmp_path: Path, checkpoint: int
) -> None:
    try:
        first = run(spec, tmp_path, attempt=1, stop_after=checkpoint)
    except StopRequestedError:
        second = run(spec, tmp_path, attempt=2)
        resumed = [r for r in second.records if isinstance(r, ResumedRecord)]
        assert [r.from_attempt for r in resumed] == [1]
        assert second.points == straight.points  # those before the checkpoint are said again
    else:
        assert checkpoint == CHECKPOINTS  # nothing was left to stop
        second = first
    assert comparable(result_of(second)) == comparable(result_of(straight))


def test_the_same_command_again_goes_on_and_after_the_end_says_the_end_again(
    spec: JobSpec, straight: Recorder, tmp_path: Path
) -> None:
    with pytest.raises(StopRequestedError):
        run(spec, tmp_path, stop_after=2)
    for _ in range(2):
        assert comparable(result_of(run(spec, tmp_path))) == comparable(result_of(straight))


def test_a_killed_attempt_leaves_work_that_the_next_one_repeats_bitwise(
    spec: JobSpec, straight: Recorder, tmp_path: Path
) -> None:
    class KilledError(Exception):
        pass

    class DiesInEpisode(Recorder):
        def __call__(self, record: object) -> None:
            super().__call__(record)  # type: ignore[arg-type]
            if len(self.points) == 5:
                raise KilledError

    with pytest.raises(KilledError):
        run_job(spec, tmp_path, emit=DiesInEpisode())
    second = run(spec, tmp_path, attempt=2)
    resumed = [r.episode for r in second.records if isinstance(r, ResumedRecord)]
    assert resumed == [4]
    assert second.points == straight.points


def test_a_torn_checkpoint_is_skipped_for_the_one_before(
    spec: JobSpec, straight: Recorder, tmp_path: Path
) -> None:
    with pytest.raises(StopRequestedError):
        run(spec, tmp_path, stop_after=2)
    newest = max(tmp_path.glob("checkpoints/attempt-0001/*.pt"))
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    newest.write_bytes(content)
    second = run(spec, tmp_path, attempt=2)
    assert [r.episode for r in second.records if isinstance(r, ResumedRecord)] == [2]
    assert comparable(result_of(second)) == comparable(result_of(straight))


def test_a_checkpoint_of_another_specification_is_refused(spec: JobSpec, tmp_path: Path) -> None:
    with pytest.raises(StopRequestedError):
        run(spec, tmp_path, stop_after=1)
    with pytest.raises(CheckpointError, match="another specification") as caught:
        run(spec.evolve(seed=8), tmp_path, attempt=2)
    assert "empty folder" in caught.value.hint


def test_only_the_newest_checkpoints_stay_on_disk(spec: JobSpec, tmp_path: Path) -> None:
    run(spec.evolve(evaluation={"enabled": False}), tmp_path)
    names = sorted(path.name for path in tmp_path.glob("checkpoints/*/*.pt"))
    assert names == ["checkpoint-000002.pt", "checkpoint-000003.pt"]


def test_without_stage_two_the_verdict_says_that_nothing_is_known(
    spec: JobSpec, tmp_path: Path
) -> None:
    result = result_of(run(spec.evolve(evaluation={"enabled": False}), tmp_path))
    assert result.stage_two == []
    assert result.verdict.outcome in {"not_evaluated", "no_effect"}


def test_the_files_of_a_job_agree_with_its_records(
    spec: JobSpec, straight: Recorder, tmp_path: Path
) -> None:
    recorder = run(spec, tmp_path)
    written = json.loads((tmp_path / "result.json").read_text())
    assert ResultRecord.model_validate(written) == result_of(recorder)
    rows = (tmp_path / "trajectory.csv").read_text().splitlines()
    assert rows[0].startswith("episode,step,delta_cosine,")
    assert "alpha:apples,alpha:brass,alpha:cedar" in rows[0]
    assert len(rows) == 1 + len(straight.points)
    column = rows[0].split(",").index("alpha:brass")
    assert [float(row.split(",")[column]) for row in rows[1:]] == [
        point.alpha[1] for point in straight.points
    ]


def test_stage_two_models_of_one_seed_differ_only_by_their_mixture(straight: Recorder) -> None:
    runs = [record for record in straight.records if isinstance(record, StageTwoRun)]
    assert [(r.mixture, r.seed) for r in runs] == [
        ("tandem", 0),
        ("uniform", 0),
        ("tandem", 1),
        ("uniform", 1),
    ]
    assert runs[0].test_loss != runs[1].test_loss
    assert runs[0].test_loss != runs[2].test_loss


@pytest.mark.parametrize(
    "learning",
    [
        {"sampling": "sampled"},
        {"reference_moments": "clone"},
        {"reference_moments": "fresh"},
        {"mixture_step": "raw", "mixture_learning_rate": 1.0, "validation_reduction": "sum"},
        {"mixture_step": "exponentiated", "mixture_learning_rate": 1.0},
        {"synchronise": False},
        {"free_steps": 0},
        {"prior": {"kind": "natural", "pull": 0.5}},
    ],
)
def test_every_variant_resumes_bitwise(tmp_path: Path, learning: dict[str, object]) -> None:
    base = {"total_steps": 12, "probing_steps": 2, "free_steps": 1, "checkpoint_every": 1}
    spec = tiny_spec(
        tmp_path / "domains",
        learning=base | {"delta_sequences": 4} | learning,
        evaluation={"enabled": False},
    )
    straight = run(spec, tmp_path / "straight")
    with pytest.raises(StopRequestedError):
        run(spec, tmp_path / "broken", stop_after=2)
    assert run(spec, tmp_path / "broken", attempt=2).points == straight.points


def test_a_batch_smaller_than_the_number_of_domains_still_learns(tmp_path: Path) -> None:
    training = {"batch_size": 2, "context_length": 16, "learning_rate": 0.01}
    spec = tiny_spec(tmp_path / "domains", training=training, evaluation={"enabled": False})
    points = run(spec, tmp_path / "out").points
    assert points[-1].travel > 0
    assert points[-1].epochs[2] > 0
