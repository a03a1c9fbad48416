"""The `tandem` command: what it finds, prints and returns."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import pytest
from typer.testing import CliRunner

from client import cli
from client.local import NotConfiguredError, find_connection
from client.specs import SpecFileError, read_request

JOB: dict[str, Any] = {
    "id": "job_1",
    "name": "first",
    "state": "running",
    "phase": "learning",
    "attempt": 1,
    "max_attempts": 3,
    "progress": {
        "episode": 4,
        "total_episodes": 40,
        "phase_done": 4,
        "phase_total": 40,
        "message": "",
        "tokens": 81_920,
    },
    "alpha": {"code": 0.25, "manuals": 0.75},
    "error": None,
    "created_at": "2026-01-01T00:00:00Z",
}
ENDED = JOB | {"state": "succeeded"}
FAILED = JOB | {
    "state": "failed",
    "error": {"code": "diverged", "message": "a loss is not finite", "hint": "lower the rate"},
}


class FakeClient:
    """Answers like a service with one job."""

    def __init__(self, final: dict[str, Any]) -> None:
        self.final = final
        self.submitted: dict[str, Any] | None = None
        self._polls = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def sleep(self, seconds: float) -> None:
        assert seconds > 0

    def job(self, _job_id: str) -> dict[str, Any]:
        self._polls += 1
        return JOB if self._polls < 3 else self.final

    def mixture(self, _job_id: str) -> dict[str, Any]:
        return self.final

    def jobs(self, **_: object) -> list[dict[str, Any]]:
        return [self.final]

    def submit(self, spec: dict[str, Any], **options: object) -> dict[str, Any]:
        self.submitted = {"spec": spec} | options
        return JOB


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(*arguments: str, final: dict[str, Any] = ENDED) -> Any:
        client = FakeClient(final)
        monkeypatch.setenv("TANDEM_API_KEY", "tnd_a_b")
        monkeypatch.setattr(cli, "TandemClient", lambda *_: client)
        result = CliRunner().invoke(cli.app, list(arguments))
        return result, client

    return run


def test_a_submitted_file_becomes_a_job_with_paths_from_its_folder(
    run: Any, tmp_path: Path
) -> None:
    file = tmp_path / "job.json"
    file.write_text(json.dumps({"domains": [{"name": "code", "uris": ["code.jsonl", "/x.jsonl"]}]}))
    result, client = run("submit", str(file), "--name", "first")
    assert result.exit_code == 0
    assert result.output == "job_1\n"
    assert client.submitted["name"] == "first"
    uris = client.submitted["spec"]["domains"][0]["uris"]
    assert uris == [str(tmp_path / "code.jsonl"), "/x.jsonl"]


def test_json_output_is_json(run: Any) -> None:
    result, _ = run("list", "--json")
    assert json.loads(result.output)[0]["id"] == "job_1"


def test_a_long_id_is_listed_whole_however_narrow_the_terminal_is(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    whole = "job_01jd8v5m3k2f7q9x4w6z0abcde"
    result, _ = run("list", final=ENDED | {"id": whole})
    assert whole in result.output


def test_a_job_is_shown_with_its_shares(run: Any) -> None:
    result, _ = run("show", "job_1")
    assert "manuals" in result.output
    assert "75.00%" in result.output
    assert "episode 4/40" in result.output


MIXTURE: dict[str, Any] = {
    "shares": {"code": 0.6, "manuals": 0.4},
    "natural": {"code": 0.7, "manuals": 0.3},
    "verdict": {"outcome": "tie", "text": "They are alike.", "warnings": ["alpha moves"]},
    "interval": None,
    "unconstrained": None,
}


def test_a_mixture_is_shown_with_the_natural_shares_and_the_verdict(run: Any) -> None:
    result, _ = run("mixture", "job_1", final=MIXTURE)
    lines = [line.split() for line in result.output.splitlines()]
    assert lines[:3] == [
        ["domain", "share", "natural"],
        ["code", "60.00%", "70.00%"],
        ["manuals", "40.00%", "30.00%"],
    ]
    assert "tie: They are alike." in result.output
    assert "warning: alpha moves" in result.output


def test_a_mixture_of_several_seeds_is_shown_with_its_intervals_and_free_optimum(run: Any) -> None:
    several = {
        "interval": {"code": [0.5, 0.7], "manuals": [0.3, 0.5]},
        "unconstrained": {"code": 0.9, "manuals": 0.1},
    }
    result, _ = run("mixture", "job_1", final=MIXTURE | several)
    lines = result.output.splitlines()
    assert "95 % interval" in lines[0]
    assert "without bounds" in lines[0]
    expected = ["code", "60.00%", "50.00%", "to", "70.00%", "70.00%", "90.00%"]
    assert lines[1].split() == expected


@pytest.mark.parametrize(("final", "code"), [(ENDED, 0), (FAILED, 1)])
def test_watching_ends_with_the_job_and_tells_by_its_exit_code(
    run: Any, final: dict[str, Any], code: int
) -> None:
    result, _ = run("watch", "job_1", final=final)
    assert result.exit_code == code


def test_a_failed_job_is_shown_with_its_hint(run: Any) -> None:
    result, _ = run("watch", "job_1", final=FAILED)
    assert "diverged: a loss is not finite" in result.output
    assert "lower the rate" in result.output


def test_a_request_with_name_and_labels_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    file.write_text(json.dumps({"spec": {"seed": 1}, "name": "n", "labels": {"a": "b"}}))
    assert read_request(str(file)) == {"spec": {"seed": 1}, "name": "n", "labels": {"a": "b"}}


@pytest.mark.parametrize("text", ["{", "[]", '"spec"'])
def test_a_file_that_is_no_specification_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "job.json"
    file.write_text(text)
    with pytest.raises(SpecFileError, match=r"job\.json"):
        read_request(str(file))


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SpecFileError, match=r"none\.json"):
        read_request(str(tmp_path / "none.json"))


def test_a_local_service_is_found_by_what_it_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TANDEM_URL", raising=False)
    monkeypatch.delenv("TANDEM_API_KEY", raising=False)
    monkeypatch.setenv("TANDEM_DATA_DIR", str(tmp_path))
    with pytest.raises(NotConfiguredError, match="TANDEM_API_KEY"):
        find_connection()
    (tmp_path / "api_key").write_text("tnd_a_b\n")
    (tmp_path / "url").write_text("http://127.0.0.1:9999\n")
    found = find_connection()
    assert (found.url, found.api_key) == ("http://127.0.0.1:9999", "tnd_a_b")
    monkeypatch.setenv("TANDEM_URL", "https://tandem.test")
    assert find_connection().url == "https://tandem.test"


def test_the_command_tells_errors_in_a_sentence(tmp_path: Path) -> None:
    environment = {"TANDEM_DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", "from client.cli import main; main()", "list"],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("tandem: no API key")
    assert "Traceback" not in done.stderr


def test_the_client_loads_no_server_and_no_engine() -> None:
    code = (
        "import client.cli, sys; heavy = {'torch', 'sqlalchemy', 'celery', 'fastapi', 'service', "
        "'worker', 'embedded'}; sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, env={}).returncode == 0


def test_relative_places_are_taken_from_the_files_folder_and_hub_names_stay(
    tmp_path: Path,
) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    spec = {
        "domains": [{"name": "a", "uris": ["a.jsonl", "/data/b.jsonl"]}],
        "targets": [{"name": "t", "uris": ["t.jsonl"]}],
        "tokenizer": {"kind": "huggingface", "path": "Qwen/Qwen2-0.5B"},
        "model": {"architecture": "huggingface", "path": "models/mine"},
    }
    file = tmp_path / "job.json"
    file.write_text(json.dumps(spec))
    read = read_request(str(file))["spec"]
    assert read["domains"][0]["uris"] == [str(tmp_path / "a.jsonl"), "/data/b.jsonl"]
    assert read["targets"][0]["uris"] == [str(tmp_path / "t.jsonl")]
    assert read["tokenizer"]["path"] == "Qwen/Qwen2-0.5B"
    assert read["model"]["path"] == str(tmp_path / "models" / "mine")
