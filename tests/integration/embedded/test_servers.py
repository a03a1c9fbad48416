"""The embedded servers as they are met in life: killed, started twice, under odd names."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis

from embedded import postgres, valkey
from embedded.server_files import EmbeddedServerError, wait_until


@dataclass(frozen=True)
class Server:
    """One kind of server and how to put something into it."""

    start: Callable[[Path], str]
    stop: Callable[[Path], None]
    alive: Callable[[Path], bool]
    pid_file: str
    put: Callable[[str], None]
    get: Callable[[str], str]


def _postgres_put(url: str) -> None:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("create table kept as select 'still here'::text as word")


def _postgres_get(url: str) -> str:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        row = connection.execute("select word from kept").fetchone()
    assert row is not None
    return str(row[0])


def _valkey_put(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.set("kept", "still here")
        client.execute_command("WAITAOF", 1, 0, 5000)


def _valkey_get(url: str) -> str:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return str(client.get("kept"))


SERVERS = {
    "postgres": Server(
        postgres.start_postgres,
        postgres.stop_postgres,
        postgres.postgres_alive,
        "data/postmaster.pid",
        _postgres_put,
        _postgres_get,
    ),
    "valkey": Server(
        valkey.start_valkey,
        valkey.stop_valkey,
        valkey.valkey_alive,
        "pid",
        _valkey_put,
        _valkey_get,
    ),
}


@pytest.fixture(params=list(SERVERS))
def server(request: pytest.FixtureRequest) -> Server:
    return SERVERS[request.param]


@pytest.fixture
def folder(server: Server, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "a folder with spaces" / ("and a long name " * 6).strip()
    yield folder
    server.stop(folder)


def _pid(server: Server, folder: Path) -> int:
    return int((folder / server.pid_file).read_text().split()[0])


def test_a_second_start_finds_the_running_server(server: Server, folder: Path) -> None:
    url = server.start(folder)
    pid = _pid(server, folder)
    assert server.start(folder) == url
    assert _pid(server, folder) == pid


def test_what_was_written_survives_a_stop(server: Server, folder: Path) -> None:
    server.put(server.start(folder))
    server.stop(folder)
    assert not server.alive(folder)
    assert server.get(server.start(folder)) == "still here"


def test_what_was_written_survives_a_kill_and_the_address_stays(
    server: Server, folder: Path
) -> None:
    url = server.start(folder)
    server.put(url)
    os.kill(_pid(server, folder), signal.SIGKILL)
    assert wait_until(lambda: not server.alive(folder), seconds=10)
    assert server.start(folder) == url
    assert server.get(url) == "still here"


def test_starters_at_the_same_time_get_one_server(server: Server, folder: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        urls = set(pool.map(server.start, [folder] * 4))
    assert len(urls) == 1


def test_a_server_outlives_the_process_that_started_it(server: Server, folder: Path) -> None:
    code = (
        f"import sys; from pathlib import Path; from {server.start.__module__} import "
        f"{server.start.__name__} as start; print(start(Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], check=True, capture_output=True, text=True
    )
    assert server.alive(folder)
    assert server.start(folder) == done.stdout.strip()


def test_a_number_that_now_belongs_to_a_stranger_is_no_server(server: Server, folder: Path) -> None:
    url = server.start(folder)
    server.put(url)
    os.kill(_pid(server, folder), signal.SIGKILL)
    assert wait_until(lambda: not server.alive(folder), seconds=10)
    path = folder / server.pid_file
    lines = path.read_text().split("\n")
    path.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    assert server.get(server.start(folder)) == "still here"


def test_stopping_what_does_not_run_is_fine(server: Server, folder: Path) -> None:
    server.stop(folder)
    server.start(folder)
    server.stop(folder)
    server.stop(folder)


def test_the_password_is_needed_and_private(server: Server, folder: Path) -> None:
    url = server.start(folder)
    password = (folder / "password").read_text()
    assert (folder / "password").stat().st_mode & 0o777 == 0o600
    with pytest.raises((psycopg.OperationalError, redis.AuthenticationError)):
        server.get(url.replace(password, "wrong"))


def test_postgres_writes_durably(tmp_path: Path) -> None:
    url = postgres.start_postgres(tmp_path / "pg").replace("+psycopg", "")
    try:
        with psycopg.connect(url) as connection:
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                row = connection.execute(f"show {setting}").fetchone()
                assert row == ("on",), setting
            assert connection.execute("show listen_addresses").fetchone() == ("127.0.0.1",)
    finally:
        postgres.stop_postgres(tmp_path / "pg")


def test_valkey_keeps_a_log_and_never_evicts(tmp_path: Path) -> None:
    url = valkey.start_valkey(tmp_path / "vk")
    try:
        with redis.Redis.from_url(url, decode_responses=True) as client:
            assert client.config_get("appendonly") == {"appendonly": "yes"}
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    finally:
        valkey.stop_valkey(tmp_path / "vk")


def test_data_of_a_version_that_is_not_installed_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "pg" / "data").mkdir(parents=True)
    (tmp_path / "pg" / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedServerError, match="PostgreSQL 9"):
        postgres.start_postgres(tmp_path / "pg")


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="only root needs another way to run PostgreSQL, and setpriv is it",
)
def test_root_without_user_namespaces_runs_postgres_as_nobody(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = postgres._works
    monkeypatch.setattr(
        postgres, "_works", lambda command: command[0] != "unshare" and works(command)
    )
    folder = tmp_path_factory.mktemp("nobody") / "pg"
    for parent in [folder.parent, *folder.parent.parents][:3]:
        parent.chmod(parent.stat().st_mode | 0o011)
    try:
        url = postgres.start_postgres(folder)
        assert (folder / "data").stat().st_uid != 0
        _postgres_put(url)
        assert _postgres_get(url) == "still here"
    finally:
        postgres.stop_postgres(folder)
