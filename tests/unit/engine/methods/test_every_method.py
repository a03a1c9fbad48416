"""What holds for every method: it ends with a mixture, costs what it said, and can be resumed."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.conversations import sft_spec
from support.corpora import texts, write_jsonl
from support.tiny_jobs import Recorder, tiny_spec

from tandem_engine.contracts.methods.registry import METHOD_NAMES
from tandem_engine.contracts.records import CheckpointRecord, ResultRecord
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.errors import StopRequestedError
from tandem_engine.job import run_job
from tandem_engine.methods.registry import METHODS

SETTINGS: dict[str, dict[str, Any]] = {
    "doremi": {"rounds": 2, "eta": 20.0},
    "doge": {"mu": 0.001},
    "aioli": {"rounds": 3, "validation_sequences": 2},
    "skill_it": {"validation_sequences": 2},
    "regmix": {"proxies": 4, "candidates": 200, "averaged": 5, "validation_sequences": 2},
    "mixing_laws": {"proxies": 4, "starts": 2, "validation_sequences": 2},
    "chameleon": {"embedded_sequences": 4},
    "scalebio": {"mixture_learning_rate": 0.1},
}
RULES = ("uniform", "natural", "temperature", "unimax")


def spec_of(kind: str, folder: Path, **changes: Any) -> JobSpec:
    spec = tiny_spec(
        folder,
        method={"kind": kind} | SETTINGS.get(kind, {}),
        evaluation={"enabled": False},
        manifest={"target_tokens": 500},
    )
    learning = spec.learning.model_dump(exclude_unset=True) | {"checkpoint_every": 1}
    return spec.evolve(learning=learning, **changes)


def run(spec: JobSpec, out: Path, attempt: int = 1, stop_after: int | None = None) -> Recorder:
    recorder = Recorder(stop_after)
    run_job(spec, out, emit=recorder, attempt=attempt, stop=recorder.stop)
    return recorder


def result_of(recorder: Recorder) -> ResultRecord:
    last = recorder.records[-1]
    assert isinstance(last, ResultRecord)
    return last


def test_every_kind_of_settings_has_a_method() -> None:
    assert set(METHODS) == set(METHOD_NAMES)


@pytest.fixture(scope="module", params=METHOD_NAMES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def spec(kind: str, tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    return spec_of(kind, tmp_path_factory.mktemp("domains"))


@pytest.fixture(scope="module")
def straight(spec: JobSpec, tmp_path_factory: pytest.TempPathFactory) -> Recorder:
    return run(spec, tmp_path_factory.mktemp("job"))


def test_a_job_ends_with_a_mixture_on_the_simplex(
    kind: str, spec: JobSpec, straight: Recorder
) -> None:
    result = result_of(straight)
    assert result.method == kind
    assert len(straight.points) == spec.run_length.episodes
    assert straight.points[-1].step == spec.run_length.steps
    for alpha in [result.mixture.alpha, *(point.alpha for point in straight.points)]:
        assert sum(alpha) == pytest.approx(1.0, abs=1e-12)
        assert min(alpha) >= 0.0


def test_a_job_costs_what_its_settings_said(spec: JobSpec, straight: Recorder) -> None:
    length, work = spec.run_length, result_of(straight).work
    assert work is not None
    planned = (length.trained_rows + length.read_rows / 3) / spec.training.batch_size
    assert work.proxy_steps == pytest.approx(planned)
    assert work.tokens == pytest.approx(planned * 6 * 16)


def test_a_method_that_learns_moves_alpha(kind: str, straight: Recorder) -> None:
    if kind not in RULES:
        assert result_of(straight).mixture.alpha != pytest.approx([1 / 3] * 3, abs=1e-6)


def test_the_order_in_which_domains_are_named_changes_nothing(
    spec: JobSpec, straight: Recorder, tmp_path: Path
) -> None:
    assert run(spec.evolve(domains=spec.domains[::-1]), tmp_path).points == straight.points


def test_a_job_stopped_at_checkpoints_all_along_ends_as_if_it_had_not_been(
    spec: JobSpec, straight: Recorder, tmp_path: Path
) -> None:
    checkpoints = sum(isinstance(record, CheckpointRecord) for record in straight.records)
    for checkpoint in range(1, checkpoints, max(1, checkpoints // 6)):
        out = tmp_path / str(checkpoint)
        with pytest.raises(StopRequestedError):
            run(spec, out, stop_after=checkpoint)
        second = run(spec, out, attempt=2)
        assert second.points == straight.points
        assert result_of(second).mixture == result_of(straight).mixture
        assert result_of(second).work == result_of(straight).work


def test_bounds_hold_for_the_answer(spec: JobSpec, tmp_path: Path) -> None:
    bounds = {"apples": {"minimum_share": 0.5}, "cedar": {"maximum_share": 0.1}}
    domains = [d.model_dump(exclude_unset=True) | bounds.get(d.name, {}) for d in spec.domains]
    alpha = result_of(run(spec.evolve(domains=domains), tmp_path)).mixture.alpha
    assert alpha[0] >= 0.5 - 1e-12
    assert alpha[2] <= 0.1 + 1e-12


def test_targets_may_stand_in_for_the_domains_own_validation(kind: str, tmp_path: Path) -> None:
    target = write_jsonl(tmp_path / "target.jsonl", texts("exam question", 30, length=60))
    spec = spec_of(
        kind, tmp_path / "domains", targets=[{"name": "exam", "uris": [target.as_uri()]}]
    )
    result = result_of(run(spec, tmp_path / "job"))
    assert sum(result.mixture.alpha) == pytest.approx(1.0, abs=1e-12)


def test_fine_tuning_works_with_every_method(kind: str, tmp_path: Path) -> None:
    plain = sft_spec(tmp_path / "data")
    spec = plain.evolve(
        method={"kind": kind} | SETTINGS.get(kind, {}),
        learning=plain.learning.model_dump(exclude_unset=True) | {"total_steps": 40},
        evaluation={
            "steps": 2,
            "seeds": 1,
            "mixtures": [],
            "metric_records": 2,
            "metric_tokens": 2,
        },
    )
    result = result_of(run(spec, tmp_path / "out"))
    assert sum(result.mixture.alpha) == pytest.approx(1.0, abs=1e-12)
    (row,) = result.stage_two
    assert row.mixture == kind
    assert row.metrics is not None


def test_the_manifest_and_the_table_name_the_method(kind: str, tmp_path: Path) -> None:
    evaluation = {"steps": 4, "seeds": 2, "mixtures": ["uniform", "natural"], "test_sequences": 4}
    spec = spec_of(kind, tmp_path / "data", evaluation=evaluation)
    result = result_of(run(spec, tmp_path / "out"))
    head = json.loads((tmp_path / "out" / "manifest" / "manifest.json").read_text())
    assert head["method"] == kind
    assert {row.mixture for row in result.stage_two} == {kind, "uniform", "natural"}


def test_a_rule_with_settings_of_its_own_is_tested_with_them(tmp_path: Path) -> None:
    evaluation = {"steps": 4, "seeds": 1, "mixtures": ["temperature"], "test_sequences": 4}
    spec = spec_of("temperature", tmp_path / "data", evaluation=evaluation)
    own = spec.evolve(method={"kind": "temperature", "temperature": 0.9})
    result = result_of(run(own, tmp_path / "out"))
    (row,) = result.stage_two
    assert row.alpha == result.mixture.alpha
    assert row.alpha != result_of(run(spec, tmp_path / "quarter")).mixture.alpha
