"""`tandem up` where it must refuse, and `tandem down`; nothing is started here."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from embedded.setup import environment
from embedded.up import run_down, run_up


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_second_start_on_one_folder_is_refused_and_names_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "processes.json").write_text(json.dumps({"up": {"pid": 4242, "started": 0.0}}))
    with (tmp_path / "up.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run_up(tmp_path, port=1) == 1
    said = capsys.readouterr().err
    assert "already runs (process 4242)" in said
    assert str(tmp_path) in said
    assert "tandem down" in said


def test_a_port_in_use_is_refused_with_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], taken_port: int
) -> None:
    assert run_up(tmp_path / "new", port=taken_port) == 1
    said = capsys.readouterr().err
    assert f"port {taken_port} is in use" in said
    assert "--port" in said
    assert not (tmp_path / "new" / "postgres").exists()


def test_signal_handlers_are_given_back(tmp_path: Path, taken_port: int) -> None:
    before = signal.getsignal(signal.SIGTERM)
    run_up(tmp_path, port=taken_port)
    assert signal.getsignal(signal.SIGTERM) is before


def test_stopping_a_folder_that_is_not_there_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_down(tmp_path / "none") == 1
    assert "--data" in capsys.readouterr().err


def test_down_stops_what_a_killed_start_has_left(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
    ) as process:
        started = psutil.Process(process.pid).create_time()
        recorded = {"worker-1": {"pid": process.pid, "started": started}}
        (tmp_path / "processes.json").write_text(json.dumps(recorded))
        try:
            assert run_down(tmp_path) == 0
            assert not psutil.pid_exists(process.pid)
        finally:
            process.kill()
    assert not (tmp_path / "processes.json").exists()


def test_children_share_one_folder_and_one_pepper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TANDEM_KEY_PEPPER", raising=False)
    first = environment(tmp_path, "postgresql://a", "redis://b")
    assert first["TANDEM_DATA_DIR"] == str(tmp_path)
    assert first["PATH"] == os.environ["PATH"]
    assert len(first["TANDEM_KEY_PEPPER"]) >= 32
    assert environment(tmp_path, "postgresql://a", "redis://b") == first
