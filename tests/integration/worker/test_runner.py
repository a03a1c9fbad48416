"""Whole attempts on a real database, with an engine that fails on demand."""

import os
import signal
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, text
from support.engines import fake_engine
from support.fake_engine import EPISODES, fake_point
from support.jobs import insert_job

from service.db.session import Sessions, unit_of_work
from service.jobs.lifecycle import JobState
from service.jobs.models import Job, JobEvent, TrajectoryRow
from service.jobs.repository.transitions import transition
from service.settings import Settings
from worker.runner import Outcome, Workplace, run_job

Place = Callable[..., Workplace]


@pytest.fixture
def job_id(sessions: Sessions) -> str:
    with unit_of_work(sessions) as work:
        return insert_job(work.session, max_attempts=2)


@pytest.fixture
def place(sessions: Sessions, database_url: str, tmp_path: Path) -> Place:
    def make(mode: str, **changes: object) -> Workplace:
        settings = Settings(
            database_url=database_url,
            redis_url="redis://127.0.0.1:1/0",
            data_dir=tmp_path / "data folder",
            lease_seconds=3,
            heartbeat_seconds=0.2,
            retry_backoff_seconds=0,
        )
        options: dict[str, object] = {
            "engine_command": fake_engine(mode),
            "stop_grace_seconds": 5.0,
        }
        return Workplace(settings, sessions, **(options | changes))  # type: ignore[arg-type]

    return make


def _job(sessions: Sessions, job_id: str) -> Job:
    with unit_of_work(sessions) as work:
        return work.session.scalars(select(Job).where(Job.id == job_id)).one()


def _move(sessions: Sessions, job_id: str, *states: JobState) -> None:
    """Take a job from the first state to the last, as the service does."""
    with unit_of_work(sessions) as work:
        for source, target in pairwise(states):
            assert transition(work.session, job_id, source, target)


def _trajectory(sessions: Sessions, job_id: str) -> list[tuple[int, list[float]]]:
    statement = (
        select(TrajectoryRow).where(TrajectoryRow.job_id == job_id).order_by(TrajectoryRow.step)
    )
    with unit_of_work(sessions) as work:
        return [(row.episode, row.alpha) for row in work.session.scalars(statement)]


def _event_types(sessions: Sessions, job_id: str) -> list[str]:
    statement = select(JobEvent.type).where(JobEvent.job_id == job_id).order_by(JobEvent.seq)
    with unit_of_work(sessions) as work:
        return list(work.session.scalars(statement))


def _undisturbed() -> list[tuple[int, list[float]]]:
    return [(episode, fake_point(episode).alpha) for episode in range(1, EPISODES + 1)]


def _wait_for_points(sessions: Sessions, job_id: str, count: int) -> None:
    end = time.monotonic() + 15
    while len(_trajectory(sessions, job_id)) < count:
        assert time.monotonic() < end, "no points came"
        time.sleep(0.05)


class _Background:
    """An attempt in a thread."""

    def __init__(self, job_id: str, place: Workplace) -> None:
        self.outcome: Outcome | None = None
        self._thread = threading.Thread(target=self._run, args=(job_id, place))
        self._thread.start()

    def _run(self, job_id: str, place: Workplace) -> None:
        self.outcome = run_job(job_id, place)

    def join(self) -> Outcome | None:
        self._thread.join(timeout=30)
        assert not self._thread.is_alive()
        return self.outcome


def test_a_job_that_goes_well_succeeds_with_its_whole_trajectory(
    sessions: Sessions, job_id: str, place: Place
) -> None:
    assert run_job(job_id, place("well")) == "succeed"
    job = _job(sessions, job_id)
    assert job.state == JobState.SUCCEEDED
    assert job.result is not None
    assert _trajectory(sessions, job_id) == _undisturbed()
    assert "checkpoint" in _event_types(sessions, job_id)


def test_a_second_delivery_of_a_message_is_a_no_op(
    sessions: Sessions, job_id: str, place: Place
) -> None:
    assert run_job(job_id, place("well")) == "succeed"
    before = _event_types(sessions, job_id)
    assert run_job(job_id, place("well")) == "duplicate"
    assert _event_types(sessions, job_id) == before


def test_a_crashed_engine_goes_on_from_its_checkpoint_with_the_same_trajectory(
    sessions: Sessions, job_id: str, place: Place
) -> None:
    assert run_job(job_id, place("crashing-once")) == "retry"
    job = _job(sessions, job_id)
    assert (job.state, job.budget_spent) == (JobState.QUEUED, 1)
    assert run_job(job_id, place("crashing-once")) == "succeed"
    assert _trajectory(sessions, job_id) == _undisturbed()
    assert "rewind" in _event_types(sessions, job_id)


def test_points_lost_with_a_killed_worker_are_written_by_the_next_attempt(
    sessions: Sessions, job_id: str, place: Place
) -> None:
    assert run_job(job_id, place("crashing-once")) == "retry"
    with unit_of_work(sessions) as work:  # as if the last points had never left the worker
        work.session.execute(text("delete from trajectory_points where episode > 4"))
    assert run_job(job_id, place("crashing-once")) == "succeed"
    assert _trajectory(sessions, job_id) == _undisturbed()


def test_a_job_whose_engine_always_crashes_fails_and_says_what_kills_it(
    sessions: Sessions, job_id: str, place: Place
) -> None:
    for _ in range(2):
        assert run_job(job_id, place("crashing")) == "retry"
        (place("crashing").settings.data_dir / "jobs" / job_id / "fake-checkpoint.json").unlink()
    job = _job(sessions, job_id)
    assert job.state == JobState.FAILED
    assert job.error is not None
    assert job.error["code"] == "attempts_exhausted"
    assert "SIGKILL" in job.error["message"]
    assert "memory" in job.error["hint"]


def test_an_error_that_cannot_pass_fails_the_job_with_its_code(
    sessions: Sessions, job_id: str, place: Place
) -> None:
    assert run_job(job_id, place("refusing")) == "fail"
    job = _job(sessions, job_id)
    assert job.state == JobState.FAILED
    assert job.error is not None
    assert (job.error["code"], job.error["hint"]) == ("diverged", "tell it otherwise")


def test_an_error_that_may_pass_spends_an_attempt(
    sessions: Sessions, job_id: str, place: Place
) -> None:
    assert run_job(job_id, place("flaky")) == "retry"
    job = _job(sessions, job_id)
    assert (job.state, job.budget_spent) == (JobState.QUEUED, 1)


def test_lines_that_are_no_records_do_not_disturb_a_job(
    sessions: Sessions, job_id: str, place: Place
) -> None:
    assert run_job(job_id, place("noisy")) == "succeed"
    assert _trajectory(sessions, job_id) == _undisturbed()


def test_an_engine_that_leaves_without_a_result_has_not_succeeded(
    sessions: Sessions, job_id: str, place: Place
) -> None:
    assert run_job(job_id, place("silent")) == "retry"
    assert _job(sessions, job_id).state == JobState.QUEUED


def test_a_cancelled_job_stops_and_keeps_what_it_has_learned(
    sessions: Sessions, job_id: str, place: Place
) -> None:
    attempt = _Background(job_id, place("waiting-once"))
    _wait_for_points(sessions, job_id, 7)
    _move(sessions, job_id, JobState.RUNNING, JobState.CANCELLING)
    assert attempt.join() == "cancel"
    assert _job(sessions, job_id).state == JobState.CANCELLED
    assert _trajectory(sessions, job_id)[:7] == _undisturbed()[:7]


def test_a_paused_job_goes_on_from_its_checkpoint_as_if_it_had_not_been(
    sessions: Sessions, job_id: str, place: Place
) -> None:
    attempt = _Background(job_id, place("waiting-once"))
    _wait_for_points(sessions, job_id, 7)
    _move(sessions, job_id, JobState.RUNNING, JobState.PAUSING)
    assert attempt.join() == "pause"
    job = _job(sessions, job_id)
    assert (job.state, job.budget_spent, job.lease_owner) == (JobState.PAUSED, 0, None)
    assert run_job(job_id, place("waiting-once")) == "duplicate"
    _move(sessions, job_id, JobState.PAUSED, JobState.QUEUED)
    assert run_job(job_id, place("waiting-once")) == "succeed"
    assert _trajectory(sessions, job_id) == _undisturbed()


def test_a_job_that_is_cancelled_while_it_pauses_is_cancelled(
    sessions: Sessions, job_id: str, place: Place
) -> None:
    attempt = _Background(job_id, place("waiting-once"))
    _wait_for_points(sessions, job_id, 7)
    _move(sessions, job_id, JobState.RUNNING, JobState.PAUSING, JobState.CANCELLING)
    assert attempt.join() == "cancel"
    assert _job(sessions, job_id).state == JobState.CANCELLED


def test_an_engine_that_does_not_listen_is_killed_after_its_grace(
    sessions: Sessions, job_id: str, place: Place
) -> None:
    attempt = _Background(job_id, place("deaf", stop_grace_seconds=0.5))
    _wait_for_points(sessions, job_id, 7)
    _move(sessions, job_id, JobState.RUNNING, JobState.CANCELLING)
    assert attempt.join() == "cancel"
    assert _job(sessions, job_id).state == JobState.CANCELLED


def test_a_drained_worker_gives_its_job_back_without_spending_an_attempt(
    sessions: Sessions, job_id: str, place: Place
) -> None:
    leaving = threading.Event()
    attempt = _Background(job_id, place("waiting-once", draining=leaving.is_set))
    _wait_for_points(sessions, job_id, 7)
    leaving.set()
    assert attempt.join() == "drain"
    job = _job(sessions, job_id)
    assert (job.state, job.budget_spent) == (JobState.QUEUED, 0)
    assert run_job(job_id, place("waiting-once")) == "succeed"
    assert _trajectory(sessions, job_id) == _undisturbed()


def test_a_worker_that_lost_its_lease_kills_its_engine_and_writes_nothing(
    sessions: Sessions, job_id: str, place: Place
) -> None:
    attempt = _Background(job_id, place("deaf"))
    _wait_for_points(sessions, job_id, 7)
    with unit_of_work(sessions) as work:  # what the reconciler and another worker do
        work.session.execute(
            text(
                "update jobs set attempt = attempt + 1, lease_owner = 'another', "
                "lease_expires_at = now() + interval '1 hour'"
            )
        )
    before = _event_types(sessions, job_id)
    assert attempt.join() == "fenced"
    job = _job(sessions, job_id)
    assert (job.attempt, job.lease_owner, job.state) == (2, "another", JobState.RUNNING)
    assert _event_types(sessions, job_id) == before


def test_a_worker_without_its_database_gives_up_before_the_lease_ends(
    sessions: Sessions, job_id: str, place: Place, postgres_url: str, database_url: str
) -> None:
    attempt = _Background(job_id, place("deaf"))
    _wait_for_points(sessions, job_id, 7)
    name = database_url.rsplit("/", 1)[1]
    administration = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with administration.connect() as connection:
        connection.execute(text(f"alter database {name} allow_connections false"))
        cut_at = time.monotonic()
        connection.execute(
            text("select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"),
            {"name": name},
        )
        assert attempt.join() == "fenced"
        seconds = time.monotonic() - cut_at
        connection.execute(text(f"alter database {name} allow_connections true"))
    administration.dispose()
    assert seconds < 3, "the engine ran on after the lease had ended"


def test_an_engine_leaves_when_its_worker_is_killed(
    sessions: Sessions, job_id: str, place: Place
) -> None:
    pid = os.fork()
    if pid == 0:  # a worker of its own, to be killed
        sessions.kw["bind"].dispose(close=False)  # the connections are the parent's
        run_job(job_id, place("deaf"))
        os._exit(0)
    try:
        _wait_for_points(sessions, job_id, 7)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    out = str(place("deaf").settings.data_dir / "jobs" / job_id)
    end = time.monotonic() + 5
    while _processes_with(out):
        assert time.monotonic() < end, "the engine outlived its worker"
        time.sleep(0.05)


def _processes_with(argument: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if argument.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found
