"""`tandem compare`: what it sends, shows, writes and returns."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest
import yaml
from typer.testing import CliRunner

from client import cli
from client.specs import SpecFileError, read_comparison

ROW: dict[str, Any] = {
    "entry": "tandem",
    "seeds_done": 1,
    "seeds_total": 2,
    "average_perplexity": 27.1,
    "average_perplexity_sd": None,
    "learning_seconds": 42.0,
    "failures": [],
}
CELL = {"entry": "tandem", "seed": 0, "reused": True, "episode": 5, "total_episodes": 26}
RUNNING: dict[str, Any] = {
    "id": "cmp_1",
    "state": "running",
    "cells": [CELL | {"state": "succeeded"}, CELL | {"state": "running", "seed": 1}],
    "table": {"entries": [ROW]},
}
SPEC = {
    "base": {"domains": [{"name": "code", "uris": ["code.jsonl"]}]},
    "entries": ["tandem", {"name": "small", "model": {"path": "models/small/v1"}}],
}


class FakeClient:
    """Answers like a service with one comparison that ends at the third look."""

    def __init__(self, state: str) -> None:
        failures = [] if state == "succeeded" else ["seed 1: diverged: a loss is not finite"]
        row = ROW | {"failures": failures}
        self.ended = RUNNING | {"state": state, "table": {"entries": [row]}}
        self.sent: dict[str, Any] = {}
        self._looks = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def sleep(self, seconds: float) -> None:
        assert seconds > 0

    def compare(self, spec: dict[str, Any], **options: object) -> dict[str, Any]:
        self.sent = {"spec": spec} | options
        return RUNNING

    def comparison(self, _: str) -> dict[str, Any]:
        self._looks += 1
        return RUNNING if self._looks < 3 else self.ended

    def comparisons(self, *, limit: int) -> list[dict[str, Any]]:
        listed = {"name": "peers", "cells_by_state": {"succeeded": 7, "failed": 2}}
        return [self.ended | listed | {"created_at": "2026-01-01T00:00:00Z"}][:limit]

    def wait_for_comparison(self, _: str) -> dict[str, Any]:
        return self.ended

    def comparison_report(self, _: str, kind: str) -> str:
        return f"the {kind} report"


Run = Callable[..., tuple[Any, FakeClient]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    file = tmp_path / "peers.yaml"
    file.write_text(yaml.safe_dump(SPEC))

    def run(
        *arguments: str, state: str = "succeeded", command: tuple[str, ...] = ("compare", str(file))
    ) -> tuple[Any, FakeClient]:
        client = FakeClient(state)
        monkeypatch.setenv("TANDEM_API_KEY", "tnd_a_b")
        monkeypatch.setattr(cli, "TandemClient", lambda *_: client)
        return CliRunner().invoke(cli.app, [*command, *arguments]), client

    return run


def test_reports_lie_in_the_folder_when_all_cells_have_ended(run: Run, tmp_path: Path) -> None:
    result, client = run("--out", str(tmp_path / "out"), "--name", "peers")
    assert result.exit_code == 0, result.output
    assert client.sent["name"] == "peers"
    assert client.sent["reuse"] is True
    written = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert written == {
        "comparison.json": "the json report",
        "comparison.csv": "the csv report",
        "comparison.md": "the markdown report",
        "comparison.html": "the html report",
    }
    assert "27.100" in result.output
    assert "2 reused" in result.output


@pytest.mark.parametrize(("state", "code"), [("partial", 3), ("failed", 1)])
def test_failed_cells_are_told_and_in_the_exit_code(
    run: Run, tmp_path: Path, state: str, code: int
) -> None:
    result, _ = run("--out", str(tmp_path / "out"), state=state)
    assert result.exit_code == code
    assert "tandem, seed 1: diverged: a loss is not finite" in result.output


def test_json_output_is_json(run: Run, tmp_path: Path) -> None:
    result, _ = run("--out", str(tmp_path / "out"), "--json")
    assert json.loads(result.output)["state"] == "succeeded"


def test_without_waiting_only_the_id_is_printed(run: Run) -> None:
    result, client = run("--no-wait", "--no-reuse")
    assert result.output == "cmp_1\n"
    assert client.sent["reuse"] is False


def test_reports_can_be_fetched_later(run: Run, tmp_path: Path) -> None:
    result, _ = run("--out", str(tmp_path / "out"), state="partial", command=("report", "cmp_1"))
    assert result.exit_code == 3
    assert (tmp_path / "out" / "comparison.html").read_text() == "the html report"


def test_comparisons_are_listed_with_their_cells(run: Run) -> None:
    result, _ = run(command=("comparisons",))
    assert "cmp_1" in result.output
    assert "7/9" in result.output


def test_paths_of_the_base_are_taken_from_the_files_folder(run: Run, tmp_path: Path) -> None:
    _, client = run("--no-wait")
    uris = client.sent["spec"]["base"]["domains"][0]["uris"]
    assert uris == [str(tmp_path / "code.jsonl")]
    path = client.sent["spec"]["entries"][1]["model"]["path"]
    assert path == str(tmp_path / "models/small/v1")


@pytest.mark.parametrize(
    ("text", "words"),
    [("[1, 2", "is not YAML"), ("- 1", "holds no YAML object; it should be a comparison")],
)
def test_a_file_that_is_no_comparison_is_told(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(SpecFileError, match=words):
        read_comparison(str(file))
