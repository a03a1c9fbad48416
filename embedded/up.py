"""`tandem up`: Postgres, Valkey, the API and workers from one command; `tandem down` stops them.

Everything lies in one folder: start it again and the jobs go on.
"""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from embedded.postgres import postgres_alive, start_postgres, stop_postgres
from embedded.processes import (
    ManagedProcess,
    read_recorded,
    record,
    stop_recorded,
)
from embedded.server_files import EmbeddedServerError, is_free
from embedded.setup import api_answers, ensure_api_key, environment, migrate
from embedded.valkey import start_valkey, stop_valkey, valkey_alive

HOST = "127.0.0.1"
DRAIN_SECONDS = 90.0
"""How long workers may take to write checkpoints; the engine itself has 60 seconds."""
_API_STOP_SECONDS = 15.0
_API_START_SECONDS = 60.0
_TICK_SECONDS = 0.3
_SERVER_CHECK_SECONDS = 3.0


class UpError(Exception):
    """The system cannot start; the message says what to do."""


@dataclass(frozen=True)
class Folder:
    """What lies where in a data folder."""

    root: Path

    @property
    def postgres(self) -> Path:
        """Folder of the embedded PostgreSQL."""
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        """Folder of the embedded Valkey."""
        return self.root / "valkey"

    @property
    def logs(self) -> Path:
        """Folder of the logs."""
        return self.root / "logs"

    @property
    def processes(self) -> Path:
        """File with the numbers of the running processes."""
        return self.root / "processes.json"


class _StopFlag:
    """Counts the signals that ask for an end; the second one is impatient."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, *_: object) -> None:
        self.count += 1


def run_up(root: Path, *, port: int, workers: int = 1) -> int:
    """Start everything and watch over it until SIGINT or SIGTERM; return the exit code.

    Args:
        root: Data folder; made if missing.
        port: Port of the HTTP API on the loopback address.
        workers: Jobs that may run at the same time.
    """
    folder = Folder(root.resolve())
    stop = _StopFlag()
    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in ends}
    try:
        folder.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _only_one(folder):
            _System(folder, port, workers, stop).run()
    except (UpError, EmbeddedServerError) as error:
        sys.stderr.write(f"tandem: {error}\n")
        return 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def run_down(root: Path) -> int:
    """Stop whatever runs on a data folder; return the exit code."""
    folder = Folder(root.resolve())
    if not folder.root.exists():
        sys.stderr.write(f"tandem: there is no data folder {folder.root}; name it with --data\n")
        return 1
    recorded = read_recorded(folder.processes)
    supervisor = recorded.pop("up", None)
    try:
        # First whoever would start the others again; it stops them itself if it can.
        stopped = stop_recorded([supervisor] if supervisor else [], seconds=DRAIN_SECONDS + 60)
        stopped += stop_recorded(list(recorded.values()), seconds=DRAIN_SECONDS)
        stop_valkey(folder.valkey)
        stop_postgres(folder.postgres)
    except EmbeddedServerError as error:
        sys.stderr.write(f"tandem: {error}\n")
        return 1
    folder.processes.unlink(missing_ok=True)
    print(f"stopped ({stopped} processes ran); the jobs in {folder.root} are kept")
    return 0


@contextmanager
def _only_one(folder: Folder) -> Iterator[None]:
    """Keep a second `tandem up` off the folder; the kernel ends this with the process."""
    with (folder.root / "up.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = read_recorded(folder.processes).get("up")
            who = f" (process {running.pid})" if running else ""
            raise UpError(
                f"`tandem up` already runs{who} on {folder.root}; use that one, stop it with "
                f"`tandem down --data '{folder.root}'`, or take another folder with --data"
            ) from None
        yield


class _System:
    """The servers and children of one `tandem up`."""

    def __init__(self, folder: Folder, port: int, workers: int, stop: _StopFlag) -> None:
        self._folder, self._port, self._stop = folder, port, stop
        self._own_postgres = not os.environ.get("TANDEM_DATABASE_URL")
        self._own_valkey = not os.environ.get("TANDEM_REDIS_URL")
        self._recorded: dict[str, int | None] = {}
        self._url = f"http://{HOST}:{port}"
        self._api = self._child(
            "api",
            ["service.main", "--host", HOST, "--port", str(port)],
        )
        celery = ["celery", "--app", "worker.app", "worker", "--concurrency", "1"]
        celery += ["--loglevel", "INFO", "--without-gossip", "--without-mingle"]
        self._workers = [
            self._child(f"worker-{number}", [*celery, "--hostname", f"tandem-{number}@%h"])
            for number in range(1, workers + 1)
        ]

    def run(self) -> None:
        self._folder.logs.mkdir(exist_ok=True, mode=0o700)
        leftovers = read_recorded(self._folder.processes)
        if stop_recorded(list(leftovers.values()), seconds=DRAIN_SECONDS):
            print("stopped what an earlier `tandem up` left running")
        if not is_free(self._port):
            raise UpError(
                f"port {self._port} is in use by another program; choose another: "
                f"tandem up --port {self._port + 1}"
            )
        try:
            self._start()
            self._watch()
        finally:
            self._end()

    def _start(self) -> None:
        print(f"starting in {self._folder.root} ...", flush=True)
        self._start_servers()
        migrate(self._api.environment)
        for child in self._children:
            child.start()
        self._record()
        key = self._wait_for_api()
        if key is None:
            return
        (self._folder.root / "url").write_text(self._url + "\n", encoding="utf-8")
        print(f"""
Tandem is up.
  URL   {self._url}   (documentation: {self._url}/docs)
  key   {key}
        also in {self._folder.root / "api_key"}
  data  {self._folder.root}   (logs in logs/)
  stop  Ctrl-C; jobs go on at the next start, with the same data folder
""")
        sys.stdout.flush()

    def _start_servers(self) -> None:
        """Start or find the servers; tell the children if an address is new."""
        database = os.environ.get("TANDEM_DATABASE_URL") or start_postgres(self._folder.postgres)
        broker = os.environ.get("TANDEM_REDIS_URL") or start_valkey(self._folder.valkey)
        new = environment(self._folder.root, database, broker)
        for child in self._children:
            if child.environment != new:
                child.environment = new
                child.terminate()  # `keep_running` starts it again

    def _wait_for_api(self) -> str | None:
        """Return the API key once the API answers; None if an end was asked for meanwhile."""
        end = time.monotonic() + _API_START_SECONDS
        while not api_answers(self._url):
            if self._stop.count:
                return None
            if self._api.keep_running() or time.monotonic() > end:
                raise UpError(f"the API did not start; see {self._api.log_path}")
            time.sleep(0.1)
        return ensure_api_key(self._folder.root, self._url, self._api.environment)

    def _watch(self) -> None:
        check_at = 0.0
        while not self._stop.count:
            died = [child for child in self._children if child.keep_running()]
            for child in died:
                print(
                    f"{child.name} ended with code {child.exit_code}; starting it again "
                    f"(see {child.log_path})",
                    flush=True,
                )
            if self._recorded != self._pids:
                self._record()
            if time.monotonic() >= check_at:
                self._revive_servers()
                check_at = time.monotonic() + _SERVER_CHECK_SECONDS
            time.sleep(_TICK_SECONDS)

    def _revive_servers(self) -> None:
        lost = []
        if self._own_postgres and not postgres_alive(self._folder.postgres):
            lost.append("PostgreSQL")
        if self._own_valkey and not valkey_alive(self._folder.valkey):
            lost.append("Valkey")
        if lost:
            print(f"{' and '.join(lost)} ended; starting again", flush=True)
            try:
                self._start_servers()
            except EmbeddedServerError as error:
                print(f"{error}; trying again", flush=True)

    def _end(self) -> None:
        """Stop everything: workers first, since they write their checkpoints' outcome."""
        if any(child.pid for child in self._children):
            print("stopping; running jobs write a checkpoint (Ctrl-C again: at once)", flush=True)
        asked = self._stop.count
        for worker in self._workers:
            worker.terminate()
        self._wait(self._workers, DRAIN_SECONDS, patience=max(asked, 1))
        self._api.terminate()
        self._wait([self._api], _API_STOP_SECONDS, patience=max(asked, 1))
        if self._own_valkey:
            stop_valkey(self._folder.valkey)
        if self._own_postgres:
            stop_postgres(self._folder.postgres)
        self._folder.processes.unlink(missing_ok=True)
        print("stopped", flush=True)

    def _wait(self, children: list[ManagedProcess], seconds: float, *, patience: int) -> None:
        end = time.monotonic() + seconds
        for child in children:
            while not child.wait(_TICK_SECONDS):
                if time.monotonic() > end or self._stop.count > patience:
                    child.kill()

    def _child(self, name: str, module: list[str]) -> ManagedProcess:
        log_path = self._folder.logs / f"{name}.log"
        command = [sys.executable, "-m", *module]
        return ManagedProcess(name, command, environment={}, log_path=log_path)

    @property
    def _children(self) -> list[ManagedProcess]:
        return [self._api, *self._workers]

    @property
    def _pids(self) -> dict[str, int | None]:
        return {"up": os.getpid()} | {child.name: child.pid for child in self._children}

    def _record(self) -> None:
        self._recorded = self._pids
        record(self._folder.processes, self._recorded)
