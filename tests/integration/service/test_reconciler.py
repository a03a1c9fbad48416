"""What the reconciler brings back: jobs of dead workers, messages that nobody heard."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from sqlalchemy import text
from support.jobs import TENANT, points

from service.db.clock import from_now
from service.db.session import Sessions, unit_of_work
from service.jobs import leases
from service.jobs.dispatch import Dispatcher
from service.jobs.leases import Lease, LeaseLostError
from service.jobs.lifecycle import JobState
from service.jobs.models import IdempotencyKey, Job
from service.jobs.reconciler import Reconciler, Report
from service.jobs.repository.idempotency import add_answer, find_answer
from service.jobs.repository.queue import RECONCILER_LOCK
from service.jobs.repository.transitions import transition
from service.task_queue import QueueUnavailableError

HoldJob = Callable[..., Lease]
ReadJob = Callable[[str], Job]


@dataclass
class FakeQueue:
    """Remembers what was sent; can be down."""

    sent: list[str] = field(default_factory=list)
    down: bool = False

    def send(self, job_id: str) -> None:
        if self.down:
            raise QueueUnavailableError("down")
        self.sent.append(job_id)


@pytest.fixture
def queue() -> FakeQueue:
    return FakeQueue()


@pytest.fixture
def reconciler(sessions: Sessions, queue: FakeQueue) -> Reconciler:
    return Reconciler(
        sessions,
        Dispatcher(sessions, queue),
        interval_seconds=0.01,
        resend_seconds=30,
        backoff_seconds=0,
    )


def _set(sessions: Sessions, job_id: str, **values: object) -> None:
    with unit_of_work(sessions) as work:
        job = work.session.get_one(Job, job_id)
        for name, value in values.items():
            setattr(job, name, value)


def _expire(sessions: Sessions, job_id: str) -> None:
    _set(sessions, job_id, lease_expires_at=from_now(-1))


def test_a_job_of_a_dead_worker_is_queued_again_and_announced(
    sessions: Sessions,
    held_job: HoldJob,
    read_job: ReadJob,
    reconciler: Reconciler,
    queue: FakeQueue,
) -> None:
    lease = held_job()
    _expire(sessions, lease.job_id)
    assert reconciler.run_once() == Report(expired=1, announced=1)
    job = read_job(lease.job_id)
    assert (job.state, job.budget_spent) == (JobState.QUEUED, 1)
    assert queue.sent == [lease.job_id]

    with pytest.raises(LeaseLostError), unit_of_work(sessions) as work:
        leases.append_points(work.session, lease, points(1, 1))
    with unit_of_work(sessions) as work:
        claim = leases.claim(work.session, lease.job_id, "worker-b")
    assert claim is not None
    assert claim.lease.attempt == 2


def test_a_job_with_a_living_worker_is_left_alone(
    held_job: HoldJob, read_job: ReadJob, reconciler: Reconciler
) -> None:
    lease = held_job()
    assert reconciler.run_once() == Report(expired=0, announced=0)
    assert read_job(lease.job_id).state == JobState.RUNNING


def test_a_sign_of_life_renews_a_lease_that_nobody_has_taken_yet(
    sessions: Sessions, held_job: HoldJob, reconciler: Reconciler
) -> None:
    lease = held_job()
    _expire(sessions, lease.job_id)
    with unit_of_work(sessions) as work:
        assert leases.renew(work.session, lease) == "run"
    assert reconciler.run_once().expired == 0


def test_a_job_whose_workers_keep_dying_fails_when_its_attempts_are_spent(
    sessions: Sessions, new_job: Callable[..., str], read_job: ReadJob, reconciler: Reconciler
) -> None:
    job_id = new_job(max_attempts=3)
    for _ in range(3):
        assert read_job(job_id).state == JobState.QUEUED
        with unit_of_work(sessions) as work:
            assert leases.claim(work.session, job_id, "worker-a") is not None
        _expire(sessions, job_id)
        assert reconciler.run_once().expired == 1
    job = read_job(job_id)
    assert job.state == JobState.FAILED
    assert job.error is not None
    assert job.error["code"] == "attempts_exhausted"
    assert "lease_expired" in job.error["message"]


@pytest.mark.parametrize(
    ("asked", "end"),
    [(JobState.CANCELLING, JobState.CANCELLED), (JobState.PAUSING, JobState.PAUSED)],
)
def test_a_job_of_a_dead_worker_ends_where_it_was_asked_to(
    sessions: Sessions,
    held_job: HoldJob,
    read_job: ReadJob,
    reconciler: Reconciler,
    asked: JobState,
    end: JobState,
) -> None:
    lease = held_job()
    with unit_of_work(sessions) as work:
        transition(work.session, lease.job_id, JobState.RUNNING, asked)
    _expire(sessions, lease.job_id)
    reconciler.run_once()
    assert read_job(lease.job_id).state == end


def test_a_job_beyond_its_deadline_is_cancelled_by_whoever_holds_it(
    sessions: Sessions,
    new_job: Callable[..., str],
    held_job: HoldJob,
    read_job: ReadJob,
    reconciler: Reconciler,
) -> None:
    waiting, running, early = new_job(), held_job().job_id, new_job()
    for job_id, seconds in ((waiting, -1), (running, -1), (early, 3600)):
        with unit_of_work(sessions) as work:
            work.session.execute(
                text(
                    "update jobs set deadline_at = clock_timestamp() + :seconds * interval '1 s' "
                    "where id = :id"
                ),
                {"seconds": seconds, "id": job_id},
            )
    reconciler.run_once()
    reconciler.run_once()
    assert read_job(waiting).state == JobState.CANCELLED
    assert read_job(running).state == JobState.CANCELLING
    assert read_job(early).state == JobState.QUEUED
    for job_id in (waiting, running):
        error = read_job(job_id).error
        assert error is not None
        assert error["code"] == "deadline_exceeded"


def test_the_wait_before_the_next_attempt_doubles(
    sessions: Sessions, held_job: HoldJob, read_job: ReadJob, queue: FakeQueue
) -> None:
    patient = Reconciler(
        sessions,
        Dispatcher(sessions, queue),
        interval_seconds=1,
        resend_seconds=30,
        backoff_seconds=50,
    )
    lease = held_job()
    _set(sessions, lease.job_id, budget_spent=1)
    _expire(sessions, lease.job_id)
    assert patient.run_once() == Report(expired=1, announced=0)
    job = read_job(lease.job_id)
    with unit_of_work(sessions) as work:
        wait = work.session.execute(
            text("select extract(epoch from :at - clock_timestamp())"), {"at": job.run_after}
        ).scalar_one()
    assert 90 < float(wait) <= 100


def test_an_unheard_message_is_sent_again_after_a_time_that_doubles(
    sessions: Sessions, new_job: Callable[..., str], reconciler: Reconciler, queue: FakeQueue
) -> None:
    job_id = new_job()
    assert reconciler.run_once().announced == 0
    _set(sessions, job_id, dispatched_at=from_now(-31))
    assert reconciler.run_once().announced == 1
    _set(sessions, job_id, dispatched_at=from_now(-31))
    assert reconciler.run_once().announced == 0
    _set(sessions, job_id, dispatched_at=from_now(-61))
    assert reconciler.run_once().announced == 1
    assert queue.sent == [job_id] * 2


def test_messages_that_cannot_be_sent_are_sent_in_a_later_round(
    sessions: Sessions, new_job: Callable[..., str], reconciler: Reconciler, queue: FakeQueue
) -> None:
    ids = sorted(new_job() for _ in range(3))
    for job_id in ids:
        _set(sessions, job_id, dispatched_at=None)
    queue.down = True
    assert reconciler.run_once().announced == 3
    assert queue.sent == []
    queue.down = False
    assert reconciler.run_once().announced == 3
    assert queue.sent == ids


def test_one_process_at_a_time_reconciles(
    sessions: Sessions, held_job: HoldJob, reconciler: Reconciler
) -> None:
    _expire(sessions, held_job().job_id)
    with unit_of_work(sessions) as other:
        key = {"key": RECONCILER_LOCK}
        other.session.execute(text("select pg_advisory_xact_lock(:key)"), key)
        assert reconciler.run_once() == Report(expired=0, announced=0)
    assert reconciler.run_once() == Report(expired=1, announced=1)


def test_an_idempotency_key_is_forgotten_after_two_days(
    sessions: Sessions, new_job: Callable[..., str], reconciler: Reconciler
) -> None:
    new_job()
    hours = {"young": 47, "old": 49}
    with unit_of_work(sessions) as work:
        for key in hours:
            assert add_answer(
                work.session,
                TENANT,
                key,
                request_sha256=b"",
                status_code=201,
                location="/v1/jobs/x",
                body="{}",
            )
    with unit_of_work(sessions) as work:
        for key, age in hours.items():
            row = work.session.get_one(IdempotencyKey, (TENANT, key))
            row.created_at = from_now(-age * 3600)  # type: ignore[assignment]
    reconciler.run_once()
    with unit_of_work(sessions) as work:
        assert find_answer(work.session, TENANT, "young") is not None
        assert find_answer(work.session, TENANT, "old") is None


def test_the_thread_goes_on_after_a_round_that_failed(
    sessions: Sessions,
    held_job: HoldJob,
    queue: FakeQueue,
    reconciler: Reconciler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lease = held_job()
    _expire(sessions, lease.job_id)
    rounds: list[int] = []
    real = reconciler.run_once

    def run_once() -> Report:
        rounds.append(1)
        if len(rounds) == 1:
            raise RuntimeError("the first round fails")
        return real()

    monkeypatch.setattr(reconciler, "run_once", run_once)
    reconciler.start()
    try:
        for _ in range(500):
            if queue.sent:
                break
            reconciler._stopping.wait(0.01)
    finally:
        reconciler.stop()
    assert queue.sent == [lease.job_id]
