"""Children of `tandem up`: restarts by a clock that the test moves, and what is written down."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from embedded.processes import ManagedProcess, Recorded, read_recorded, record, stop_recorded
from embedded.server_files import wait_until


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _child(folder: Path, clock: Clock, code: str) -> ManagedProcess:
    return ManagedProcess(
        "child",
        [sys.executable, "-c", code],
        environment=os.environ,
        log_path=folder / "child.log",
        clock=clock,
    )


def _run_to_its_end(child: ManagedProcess) -> None:
    assert wait_until(child.keep_running, seconds=10)


def test_a_child_that_dies_is_started_again_after_longer_and_longer_pauses(
    tmp_path: Path, clock: Clock
) -> None:
    child = _child(tmp_path, clock, "import sys; sys.exit(3)")
    child.start()
    pauses = []
    for _ in range(4):
        _run_to_its_end(child)
        assert child.exit_code == 3
        died_at = clock.now
        while child.pid is None:
            clock.now += 0.25
            child.keep_running()
        pauses.append(clock.now - died_at)
    child.kill()
    assert pauses == [0.5, 1.0, 2.0, 4.0]


def test_a_child_that_ran_long_starts_again_soon(tmp_path: Path, clock: Clock) -> None:
    child = _child(tmp_path, clock, "pass")
    child.start()
    for _ in range(3):
        clock.now += 100
        _run_to_its_end(child)
        clock.now += 0.5
        child.keep_running()
        assert child.pid is not None
    child.kill()


def test_what_a_dead_child_started_does_not_live_on(tmp_path: Path, clock: Clock) -> None:
    code = (
        "import subprocess, sys, os; "
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        "print(p.pid, flush=True); os._exit(1)"
    )
    child = _child(tmp_path, clock, code)
    child.start()
    _run_to_its_end(child)
    grandchild = int((tmp_path / "child.log").read_text())
    assert wait_until(lambda: not _lives(grandchild), seconds=5)


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_child_leaves_when_asked(tmp_path: Path, clock: Clock) -> None:
    child = _child(tmp_path, clock, "import time; time.sleep(60)")
    child.start()
    assert not child.wait(0.05)
    child.terminate()
    assert child.wait(10)
    assert child.pid is None


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
    ) as process:
        yield process
        process.kill()


def test_processes_of_an_earlier_start_are_found_and_stopped(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    record(tmp_path / "processes.json", {"api": sleeper.pid, "worker": None})
    found = read_recorded(tmp_path / "processes.json")
    assert set(found) == {"api"}
    assert stop_recorded(list(found.values()), seconds=5) == 1
    assert found["api"].find() is None


def test_a_stranger_that_got_the_number_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    earlier = Recorded(pid=sleeper.pid, started=time.time() - 3600)
    assert stop_recorded([earlier], seconds=1) == 0
    assert sleeper.poll() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"api": 3}', '{"api": {"pid": 3}}'])
def test_a_damaged_record_is_taken_for_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "processes.json").write_text(text)
    assert read_recorded(tmp_path / "processes.json") == {}
