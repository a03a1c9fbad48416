"""The README's curl session, run as it stands there against a real `tandem up`."""

import csv
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
START_SECONDS = 90
SESSION_SECONDS = 240


def session() -> str:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^```sh curl-session\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_ready(folder: Path) -> bool:
    try:
        url = (folder / "url").read_text(encoding="utf-8").strip()
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """Give a folder that looks like the checkout, with a running service in `.tandem`."""
    # The session reads the project's files and writes beside them; a space must not hurt it.
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in re.findall(r'"\$HERE/([^"]+)"', session()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    log = tmp_path / "up.log"
    command = [sys.executable, "-c", "from client.cli import main; main()", "up"]
    with log.open("wb") as file:
        up = subprocess.Popen(
            [*command, "--data", str(folder / ".tandem"), "--port", str(free_port())],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + START_SECONDS
        while not is_ready(folder / ".tandem"):
            assert up.poll() is None, log.read_text(encoding="utf-8", errors="replace")
            assert time.monotonic() < end, log.read_text(encoding="utf-8", errors="replace")
            time.sleep(0.2)
        yield folder
    finally:
        up.send_signal(signal.SIGINT)
        try:
            up.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(up.pid, signal.SIGKILL)
            up.wait()
    assert up.returncode == 0, log.read_text(encoding="utf-8", errors="replace")


@pytest.mark.skipif(shutil.which("curl") is None, reason="the session is about curl")
@pytest.mark.timeout(START_SECONDS + SESSION_SECONDS + 60)
def test_the_curl_session_submits_polls_and_downloads(checkout: Path) -> None:
    done = subprocess.run(
        ["sh", "-eu", "-c", session()],
        cwd=checkout,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SESSION_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    polls = re.findall(r"^(\w+), trajectory up to step (\d+)$", done.stdout, re.MULTILINE)
    assert polls[-1] == ("succeeded", "80")
    # A fast machine may end the job between two polls; what was seen can only have grown.
    steps = [int(step) for _, step in polls]
    assert steps == sorted(steps), polls

    mixture = json.loads((checkout / "mixture.json").read_text(encoding="utf-8"))
    assert set(mixture["shares"]) == {"prose", "code"}
    assert sum(mixture["shares"].values()) == pytest.approx(1, abs=1e-6)
    with (checkout / "trajectory.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(10, 81, 10))

    manifest = json.loads((checkout / "manifest.json").read_text(encoding="utf-8"))
    domains = checkout / "domains.parquet"
    entry = next(e for e in manifest["files"] if e["path"] == "domains.parquet")
    assert hashlib.sha256(domains.read_bytes()).hexdigest() == entry["sha256"]
    table = pq.read_table(domains).to_pylist()
    assert {row["domain"]: row["share"] for row in table} == mixture["shares"]
    blend = json.loads((checkout / "blend.json").read_text(encoding="utf-8"))["train"]
    assert [float(weight) for weight in blend[::2]] == pytest.approx(
        [mixture["shares"][name] for name in ("code", "prose")], abs=1e-9
    )
