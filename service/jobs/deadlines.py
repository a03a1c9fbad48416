"""Ends jobs that were not over in time."""

from sqlalchemy.orm import Session

from service.jobs.lifecycle import LEASED, JobState
from service.jobs.repository.queue import lock_overdue
from service.jobs.repository.transitions import transition

_ERROR = {
    "code": "deadline_exceeded",
    "message": "the job was not over at its deadline",
    "retryable": True,
    "hint": "submit it again with a later deadline_seconds; what it has learned is kept",
}


def stop_overdue(session: Session) -> int:
    """Cancel the jobs whose deadline has passed; returns how many."""
    overdue = lock_overdue(session)
    for job_id, state in overdue:
        data = {"reason": "deadline_exceeded"}
        transition(session, job_id, state, stopped(state), data=data, error=_ERROR)
    return len(overdue)


def stopped(state: JobState) -> JobState:
    """Return where a job goes that is to be cancelled: who holds it must agree first."""
    return JobState.CANCELLING if state in LEASED else JobState.CANCELLED
