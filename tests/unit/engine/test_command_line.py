"""`python -m tandem_engine run` as a process: records, exit codes, signals, a dead parent."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.tiny_jobs import tiny_spec

from tandem_engine.contracts.records import (
    ENGINE_RECORD,
    EXIT_FAILED,
    EXIT_STOPPED,
    EXIT_SUCCEEDED,
    ErrorRecord,
    ResultRecord,
    TrajectoryPoint,
)

LONG = {"total_steps": 4000, "probing_steps": 2, "free_steps": 2, "checkpoint_every": 1}


def command(spec: Path, out: Path, *more: str) -> list[str]:
    engine = [sys.executable, "-m", "tandem_engine", "run"]
    return [*engine, "--spec", str(spec), "--out", str(out), *more]


def written(folder: Path, **settings: object) -> Path:
    path = folder / "spec.json"
    path.write_text(tiny_spec(folder / "domains", **settings).model_dump_json())
    return path


def run_to_end(spec: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(spec, out), capture_output=True, text=True, check=False)


def only_error(finished: subprocess.CompletedProcess[str]) -> ErrorRecord:
    assert finished.returncode == EXIT_FAILED
    (error,) = [
        record
        for record in map(ENGINE_RECORD.validate_json, finished.stdout.splitlines())
        if isinstance(record, ErrorRecord)
    ]
    return error


def start_until_first_point(spec: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        command(spec, out, *more),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if isinstance(ENGINE_RECORD.validate_json(line), TrajectoryPoint):
            return process
    raise AssertionError("the engine ended before its first episode")


def finish(process: subprocess.Popen[str]) -> int:
    with process:
        process.communicate(timeout=60)
    return process.returncode


def test_every_line_is_a_record_and_the_last_is_the_result(tmp_path: Path) -> None:
    finished = run_to_end(written(tmp_path), tmp_path / "out")
    assert finished.returncode == EXIT_SUCCEEDED, finished.stderr
    records = [ENGINE_RECORD.validate_json(line) for line in finished.stdout.splitlines()]
    assert isinstance(records[-1], ResultRecord)
    assert sum(isinstance(record, TrajectoryPoint) for record in records) == 6


def test_sigterm_writes_a_checkpoint_and_says_that_it_stopped(tmp_path: Path) -> None:
    process = start_until_first_point(written(tmp_path, learning=LONG), tmp_path / "out")
    process.send_signal(signal.SIGTERM)
    assert finish(process) == EXIT_STOPPED
    assert list((tmp_path / "out").glob("checkpoints/attempt-0001/*.pt.sha256"))


def test_it_leaves_when_the_process_that_holds_its_input_is_gone(tmp_path: Path) -> None:
    process = start_until_first_point(
        written(tmp_path, learning=LONG), tmp_path / "out", "--watch-stdin"
    )
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None
    started = time.monotonic()
    assert finish(process) == EXIT_FAILED
    assert time.monotonic() - started < 30


def test_it_ends_normally_while_its_input_is_still_open(tmp_path: Path) -> None:
    spec = edited(written(tmp_path), {"preset": "huge"})
    process = subprocess.Popen(
        command(spec, tmp_path / "out", "--watch-stdin"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.wait(timeout=60) == EXIT_FAILED
    for stream in (process.stdin, process.stderr):
        assert stream is not None
        stream.close()


def edited(path: Path, edit: dict[str, Any]) -> Path:
    path.write_text(json.dumps(json.loads(path.read_text()) | edit))
    return path


@pytest.mark.parametrize(
    ("edit", "code", "field", "value"),
    [
        ({"seed": -1}, "invalid_spec", "seed", "-1"),
        ({"sead": 1}, "invalid_spec", "sead", "1"),
        ({"preset": "huge"}, "invalid_spec", "preset", "huge"),
    ],
)
def test_a_bad_specification_is_one_error_with_field_and_value(
    tmp_path: Path, edit: dict[str, Any], code: str, field: str, value: str
) -> None:
    error = only_error(run_to_end(edited(written(tmp_path), edit), tmp_path / "out"))
    assert (error.code, error.field, error.value) == (code, field, value)
    assert error.hint
    assert not (tmp_path / "out").exists()


def test_a_missing_specification_is_one_error(tmp_path: Path) -> None:
    error = only_error(run_to_end(tmp_path / "none.json", tmp_path / "out"))
    assert (error.code, error.field) == ("invalid_spec", "--spec")


def test_a_domain_without_a_file_is_one_error_that_names_it(tmp_path: Path) -> None:
    spec = written(tmp_path)
    (tmp_path / "domains" / "brass.jsonl").unlink()
    error = only_error(run_to_end(spec, tmp_path / "out"))
    assert error.code == "dataset_unreadable"
    assert error.field == "domains.brass.uris"
    assert error.value is not None
    assert error.value.endswith("brass.jsonl")
