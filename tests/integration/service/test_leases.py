"""Claims and fenced writes on a real database."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, select
from support.jobs import point, points, result_record

from service.db.session import Sessions, unit_of_work
from service.jobs import leases
from service.jobs.leases import Lease, LeaseLostError
from service.jobs.lifecycle import JobState
from service.jobs.models import Job, JobAttempt, JobEvent, Manifest, TrajectoryRow
from service.jobs.repository.transitions import transition
from tandem_engine.contracts.records import ErrorRecord

HoldJob = Callable[..., Lease]
ReadJob = Callable[[str], Job]
ERROR = ErrorRecord(code="diverged", message="a loss is not finite", retryable=False)


def _steps(sessions: Sessions, job_id: str) -> list[tuple[int, int, int]]:
    statement = (
        select(TrajectoryRow.step, TrajectoryRow.attempt, TrajectoryRow.seq)
        .where(TrajectoryRow.job_id == job_id)
        .order_by(TrajectoryRow.step)
    )
    with unit_of_work(sessions) as work:
        return [(row.step, row.attempt, row.seq) for row in work.session.execute(statement)]


def _events(sessions: Sessions, job_id: str, kind: str) -> list[dict[str, object]]:
    statement = (
        select(JobEvent.data)
        .where(JobEvent.job_id == job_id, JobEvent.type == kind)
        .order_by(JobEvent.seq)
    )
    with unit_of_work(sessions) as work:
        return list(work.session.scalars(statement))


def _attempts(sessions: Sessions, job_id: str) -> list[tuple[int, str | None, str | None]]:
    statement = (
        select(JobAttempt.attempt, JobAttempt.outcome, JobAttempt.reason)
        .where(JobAttempt.job_id == job_id)
        .order_by(JobAttempt.attempt)
    )
    with unit_of_work(sessions) as work:
        return [(row[0], row[1], row[2]) for row in work.session.execute(statement)]


def _claim_again(sessions: Sessions, job_id: str, worker: str = "worker-b") -> Lease:
    with unit_of_work(sessions) as work:
        claim = leases.claim(work.session, job_id, worker)
        assert claim is not None
        leases.mark_running(work.session, claim.lease, "learning")
        return claim.lease


def _release(sessions: Sessions, lease: Lease, *, spends_budget: bool = True) -> None:
    with unit_of_work(sessions) as work:
        leases.release(work.session, lease, reason="engine_crashed", spends_budget=spends_budget)


def test_of_many_claims_at_once_exactly_one_wins(
    sessions: Sessions, new_job: Callable[..., str]
) -> None:
    job_id = new_job()
    barrier = Barrier(8)

    def claim(number: int) -> Lease | None:
        with unit_of_work(sessions) as work:
            barrier.wait()
            claimed = leases.claim(work.session, job_id, f"worker-{number}")
        return claimed.lease if claimed else None

    with ThreadPoolExecutor(8) as pool:
        won = [lease for lease in pool.map(claim, range(8)) if lease is not None]

    assert [lease.attempt for lease in won] == [1]


def test_a_claim_gives_the_stored_specification(
    sessions: Sessions, new_job: Callable[..., str], read_job: ReadJob
) -> None:
    job_id = new_job()
    with unit_of_work(sessions) as work:
        claim = leases.claim(work.session, job_id, "worker-a", lease_seconds=7)
    assert claim is not None
    assert claim.spec.model_dump(mode="json") == read_job(job_id).spec
    assert read_job(job_id).lease_seconds == 7


def test_a_job_that_waits_for_its_retry_is_not_claimed(
    sessions: Sessions, held_job: HoldJob
) -> None:
    lease = held_job()
    with unit_of_work(sessions) as work:
        leases.release(
            work.session, lease, reason="engine_crashed", spends_budget=True, delay_seconds=60
        )
    with unit_of_work(sessions) as work:
        assert leases.claim(work.session, lease.job_id, "worker-b") is None


def test_a_stored_specification_of_another_release_fails_the_job(
    sessions: Sessions, new_job: Callable[..., str], read_job: ReadJob
) -> None:
    job_id = new_job()
    with unit_of_work(sessions) as work:
        work.session.scalars(select(Job).where(Job.id == job_id)).one().spec = {"domains": []}
    with unit_of_work(sessions) as work:
        assert leases.claim(work.session, job_id, "worker-a") is None
    job = read_job(job_id)
    assert job.state == JobState.FAILED
    assert job.error is not None
    assert job.error["code"] == "invalid_spec"


def _in_one_transaction(call: Callable[..., object], *arguments: object) -> Callable[..., None]:
    def write(sessions: Sessions, lease: Lease) -> None:
        with unit_of_work(sessions) as work:
            call(work.session, lease, *arguments)

    return write


OLD_WRITES: dict[str, Callable[[Sessions, Lease], None]] = {
    "renew": _in_one_transaction(leases.renew),
    "mark_running": _in_one_transaction(leases.mark_running, "evaluating"),
    "record_progress": _in_one_transaction(leases.record_progress, "learning", 1, 2, "x"),
    "append_points": _in_one_transaction(leases.append_points, points(4, 6, share=0.9)),
    "rewind": _in_one_transaction(leases.rewind, 0),
    "record_event": _in_one_transaction(leases.record_event, "checkpoint", {"episode": 1}),
    "finish_succeeded": _in_one_transaction(leases.finish_succeeded, result_record()),
    "finish_failed": _in_one_transaction(leases.finish_failed, ERROR),
    "finish_cancelled": _in_one_transaction(leases.finish_cancelled),
    "release": _release,
}


@pytest.mark.parametrize("name", OLD_WRITES)
def test_an_attempt_that_lost_its_lease_writes_nothing(
    name: str, sessions: Sessions, held_job: HoldJob, read_job: ReadJob
) -> None:
    old = held_job()
    with unit_of_work(sessions) as work:
        leases.append_points(work.session, old, points(1, 3))
    _release(sessions, old)
    new = _claim_again(sessions, old.job_id)
    before = _snapshot(sessions, read_job, old.job_id)

    with pytest.raises(LeaseLostError, match=f"attempt 1 of {old.job_id}"):
        OLD_WRITES[name](sessions, old)

    assert _snapshot(sessions, read_job, old.job_id) == before
    with unit_of_work(sessions) as work:
        assert leases.renew(work.session, new) == "run"


def _snapshot(sessions: Sessions, read_job: ReadJob, job_id: str) -> tuple[object, ...]:
    job = read_job(job_id)
    columns = {name: value for name, value in vars(job).items() if not name.startswith("_")}
    with unit_of_work(sessions) as work:
        events = work.session.scalar(select(func.count()).select_from(JobEvent))
        manifests = work.session.scalar(select(func.count()).select_from(Manifest))
    return columns, events, manifests, _steps(sessions, job_id), _attempts(sessions, job_id)


@pytest.mark.parametrize("name", OLD_WRITES)
def test_nothing_is_written_to_a_job_that_is_over(
    name: str, sessions: Sessions, held_job: HoldJob, read_job: ReadJob
) -> None:
    lease = held_job()
    with unit_of_work(sessions) as work:
        leases.finish_succeeded(work.session, lease, result_record())
    before = _snapshot(sessions, read_job, lease.job_id)
    with pytest.raises(LeaseLostError):
        OLD_WRITES[name](sessions, lease)
    assert _snapshot(sessions, read_job, lease.job_id) == before


def test_points_and_progress_show_on_the_job(
    sessions: Sessions, held_job: HoldJob, read_job: ReadJob
) -> None:
    lease = held_job()
    with unit_of_work(sessions) as work:
        leases.append_points(work.session, lease, points(1, 2))
        leases.append_points(work.session, lease, [point(3, share=0.75)])
        leases.record_progress(work.session, lease, "evaluating", 2, 10, "natural, seed 0")
    job = read_job(lease.job_id)
    assert (job.episode, job.last_step, job.tokens) == (3, 30, 3 * 20_480)
    assert job.alpha == [0.75, 0.25]
    assert (job.phase, job.phase_done, job.phase_total) == ("evaluating", 2, 10)
    assert job.phase_message == "natural, seed 0"
    assert _steps(sessions, lease.job_id) == [(10, 1, 1), (20, 1, 2), (30, 1, 3)]
    assert _events(sessions, lease.job_id, "phase") == [
        {"phase": "learning"},
        {"phase": "evaluating"},
    ]


def test_the_same_points_twice_are_the_same_as_once(sessions: Sessions, held_job: HoldJob) -> None:
    lease = held_job()
    for _ in range(2):
        with unit_of_work(sessions) as work:
            leases.append_points(work.session, lease, points(1, 3))
    assert [step for step, _, _ in _steps(sessions, lease.job_id)] == [10, 20, 30]


def test_a_mixture_off_the_simplex_is_refused(sessions: Sessions, held_job: HoldJob) -> None:
    lease = held_job()
    bad = point(1).model_copy(update={"alpha": [0.7, 0.4]})
    with (
        pytest.raises(ValueError, match=r"episode 1 is not on the simplex: it sums to 1\.1000"),
        unit_of_work(sessions) as work,
    ):
        leases.append_points(work.session, lease, [bad])
    assert _steps(sessions, lease.job_id) == []


def test_a_rewind_drops_later_points_and_numbers_go_on(
    sessions: Sessions, held_job: HoldJob, read_job: ReadJob
) -> None:
    lease = held_job()
    with unit_of_work(sessions) as work:
        leases.append_points(work.session, lease, points(1, 5))
    _release(sessions, lease)
    second = _claim_again(sessions, lease.job_id)

    with unit_of_work(sessions) as work:
        leases.rewind(work.session, second, 3)
    job = read_job(lease.job_id)
    assert (job.epoch, job.last_step, job.episode, job.tokens) == (2, 30, 3, 3 * 20_480)
    with unit_of_work(sessions) as work:
        leases.append_points(work.session, second, points(4, 6))

    assert _steps(sessions, lease.job_id) == [
        (10, 1, 1),
        (20, 1, 2),
        (30, 1, 3),
        (40, 2, 6),
        (50, 2, 7),
        (60, 2, 8),
    ]
    assert _events(sessions, lease.job_id, "rewind") == [
        {"to_episode": 3, "to_step": 30, "deleted_points": 2}
    ]


def test_an_attempt_that_starts_over_without_a_word_rewinds_by_itself(
    sessions: Sessions, held_job: HoldJob, read_job: ReadJob
) -> None:
    lease = held_job()
    with unit_of_work(sessions) as work:
        leases.append_points(work.session, lease, points(1, 3))
    _release(sessions, lease)
    second = _claim_again(sessions, lease.job_id)
    with unit_of_work(sessions) as work:
        leases.append_points(work.session, second, points(1, 2))
    assert _steps(sessions, lease.job_id) == [(10, 2, 4), (20, 2, 5)]
    assert read_job(lease.job_id).epoch == 2


def test_a_rewind_to_the_start_leaves_no_mixture(
    sessions: Sessions, held_job: HoldJob, read_job: ReadJob
) -> None:
    lease = held_job()
    with unit_of_work(sessions) as work:
        leases.append_points(work.session, lease, points(1, 3))
        leases.rewind(work.session, lease, 0)
    job = read_job(lease.job_id)
    assert (job.alpha, job.last_step, job.episode, job.tokens) == (None, 0, 0, 0)


def test_faults_spend_the_budget_and_drains_do_not(
    sessions: Sessions, held_job: HoldJob, read_job: ReadJob
) -> None:
    lease = held_job(max_attempts=2)
    for spends_budget in (False, True, False):
        _release(sessions, lease, spends_budget=spends_budget)
        assert read_job(lease.job_id).state == JobState.QUEUED
        lease = _claim_again(sessions, lease.job_id)
    _release(sessions, lease, spends_budget=True)

    job = read_job(lease.job_id)
    assert (job.state, job.attempt) == (JobState.FAILED, 4)
    assert job.error is not None
    assert job.error["code"] == "attempts_exhausted"
    assert "engine_crashed" in job.error["message"]
    assert [outcome for _, outcome, _ in _attempts(sessions, job.id)] == ["released"] * 4


def test_a_success_stores_result_and_manifest(
    sessions: Sessions, held_job: HoldJob, read_job: ReadJob
) -> None:
    lease = held_job()
    with unit_of_work(sessions) as work:
        leases.finish_succeeded(work.session, lease, result_record(sha256="ab" * 32))
    job = read_job(lease.job_id)
    assert job.state == JobState.SUCCEEDED
    assert job.result is not None
    assert job.result["mixture"]["alpha"] == [0.6, 0.4]
    assert (job.lease_owner, job.lease_expires_at) == (None, None)
    assert job.finished_at is not None
    with unit_of_work(sessions) as work:
        manifest = work.session.scalars(select(Manifest)).one()
    assert (manifest.job_id, manifest.sha256) == (job.id, "ab" * 32)
    assert _events(sessions, job.id, "state")[-1] == {"from": "running", "to": "succeeded"}
    assert _attempts(sessions, job.id) == [(1, "succeeded", None)]


def test_a_failure_stores_the_error(
    sessions: Sessions, held_job: HoldJob, read_job: ReadJob
) -> None:
    lease = held_job()
    with unit_of_work(sessions) as work:
        leases.finish_failed(work.session, lease, ERROR)
    job = read_job(lease.job_id)
    assert job.state == JobState.FAILED
    assert job.error is not None
    assert job.error["message"] == "a loss is not finite"
    assert _attempts(sessions, job.id) == [(1, "failed", "diverged")]


def _ask_to_stop(sessions: Sessions, lease: Lease) -> None:
    with unit_of_work(sessions) as work:
        assert transition(work.session, lease.job_id, JobState.RUNNING, JobState.CANCELLING)


def test_a_worker_learns_of_a_cancellation_when_it_renews(
    sessions: Sessions, held_job: HoldJob, read_job: ReadJob
) -> None:
    lease = held_job()
    _ask_to_stop(sessions, lease)
    with unit_of_work(sessions) as work:
        assert leases.renew(work.session, lease) == "cancel"
        leases.append_points(work.session, lease, points(1, 1))
        leases.finish_cancelled(work.session, lease)
    assert read_job(lease.job_id).state == JobState.CANCELLED


def test_a_job_that_finishes_while_being_cancelled_has_succeeded(
    sessions: Sessions, held_job: HoldJob, read_job: ReadJob
) -> None:
    lease = held_job()
    _ask_to_stop(sessions, lease)
    with unit_of_work(sessions) as work:
        leases.finish_succeeded(work.session, lease, result_record())
    assert read_job(lease.job_id).state == JobState.SUCCEEDED


def test_a_cancelling_job_that_is_given_back_is_cancelled(
    sessions: Sessions, held_job: HoldJob, read_job: ReadJob
) -> None:
    lease = held_job()
    _ask_to_stop(sessions, lease)
    _release(sessions, lease, spends_budget=False)
    assert read_job(lease.job_id).state == JobState.CANCELLED
