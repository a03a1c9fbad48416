from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.demo_results import CORPUS, RESULT

from demo import run as demo_run
from demo.corpus.texts import CorpusError
from demo.job import HELD_OUT, demo_spec
from demo.run import Clock, DemoError, main, print_results, run_job, write_results
from tandem_engine.contracts.records import ResultRecord
from tandem_engine.presets import resolve


def job(state: str, **more: Any) -> dict[str, Any]:
    resolved = resolve(demo_spec(Path("/corpus"), CORPUS)).model_dump()
    base = {"id": "job_1", "state": state, "phase": None, "progress": None, "alpha": None}
    return base | {"spec": resolved, "result": None, "error": None} | more


# Its methods have the names and arguments of the real client.
class FakeClient:
    """Answers as the service would, one job state after the other."""

    def __init__(self, *jobs: dict[str, Any]) -> None:
        self.jobs = list(jobs)
        self.submitted: dict[str, Any] = {}
        self.cancelled: list[str] = []

    def submit(self, spec: dict[str, Any], *, name: str) -> dict[str, Any]:  # noqa: ARG002
        self.submitted = spec
        return self.jobs.pop(0)

    def job(self, job_id: str) -> dict[str, Any]:  # noqa: ARG002
        return self.jobs.pop(0)

    def sleep(self, seconds: float) -> None:  # noqa: ARG002
        if not self.jobs:
            raise KeyboardInterrupt

    def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)

    def iter_trajectory(self, job_id: str, *, follow: bool) -> Iterator[dict[str, Any]]:  # noqa: ARG002
        assert not follow
        for step, share in ((10, 0.5), (20, 0.9), (20, 0.6)):
            yield {"step": step, "alpha": {"code": share, "legal": 1 - share}}

    def trajectory_csv(self, job_id: str) -> str:  # noqa: ARG002
        return "episode,step\n1,10\n2,20\n"

    def download_manifest(self, job_id: str, folder: Path) -> None:  # noqa: ARG002
        folder.mkdir()
        (folder / "manifest.json").write_text("{}", encoding="utf-8")


def submit(client: FakeClient) -> dict[str, Any]:
    return run_job(client, Path("/corpus"), CORPUS, 7, Clock())  # type: ignore[arg-type]


def test_the_job_is_valid_and_takes_everything_else_from_the_preset() -> None:
    spec = demo_spec(Path("/a corpus"), CORPUS, seed=3)
    assert spec.domains[0].uris == ["file:///a%20corpus/code.jsonl"]
    resolved = resolve(spec)
    assert resolved.preset == "tiny-restricted"
    assert resolved.split.test_fraction == resolved.split.validation_fraction == HELD_OUT
    assert resolved.seed == 3


def test_a_job_is_followed_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    client = FakeClient(job("queued"), job("running", phase="learning"), job("succeeded"))
    assert submit(client)["state"] == "succeeded"
    assert client.submitted["seed"] == 7
    assert "preset" not in client.submitted
    assert client.cancelled == []
    assert "learning" in capsys.readouterr().out


def test_an_interrupt_cancels_the_job() -> None:
    client = FakeClient(job("queued"))
    with pytest.raises(KeyboardInterrupt):
        submit(client)
    assert client.cancelled == ["job_1"]


def test_a_failed_job_says_why_and_what_to_do() -> None:
    error = {"message": "the loss is not finite", "hint": "lower the learning rate"}
    client = FakeClient(job("failed", error=error))
    with pytest.raises(DemoError, match="failed: the loss is not finite; lower the learning rate"):
        submit(client)


def test_the_results_are_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = job("succeeded", result=RESULT.model_dump())
    result = write_results(FakeClient(), done, CORPUS, tmp_path, Clock())  # type: ignore[arg-type]
    assert isinstance(result, ResultRecord)
    print_results(result, tmp_path)
    printed = capsys.readouterr().out
    for name in ("report.md", "trajectory.png", "comparison.png", "mixture.json", "manifest/"):
        assert (tmp_path / name).exists()
        assert name in printed
    assert (tmp_path / "trajectory.csv").read_text(encoding="utf-8").startswith("episode,step")
    assert "Verdict, better: The learned mixture is best." in printed


def test_a_step_that_was_written_again_counts_with_its_later_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr("demo.plots.draw_trajectory", lambda *arguments: drawn.extend(arguments))
    done = job("succeeded", result=RESULT.model_dump())
    write_results(FakeClient(), done, CORPUS, tmp_path, Clock())  # type: ignore[arg-type]
    assert drawn[0].steps == [0, 10, 20]
    assert drawn[0].alpha == [[0.5, 0.5], [0.5, 0.5], [0.6, 0.4]]


def test_what_the_user_can_mend_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise CorpusError("the package x is not installed")

    monkeypatch.setattr(demo_run, "run", fail)
    monkeypatch.setattr(demo_run.signal, "signal", lambda *_: None)
    assert main(["--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "demo: the package x is not installed\n"
