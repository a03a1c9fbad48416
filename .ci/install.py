"""Install the project into `.venv` for one extra (`demo` or `dev`); fast when nothing changed.

Usage: python .ci/install.py EXTRA     (standard library only; the Makefile calls it)
"""

# ruff: noqa: INP001, T201

import fcntl
import hashlib
import json
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".installed.json"
LOG = VENV / "install.log"
CONTAINED_IN = {"demo": ("demo", "dev"), "dev": ("dev",)}
HARMLESS = re.compile(r"^WARNING: Location .* is ignored")
HEARTBEAT_SECONDS = 15.0
OLDEST_PYTHON = (3, 11)


def main() -> int:
    """Install, or find that there is nothing to do; return the exit code."""
    if len(sys.argv) != 2 or sys.argv[1] not in CONTAINED_IN:  # noqa: PLR2004
        print(f"usage: python .ci/install.py {'|'.join(CONTAINED_IN)}", file=sys.stderr)
        return 2
    if sys.version_info < OLDEST_PYTHON:
        print("Tandem needs Python 3.11 or newer.", file=sys.stderr)
        return 2
    extra = sys.argv[1]
    VENV.mkdir(exist_ok=True)
    with (VENV / ".lock").open("w") as lock:
        # Two makes at once would unpack into each other's files.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_installed(extra):
            print(f"==> .venv is ready (extra {extra!r})", flush=True)
            return 0
        return install(extra)


def is_installed(extra: str) -> bool:
    """Tell whether `.venv` holds what `extra` needs, at this place, with these requirements."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    fresh = stamp.get("requirements") == requirements() and stamp.get("root") == str(ROOT)
    return fresh and stamp.get("extra") in CONTAINED_IN[extra] and PYTHON.exists()


def requirements() -> str:
    """Return a digest of all that decides what pip installs."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        configuration = tomllib.load(file)
    relevant = {
        "project": configuration["project"],
        "build": configuration["build-system"],
        "packages": configuration["tool"]["setuptools"],
        "constraints": (ROOT / "constraints.txt").read_text(encoding="utf-8"),
    }
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


def install(extra: str) -> int:
    """Create the environment where needed and run pip in it."""
    started = time.monotonic()
    STAMP.unlink(missing_ok=True)
    if not works_here():
        version = ".".join(map(str, sys.version_info[:3]))
        print(f"==> Creating .venv with Python {version} ({sys.executable})", flush=True)
        created = subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False)
        if created.returncode != 0:
            print(
                "Creating .venv failed. On Debian and Ubuntu install python3-venv; "
                "or name another interpreter: make PYTHON=/path/to/python3.12",
                file=sys.stderr,
            )
            return created.returncode
    print(f"==> Installing the extra {extra!r} (the first time this loads torch)", flush=True)
    code = run_pip(
        ["-c", "constraints.txt", "-e", f".[{extra}]"],
        started,
    )
    if code != 0:
        print(f"pip failed with exit code {code}; all of its output is in {LOG}", file=sys.stderr)
        return code
    stamp = {"extra": extra, "requirements": requirements(), "root": str(ROOT)}
    partial = STAMP.with_suffix(".partial")
    partial.write_text(json.dumps(stamp), encoding="utf-8")
    partial.replace(STAMP)
    print(f"    installed in {time.monotonic() - started:.0f} s", flush=True)
    return 0


def works_here() -> bool:
    """Tell whether `.venv` runs; one whose interpreter has gone is built again over it."""
    if not PYTHON.exists():
        return False
    probe = [str(PYTHON), "-c", "import pip"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


def run_pip(arguments: list[str], started: float) -> int:
    """Run pip; keep everything in the log, show warnings, errors and a sign of life."""
    command = [str(PYTHON), "-m", "pip", "install", "--no-compile", "--progress-bar", "off"]
    command += ["--disable-pip-version-check", "--no-input", *arguments]
    shown = started
    with (
        LOG.open("w", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as pip,
    ):
        assert pip.stdout is not None  # noqa: S101 - stdout=PIPE
        in_error = False
        for line in pip.stdout:
            log.write(line)
            if HARMLESS.match(line):
                continue
            in_error = in_error or line.lstrip().lower().startswith(("error", "fatal"))
            now = time.monotonic()
            if in_error or line.startswith("WARNING"):
                print(f"    {line.rstrip()}", flush=True)
            elif now - shown > HEARTBEAT_SECONDS:
                print(f"    {now - started:4.0f} s  {line.strip()[:90]}", flush=True)
                shown = now
        return pip.wait()


if __name__ == "__main__":
    raise SystemExit(main())
