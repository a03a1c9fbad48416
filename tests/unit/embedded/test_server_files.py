"""Locks, ports, secrets, and whether a recorded process lives."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from embedded.server_files import (
    exclusive_lock,
    is_free,
    processes_in,
    read_or_create_secret,
    read_port,
    usable_port,
    works_in,
    write_private,
)


def test_a_secret_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "password"
    secret = read_or_create_secret(path)
    assert len(secret) >= 32
    assert read_or_create_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "port"
    write_private(path, "1")

    def fail(_descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_private(path, "2")
    assert path.read_text() == "1"
    assert [entry.name for entry in tmp_path.iterdir()] == ["port"]


def test_a_port_in_use_is_not_used_again() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        taken = server.getsockname()[1]
        assert not is_free(taken)
        assert usable_port(taken) != taken


def test_a_free_port_is_kept() -> None:
    port = usable_port(None)
    assert usable_port(port) == port


@pytest.mark.parametrize("text", ["", "abc"])
def test_a_damaged_port_file_is_no_port(tmp_path: Path, text: str) -> None:
    (tmp_path / "port").write_text(text)
    assert read_port(tmp_path / "port") is None


def test_a_process_is_known_by_its_folder_and_not_by_its_number_alone(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], cwd=tmp_path
    ) as process:
        assert works_in(process.pid, tmp_path)
        assert not works_in(process.pid, tmp_path.parent)
        assert processes_in(tmp_path) == [process.pid]
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
        assert not works_in(process.pid, tmp_path)


def test_a_lock_lets_one_in_at_a_time(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with exclusive_lock(tmp_path / "lock"):
            order.append("second")

    with exclusive_lock(tmp_path / "lock"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(timeout=0.2)
        order.append("first")
    thread.join(timeout=5)
    assert order == ["first", "second"]
