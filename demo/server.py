"""Find a running service, or start one here for as long as the demonstration runs."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from client.local import Connection, NotConfiguredError, find_connection

START_SECONDS = 120.0
STOP_SECONDS = 120.0
USUAL_PORT = 8321
TANDEM = (sys.executable, "-c", "from client.cli import main; main()")


class ServiceError(Exception):
    """No service could be reached or started; the message says where its log is."""


@contextmanager
def service(
    data: Path, log: Path, *, report: Callable[[str], None] = print
) -> Iterator[Connection]:
    """Give a connection to a service; one that was started here is stopped afterwards.

    TANDEM_URL and TANDEM_API_KEY name a service of the user's own; otherwise one that runs on the
    folder `data` is used; otherwise one is started there.

    Raises:
        ServiceError: the service does not answer, or ended while it started.
    """
    if os.environ.get("TANDEM_URL"):
        connection = find_connection(data)
        if not answers(connection.url):
            raise ServiceError(
                f"TANDEM_URL is {connection.url}, and nothing answers there; start that service, "
                "or unset TANDEM_URL to have one started here"
            )
        report(f"Using the service at {connection.url}.")
        yield connection
        return
    running = _running(data)
    if running is not None:
        report(f"Using the service that already runs on {data}: {running.url}.")
        yield running
        return
    with _started(data, log) as connection:
        yield connection


def answers(url: str) -> bool:
    """Tell whether an API is ready at `url`."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:  # noqa: S310 - http only
            return bool(answer.status == 200)  # noqa: PLR2004
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _running(data: Path) -> Connection | None:
    try:
        connection = find_connection(data)
    except NotConfiguredError:
        return None
    return connection if answers(connection.url) else None


@contextmanager
def _started(data: Path, log: Path) -> Iterator[Connection]:
    data.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [*TANDEM, "up", "--data", str(data), "--port", str(_usable_port())]
    with log.open("w", encoding="utf-8") as file:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            # A session of its own: Ctrl-C reaches us first, and we stop it in order.
            start_new_session=True,
        )
    try:
        yield _wait_until_ready(child, data, log)
    finally:
        _stop(child)


def _wait_until_ready(child: subprocess.Popen[bytes], data: Path, log: Path) -> Connection:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        connection = _running(data)
        if connection is not None:
            return connection
        if child.poll() is not None:
            raise ServiceError(
                f"`tandem up` ended with exit code {child.returncode}; the end of {log}:\n"
                + "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
            )
        time.sleep(0.2)
    raise ServiceError(f"`tandem up` was not ready after {START_SECONDS:.0f} s; see {log}")


def _stop(child: subprocess.Popen[bytes]) -> None:
    # Each further Ctrl-C, or a wait that is too long, asks more firmly.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if child.poll() is None:
            child.send_signal(number)
            with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                child.wait(STOP_SECONDS)


def _usable_port() -> int:
    for port in (USUAL_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ServiceError("no free TCP port on 127.0.0.1; end some of the programs that hold them")
