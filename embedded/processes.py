"""Child processes of `tandem up`: each in its own group, restarted when it dies, stopped in order.

Ctrl-C in a terminal reaches only the foreground group, so the children hear nothing of it and are
stopped one after the other. What runs is written down, so that a later start finds what a kill -9
has left behind.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from embedded.server_files import wait_until, write_private

FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
_STEADY_SECONDS = 60.0
"""A process that ran so long starts again at the first backoff."""


class ManagedProcess:
    """One program that is to run for as long as `tandem up` does."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log_path: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; `start` starts it. Its output is appended to `log_path`."""
        self.name = name
        self.log_path = log_path
        self.environment = dict(environment)
        self._command = list(command)
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._backoff = FIRST_BACKOFF_SECONDS
        self._restart_at: float | None = None
        self.exit_code: int | None = None

    @property
    def pid(self) -> int | None:
        """Process id, also of the group, while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the program in a group of its own."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._started_at = self._clock()
        self._restart_at = None

    def keep_running(self) -> bool:
        """Restart the program if it died and its backoff is over; return whether it just died."""
        if self._process is None:
            if self._restart_at is not None and self._clock() >= self._restart_at:
                self.start()
            return False
        code = self._process.poll()
        if code is None:
            return False
        # Its children would go on with nobody to stop them, beside those of the next start.
        kill_group(self._process.pid)
        self.exit_code, self._process = code, None
        if self._clock() - self._started_at >= _STEADY_SECONDS:
            self._backoff = FIRST_BACKOFF_SECONDS
        self._restart_at = self._clock() + self._backoff
        self._backoff = min(2 * self._backoff, LONGEST_BACKOFF_SECONDS)
        return True

    def terminate(self) -> None:
        """Ask the program to leave."""
        if self._process is not None:
            self._process.terminate()

    def wait(self, seconds: float) -> bool:
        """Wait for its end and clear away what is left of its group; False if it still runs."""
        if self._process is None:
            return True
        try:
            self.exit_code = self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        kill_group(self._process.pid)
        self._process = None
        return True

    def kill(self) -> None:
        """End it and its group at once."""
        if self._process is not None:
            kill_group(self._process.pid)
            self._process.wait()
            self._process = None


@dataclass(frozen=True)
class Recorded:
    """A process as it was written down; the start time tells it from a later one of its number."""

    pid: int
    started: float

    def find(self) -> psutil.Process | None:
        """Return the process if it still lives."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1.0
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


def record(path: Path, pids: Mapping[str, int | None]) -> None:
    """Write down which processes run."""
    found = {}
    for name, pid in pids.items():
        with contextlib.suppress(psutil.Error):
            if pid is not None:
                found[name] = {"pid": pid, "started": psutil.Process(pid).create_time()}
    write_private(path, json.dumps(found, indent=2) + "\n")


def read_recorded(path: Path) -> dict[str, Recorded]:
    """Return what `record` wrote; nothing if the file is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: Recorded(**entry) for name, entry in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def stop_recorded(processes: Sequence[Recorded], *, seconds: float) -> int:
    """Stop processes of an earlier start, with their groups; return how many still lived."""
    alive = [process for recorded in processes if (process := recorded.find())]
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, stubborn = psutil.wait_procs(alive, timeout=seconds)
    for process in stubborn:
        kill_group(process.pid)
    wait_until(lambda: not any(process.is_running() for process in stubborn), seconds=5)
    return len(alive)


def kill_group(group: int) -> None:
    """Kill a process group that one of our starts made; nothing if it is empty."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
