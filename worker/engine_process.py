"""The engine as a child process: records come out, signals go in, nothing is left behind.

A fault of CUDA, an out-of-memory kill or a crash ends the child and not the worker, and the
worker itself never loads torch.
"""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import structlog
from pydantic import ValidationError

from tandem_engine.contracts.records import ENGINE_RECORD, EngineRecord

log = structlog.get_logger(__name__)

ENGINE_COMMAND = (sys.executable, "-m", "tandem_engine")
TAIL_BYTES = 4000
_QUEUE_RECORDS = 10_000
_END_SECONDS = 2.0  # a grandchild may hold the output open after the engine's death


class EngineProcess:
    """One run of the engine in its own process group.

    `stop` and `kill` may be called from any thread; `records` is for one reader.
    """

    def __init__(
        self,
        *,
        spec: Path,
        out: Path,
        attempt: int,
        log_path: Path,
        options: Sequence[str] = (),
        command: Sequence[str] = ENGINE_COMMAND,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the engine with more `options`; its standard error is appended to `log_path`."""
        self._clock = clock
        self._log_path = log_path
        self._kill_at: float | None = None
        self._ended_at: float | None = None
        self._closed = False
        self._records: queue.Queue[EngineRecord | None] = queue.Queue(_QUEUE_RECORDS)
        log_path.parent.mkdir(parents=True, exist_ok=True)
        arguments = ["run", "--spec", str(spec), "--out", str(out), "--attempt", str(attempt)]
        with log_path.open("ab") as stderr:
            self._process = subprocess.Popen(
                [*command, *arguments, *options, "--watch-stdin"],
                stdin=subprocess.PIPE,  # stays open: the engine leaves when it closes
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=_environment(),
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, name="engine-records", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id, also the id of the engine's process group."""
        return self._process.pid

    def records(self, tick: float = 0.2) -> Iterator[EngineRecord | None]:
        """Yield what the engine says until it ends; None whenever `tick` seconds pass in silence.

        Work that is due by the clock is done on the Nones; the engine's grace after `stop` is
        also kept here and in `enforce_grace`.
        """
        while True:
            try:
                record = self._records.get(timeout=tick)
            except queue.Empty:
                self.enforce_grace()
                if self._is_over():
                    return
                yield None
            else:
                if record is None:
                    return
                yield record

    def stop(self, grace_seconds: float) -> None:
        """Ask the engine to write a checkpoint and leave; it is killed after `grace_seconds`."""
        if self._kill_at is None:
            self._kill_at = self._clock() + grace_seconds
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def enforce_grace(self) -> None:
        """Kill the engine if it was asked to stop and its grace is over."""
        if self._kill_at is not None and self._clock() >= self._kill_at:
            log.warning("engine_grace_over", pid=self.pid)
            self.kill()

    def kill(self) -> None:
        """End the engine and whatever it started, at once; nothing after `close`."""
        if self._closed:  # the number of the group may be a stranger's by now
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> int:
        """Wait for the end, clear up, return the exit code (negative: the number of a signal)."""
        try:
            code = self._process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        self.kill()  # what the engine started may outlive it
        self._closed = True
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        return code

    def log_tail(self) -> str:
        """Return the end of the engine's standard error, at most 4000 bytes."""
        try:
            with self._log_path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - TAIL_BYTES))
                return file.read().decode("utf-8", errors="replace").strip()
        except OSError:
            return ""

    def _is_over(self) -> bool:
        if self._process.poll() is None:
            return False
        if self._ended_at is None:
            self._ended_at = self._clock()
        return self._clock() - self._ended_at >= _END_SECONDS and self._records.empty()

    def _read(self) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        # A closed stream is the end as well: `close` was called.
        with contextlib.suppress(ValueError, OSError):
            for line in stream:
                if record := _parse(line):
                    self._records.put(record)
        self._records.put(None)


def _parse(line: bytes) -> EngineRecord | None:
    try:
        return ENGINE_RECORD.validate_json(line)
    except ValidationError:
        # A library's print is no reason to lose a job; a broken last line follows a crash.
        if line.strip():
            log.warning("engine_line_ignored", line=line[:200].decode("utf-8", errors="replace"))
        return None


def _environment() -> dict[str, str]:
    # The engine reads data and writes files: it needs no key of the database or of the service.
    return {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_")}
