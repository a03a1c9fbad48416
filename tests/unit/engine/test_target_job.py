"""A mixture learned for targets: the weights of what is asked for decide."""

from pathlib import Path
from typing import Any

import pytest
import torch
from support.corpora import texts, write_jsonl
from support.tiny_jobs import Recorder, tiny_spec

from tandem_engine.contracts.records import ResultRecord, StageTwoRun
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import load_corpus
from tandem_engine.errors import StopRequestedError
from tandem_engine.job import run_job
from tandem_engine.language_model import LanguageModelObjective
from tandem_engine.presets import resolve

LONGER = {
    "total_steps": 120,
    "probing_steps": 5,
    "free_steps": 1,
    "checkpoint_every": 10,
    "delta_sequences": 8,
}


def targeted(folder: Path, weights: dict[str, float], **settings: Any) -> JobSpec:
    """Return a job whose targets resemble the domains apples and cedar."""
    spec = tiny_spec(folder, **settings)
    records = {
        "like apples": texts("apple", 160, length=60)[100:],
        "like cedar": texts("CEDAR", 160, length=60)[100:],
    }
    described = [
        {
            "name": name,
            "uris": [str(write_jsonl(folder / f"{name}.jsonl", records[name]))],
            "weight": weight,
        }
        for name, weight in weights.items()
    ]
    return spec.evolve(targets=described)


BOTH = {"like apples": 3.0, "like cedar": 1.0}


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    return targeted(tmp_path_factory.mktemp("data"), BOTH)


@pytest.fixture(scope="module")
def straight(
    spec: JobSpec, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Recorder, ResultRecord]:
    recorder = Recorder()
    return recorder, run_job(spec, tmp_path_factory.mktemp("out"), emit=recorder)


def test_stage_two_tests_on_the_targets_by_their_weights(
    straight: tuple[Recorder, ResultRecord],
) -> None:
    recorder, result = straight
    assert result.evaluated_on == ["like apples", "like cedar"]
    for run in (record for record in recorder.records if isinstance(record, StageTwoRun)):
        apples, cedar = run.test_loss
        assert run.average_loss == pytest.approx((3 * apples + cedar) / 4)
    assert all(len(point.target_loss or []) == 2 for point in recorder.points)
    assert all(len(point.validation_loss) == 3 for point in recorder.points)


def test_the_validation_loss_is_weighted_as_the_formula_says(spec: JobSpec, tmp_path: Path) -> None:
    resolved = resolve(spec)
    corpus = load_corpus(resolved, tmp_path / "cache", lambda _: None)
    objective = LanguageModelObjective(corpus, resolved, torch.device("cpu"))
    batch = objective.validation_batch()
    losses_K = torch.tensor([2.0, 6.0], dtype=torch.float64)
    losses_R = losses_K[batch.domain_R]
    mean = float((batch.validation_weights("mean", objective.judges) * losses_R).sum())
    total = float((batch.validation_weights("sum", objective.judges) * losses_R).sum())
    assert mean == pytest.approx((3 * 2.0 + 1 * 6.0) / 4)
    assert total == pytest.approx(2 * mean)


def test_the_share_of_the_domain_that_a_target_resembles_rises(tmp_path: Path) -> None:
    shares = {}
    for name in BOTH:
        weights = {other: 1.0 if other == name else 1e-6 for other in BOTH}
        spec = targeted(tmp_path / name, weights, learning=LONGER, evaluation={"enabled": False})
        result = run_job(spec, tmp_path / f"out {name}", emit=Recorder())
        shares[name] = dict(zip(result.mixture.domains, result.mixture.alpha, strict=True))
    assert shares["like apples"]["apples"] > 0.4
    assert shares["like cedar"]["cedar"] > 0.4
    assert shares["like apples"]["apples"] > shares["like cedar"]["apples"] + 0.2


def test_the_order_of_targets_changes_nothing(
    straight: tuple[Recorder, ResultRecord], tmp_path: Path
) -> None:
    turned = targeted(tmp_path / "data", dict(reversed(BOTH.items())))
    recorder = Recorder()
    run_job(turned, tmp_path / "out", emit=recorder)
    assert recorder.points == straight[0].points


def test_a_job_with_targets_resumes_bitwise(
    spec: JobSpec, straight: tuple[Recorder, ResultRecord], tmp_path: Path
) -> None:
    for stop_after in (1, 4):
        out = tmp_path / str(stop_after)
        stopped = Recorder(stop_after_checkpoints=stop_after)
        with pytest.raises(StopRequestedError):
            run_job(spec, out, emit=stopped, stop=stopped.stop)
        resumed = Recorder()
        result = run_job(spec, out, emit=resumed, attempt=2)
        assert resumed.points == straight[0].points
        assert result.stage_two == straight[1].stage_two


def test_targets_are_columns_of_the_trajectory_and_not_in_the_manifest(
    spec: JobSpec, tmp_path: Path
) -> None:
    run_job(spec, tmp_path, emit=Recorder())
    header = (tmp_path / "trajectory.csv").read_text().splitlines()[0].split(",")
    assert header[-2:] == ["target_loss:like apples", "target_loss:like cedar"]
    assert "like apples" not in (tmp_path / "manifest" / "manifest.json").read_text()
