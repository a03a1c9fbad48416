"""Rules about jobs that exist: who sees them, what may be done to them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from service.db.clock import from_now
from service.dependencies import Caller
from service.errors import InvalidStateError, MixtureNotReadyError, NotFoundError
from service.jobs.deadlines import stopped
from service.jobs.lifecycle import TERMINAL, JobState
from service.jobs.models import Job
from service.jobs.repository.jobs import find_job
from service.jobs.repository.transitions import transition
from service.jobs.result_schemas import ResultRead


def get_job(session: Session, caller: Caller, job_id: str, *, for_update: bool = False) -> Job:
    """Return the caller's job.

    Raises:
        NotFoundError: there is none of that id, or it is another tenant's: nobody learns which.
    """
    # NUL cannot stand in a query, so no job has such an id.
    job = None
    if "\0" not in job_id:
        job = find_job(session, caller.tenant_id, job_id, for_update=for_update)
    if job is None:
        raise NotFoundError(f"there is no job {job_id[:100]!r}")
    return job


def cancel_job(session: Session, caller: Caller, job_id: str) -> tuple[Job, bool]:
    """Ask a job to stop; returns the job and whether that changed anything.

    A queued job is cancelled at once; one that a worker holds is cancelled by the worker, who
    learns of it with its next heartbeat.

    Raises:
        InvalidStateError: the job has succeeded or failed.
    """
    job = get_job(session, caller, job_id, for_update=True)
    state = JobState(job.state)
    if state == JobState.CANCELLED:
        return job, False
    if state in TERMINAL:
        raise InvalidStateError(f"the job has {state}; only a job that is not over can be stopped")
    if state != JobState.CANCELLING:
        data = {"requested_by": caller.key_prefix}
        transition(session, job.id, state, stopped(state), data=data)
        job = get_job(session, caller, job_id)
    return job, True


def pause_job(session: Session, caller: Caller, job_id: str) -> tuple[Job, bool]:
    """Ask a job to be laid aside at a checkpoint; returns it and whether that changed anything.

    A queued job is paused at once; one that a worker holds is paused by the worker, who learns of
    it with its next heartbeat. No attempt of its budget is spent.

    Raises:
        InvalidStateError: the job is over or being cancelled.
    """
    job = get_job(session, caller, job_id, for_update=True)
    state = JobState(job.state)
    if state in {JobState.PAUSED, JobState.PAUSING}:
        return job, False
    if state in TERMINAL or state == JobState.CANCELLING:
        raise InvalidStateError(f"the job is {state}; only one that waits or runs can be paused")
    target = JobState.PAUSED if state == JobState.QUEUED else JobState.PAUSING
    transition(session, job.id, state, target, data={"requested_by": caller.key_prefix})
    return get_job(session, caller, job_id), True


def resume_job(session: Session, caller: Caller, job_id: str) -> tuple[Job, bool]:
    """Queue a paused job again; it goes on from its last checkpoint.

    Raises:
        InvalidStateError: the job is not paused.
    """
    job = get_job(session, caller, job_id, for_update=True)
    state = JobState(job.state)
    if state in {JobState.QUEUED, JobState.STARTING, JobState.RUNNING}:
        return job, False
    if state != JobState.PAUSED:
        raise InvalidStateError(f"the job is {state}; only a paused one can be resumed")
    return _queued_again(session, caller, job, {}), True


def retry_job(session: Session, caller: Caller, job_id: str) -> Job:
    """Queue a job that failed or was cancelled again, with all of its attempts.

    It goes on from its last checkpoint; its deadline no longer holds.

    Raises:
        InvalidStateError: the job neither failed nor was cancelled.
    """
    job = get_job(session, caller, job_id, for_update=True)
    state = JobState(job.state)
    if state not in {JobState.FAILED, JobState.CANCELLED}:
        raise InvalidStateError(
            f"the job is {state}; only one that failed or was cancelled can be tried again"
        )
    values = {"error": None, "finished_at": None, "budget_spent": 0, "deadline_at": None}
    return _queued_again(session, caller, job, values)


def _queued_again(session: Session, caller: Caller, job: Job, values: Mapping[str, Any]) -> Job:
    transition(
        session,
        job.id,
        JobState(job.state),
        JobState.QUEUED,
        data={"requested_by": caller.key_prefix},
        run_after=from_now(0),
        # It counts as announced: its message leaves after the commit.
        dispatched_at=from_now(0),
        dispatch_count=1,
        **values,
    )
    return get_job(session, caller, job.id)


def get_result(job: Job) -> ResultRead:
    """Return what the job found.

    Raises:
        MixtureNotReadyError: it has not succeeded (yet).
    """
    if job.result is None:
        raise MixtureNotReadyError(
            f"the job is {job.state}; the mixture is there when it has succeeded. "
            "The trajectory shows how far it is"
        )
    return ResultRead.model_validate(job.result)
