"""What the embedded servers share: locks, ports, secrets, and whether a recorded process lives."""

import fcntl
import os
import secrets
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

LOOPBACK = "127.0.0.1"


class EmbeddedServerError(RuntimeError):
    """An embedded server cannot start, or does not stop; the message says what to do."""


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; wait for another holder. The kernel frees it with its process."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_private(path: Path, text: str) -> None:
    """Write `path` whole or not at all, readable by its owner only."""
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def read_or_create_secret(path: Path) -> str:
    """Return the secret in `path`; make a new one of 192 bits where there is none."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24))
    return path.read_text(encoding="utf-8").strip()


def read_port(path: Path) -> int | None:
    """Return the port number that `path` holds, or None."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def usable_port(preferred: int | None) -> int:
    """Return `preferred` if nothing listens there, so that clients find a restarted server again.

    Otherwise return a port that the system says is free.
    """
    if preferred is not None and is_free(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of the loopback address."""
    with socket.socket() as probe:
        # As servers do: connections in TIME_WAIT of a server that just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def works_in(pid: int, directory: Path) -> bool:
    """Whether `pid` lives and has `directory` as its working directory.

    A recorded process id alone proves nothing: a killed process not yet reaped still has it, and
    after a reboot it belongs to a stranger.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return Path(process.cwd()) == directory.resolve()
    except psutil.AccessDenied:
        return True  # It lives and we may not look: let the connection decide.
    except (psutil.Error, ValueError):
        return False


def processes_in(directory: Path) -> list[int]:
    """Return the ids of the live processes whose working directory is `directory`."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()) == directory.resolve():
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Poll `condition` for at most `seconds`; return whether it came true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.03)
    return True
