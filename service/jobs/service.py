"""Rules about jobs that exist: who sees them, what may be done to them."""

from sqlalchemy.orm import Session

from service.dependencies import Caller
from service.errors import InvalidStateError, MixtureNotReadyError, NotFoundError
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
        target = JobState.CANCELLED if state == JobState.QUEUED else JobState.CANCELLING
        transition(session, job.id, state, target, data={"requested_by": caller.key_prefix})
        job = get_job(session, caller, job_id)
    return job, True


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
