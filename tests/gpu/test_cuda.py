"""A tiny job on CUDA: bitwise the same twice and after a stop; close to the CPU's trajectory."""

from pathlib import Path

import pytest
import torch
from support.tiny_jobs import Recorder, tiny_spec

from tandem_engine.contracts.records import TrajectoryPoint
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.errors import StopRequestedError
from tandem_engine.job import run_job

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def points(
    spec: JobSpec, out: Path, attempt: int = 1, stop_after: int | None = None
) -> list[TrajectoryPoint]:
    recorder = Recorder(stop_after)
    run_job(spec, out, emit=recorder, attempt=attempt, stop=recorder.stop)
    return recorder.points


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    return tiny_spec(tmp_path / "domains", runtime={"device": "cuda"})


def test_the_same_specification_gives_bitwise_the_same_trajectory(
    spec: JobSpec, tmp_path: Path
) -> None:
    assert points(spec, tmp_path / "a") == points(spec, tmp_path / "b")


def test_a_stopped_job_ends_bitwise_as_if_it_had_not_been(spec: JobSpec, tmp_path: Path) -> None:
    with pytest.raises(StopRequestedError):
        points(spec, tmp_path / "b", stop_after=2)
    assert points(spec, tmp_path / "b", attempt=2) == points(spec, tmp_path / "a")


def test_cuda_and_cpu_start_on_the_same_trajectory(spec: JobSpec, tmp_path: Path) -> None:
    on_cpu = points(spec.evolve(runtime={"device": "cpu"}), tmp_path / "cpu")
    on_cuda = points(spec, tmp_path / "cuda")
    assert on_cuda[0].delta == pytest.approx(on_cpu[0].delta, rel=0.02, abs=1e-4)
