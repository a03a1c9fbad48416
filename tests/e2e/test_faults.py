"""A real `tandem up` and the real engine, and what is killed while a job runs.

Every job here has one specification, so every trajectory must be bitwise that of the engine run
alone and undisturbed.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.corpora import write_jsonl

from client.http import TandemClient
from client.local import find_connection
from embedded.server_files import usable_port

EPISODES = 200
KILL_AFTER = 25
SETTINGS = {
    "TANDEM_LEASE_SECONDS": "4",
    "TANDEM_HEARTBEAT_SECONDS": "0.5",
    "TANDEM_RECONCILE_SECONDS": "0.5",
    "TANDEM_RETRY_BACKOFF_SECONDS": "0",
    "TANDEM_KEY_PEPPER": "",
    "OMP_NUM_THREADS": "1",
}
WAIT_SECONDS = 120
TANDEM = (sys.executable, "-c", "from client.cli import main; main()")
ENGINE = (sys.executable, "-m", "tandem_engine")
Trajectory = list[tuple[int, dict[str, float]]]


def _spec(folder: Path) -> dict[str, Any]:
    domains = []
    for number, name in enumerate(("ants", "bees", "cats")):
        texts = [
            f"{name} {(7 * line) % (11 + number)} {'abc'[number] * (line % 5)} " * 12
            for line in range(80)
        ]
        path = write_jsonl(folder / f"{name}.jsonl", [f"{t}{i}" for i, t in enumerate(texts)])
        domains.append({"name": name, "uris": [str(path)]})
    return {
        "domains": domains,
        "model": {"hidden_size": 16, "layers": 1, "heads": 2, "intermediate_size": 32},
        "training": {"batch_size": 6, "context_length": 16},
        "learning": {
            "total_steps": 4 * EPISODES,
            "probing_steps": 2,
            "free_steps": 2,
            "checkpoint_every": 10,
        },
        "evaluation": {"enabled": False},
        "runtime": {"device": "cpu", "threads": 1},
        "seed": 7,
    }


class System:
    """One `tandem up` in a process of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._port = usable_port(None)
        self._log = data.parent / "up.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._log.touch()
        already = self._log.read_text().count("Tandem is up")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*TANDEM, "up", "--data", str(self.data), "--port", str(self._port)],
                env=os.environ | SETTINGS,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_for(lambda: self._log.read_text().count("Tandem is up") > already)

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            assert self._process.wait(timeout=WAIT_SECONDS) == 0, self._log.read_text()
            self._process = None

    def client(self) -> TandemClient:
        connection = find_connection(self.data)
        return TandemClient(connection.url, connection.api_key)

    def pid(self, name: str) -> int:
        recorded = json.loads((self.data / "processes.json").read_text())
        return int(recorded[name]["pid"])

    def engine(self) -> psutil.Process:
        for process in psutil.Process(self.pid("worker-1")).children(recursive=True):
            if "tandem_engine" in process.cmdline():
                return process
        raise AssertionError("no engine runs")

    def wait_for(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < end, self._log.read_text()
            assert self._process is None or self._process.poll() is None, self._log.read_text()
            time.sleep(0.05)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("a folder with spaces")


@pytest.fixture(scope="module")
def spec(folder: Path) -> dict[str, Any]:
    return _spec(folder)


@pytest.fixture(scope="module")
def undisturbed(folder: Path, spec: dict[str, Any]) -> Trajectory:
    """The trajectory of the engine alone, from its own command line."""
    path = folder / "spec.json"
    path.write_text(json.dumps(spec))
    done = subprocess.run(
        [*ENGINE, "run", "--spec", str(path), "--out", str(folder / "alone")],
        check=True,
        env=os.environ | SETTINGS,
        capture_output=True,
        text=True,
    )
    records = [json.loads(line) for line in done.stdout.splitlines()]
    names = sorted(domain["name"] for domain in spec["domains"])
    return [
        (record["episode"], dict(zip(names, record["alpha"], strict=True)))
        for record in records
        if record["type"] == "episode"
    ]


@pytest.fixture(scope="module")
def system(folder: Path) -> Iterator[System]:
    system = System(folder / "data")
    system.start()
    yield system
    system.stop()


@pytest.fixture
def running_job(system: System, spec: dict[str, Any]) -> str:
    """A job that has learned for a while and is far from its end."""
    with system.client() as client:
        job_id = str(client.submit(spec)["id"])
        system.wait_for(lambda: _episode(client, job_id) >= KILL_AFTER)
        assert _episode(client, job_id) < EPISODES, "the job is too short for this test"
    return job_id


def _episode(client: TandemClient, job_id: str) -> int:
    return int(client.job(job_id)["progress"]["episode"] or 0)


def _trajectory(client: TandemClient, job_id: str) -> Trajectory:
    points = client.iter_trajectory(job_id, follow=False)
    return [(point["episode"], point["alpha"]) for point in points]


def _finished(client: TandemClient, job_id: str) -> dict[str, Any]:
    job = client.wait(job_id, timeout_seconds=WAIT_SECONDS, poll_seconds=0.2)
    assert job["state"] == "succeeded", job["error"]
    return job


def test_a_job_whose_engine_is_killed_ends_with_the_same_trajectory(
    system: System, running_job: str, undisturbed: Trajectory
) -> None:
    system.engine().kill()
    with system.client() as client:
        job = _finished(client, running_job)
        assert job["attempt"] == 2
        assert _trajectory(client, running_job) == undisturbed
        assert "resumed" in {event["type"] for event in client.events(running_job)}


def test_a_job_whose_whole_worker_is_killed_ends_with_the_same_trajectory(
    system: System, running_job: str, undisturbed: Trajectory
) -> None:
    engine = system.engine()
    os.killpg(system.pid("worker-1"), signal.SIGKILL)
    _, alive = psutil.wait_procs([engine], timeout=10)
    assert alive == [], "the engine outlived its worker"
    with system.client() as client:
        job = _finished(client, running_job)
        assert job["attempt"] == 2
        assert _trajectory(client, running_job) == undisturbed


def test_a_job_goes_on_when_both_servers_are_killed(
    system: System, running_job: str, undisturbed: Trajectory
) -> None:
    postmaster = int((system.data / "postgres/data/postmaster.pid").read_text().split()[0])
    os.kill(int((system.data / "valkey/pid").read_text()), signal.SIGKILL)
    os.kill(postmaster, signal.SIGKILL)
    with system.client() as client:
        _finished(client, running_job)
        assert _trajectory(client, running_job) == undisturbed


def test_a_job_survives_a_stop_and_a_new_start_without_spending_an_attempt(
    system: System, running_job: str, undisturbed: Trajectory
) -> None:
    system.stop()
    system.start()
    with system.client() as client:
        job = _finished(client, running_job)
        assert job["attempt"] == 2
        assert _trajectory(client, running_job) == undisturbed
        reasons = [event["data"].get("reason") for event in client.events(running_job)]
        assert "drained" in reasons
        states = [(listed["id"], listed["state"]) for listed in client.jobs()]
        assert (running_job, "succeeded") in states
        assert len(client.mixture(running_job)["shares"]) == 3
        client.download_manifest(running_job, system.data.parent / "manifest")
    assert (system.data.parent / "manifest" / "domains.parquet").exists()


def test_a_worker_killed_in_the_middle_of_a_comparison_costs_no_finished_cell(
    system: System, spec: dict[str, Any], undisturbed: Trajectory
) -> None:
    evaluation = {"steps": 20, "test_sequences": 4}
    comparison = {
        "base": spec | {"evaluation": evaluation},
        "entries": ["uniform", "tandem", "natural"],
        "seeds": 1,
        "equal_compute": False,
    }
    with system.client() as client:
        made = client.compare(comparison)
        jobs = {cell["entry"]: cell["job_id"] for cell in made["cells"]}
        system.wait_for(lambda: _episode(client, jobs["tandem"]) >= KILL_AFTER)
        before = client.comparison(made["id"])
        (done,) = [row for row in before["table"]["entries"] if row["seeds_done"]]
        os.killpg(system.pid("worker-1"), signal.SIGKILL)
        ended = client.wait_for_comparison(made["id"], timeout_seconds=WAIT_SECONDS)
        assert ended["state"] == "succeeded"
        rows = {row["entry"]: row for row in ended["table"]["entries"]}
        assert rows["uniform"] == done
        assert client.job(jobs["uniform"])["attempt"] == 1
        assert client.job(jobs["tandem"])["attempt"] == 2
        assert _trajectory(client, jobs["tandem"]) == undisturbed
        assert "<svg" in client.comparison_report(made["id"], "html")
