"""Changes of state: one UPDATE with the fence in it, one event, one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, update
from sqlalchemy.orm import Session

from service.jobs.lifecycle import LEASED, TERMINAL, JobState, check_transition
from service.jobs.models import Job, JobAttempt
from service.jobs.repository.events import add_event


@dataclass(frozen=True)
class Fence:
    """Who must hold the job for a write to happen."""

    attempt: int
    worker_id: str


def transition(
    session: Session,
    job_id: str,
    source: JobState,
    target: JobState,
    *,
    fence: Fence | None = None,
    data: Mapping[str, object] | None = None,
    **values: Any,
) -> bool:
    """Move a job from `source` to `target` if it still stands there; write the event.

    Args:
        session: The caller's transaction.
        job_id: Which job.
        source: The state it must be in.
        target: The state it gets.
        fence: The attempt that must hold the job; None for the service's own changes.
        data: What the event says besides `from` and `to`.
        **values: Other columns to set in the same UPDATE.

    Returns:
        False if the job is elsewhere by now or held by another attempt; nothing is written then.

    Raises:
        IllegalTransitionError: the table of the life cycle has no such step.
    """
    check_transition(source, target)
    statement = update(Job).where(Job.id == job_id, Job.state == source)
    if fence is not None:
        statement = statement.where(
            Job.attempt == fence.attempt, Job.lease_owner == fence.worker_id
        )
    if target not in LEASED:
        values |= {"lease_owner": None, "lease_expires_at": None}
    if target in TERMINAL:
        values |= {"finished_at": func.clock_timestamp()}
    row = session.execute(
        statement.values(state=target, event_seq=Job.event_seq + 1, **values)
        .returning(Job.event_seq, Job.attempt)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if row is None:
        return False
    add_event(
        session,
        job_id,
        seq=row.event_seq,
        attempt=row.attempt,
        kind="state",
        data={"from": source, "to": target, **(data or {})},
    )
    return True


def end_attempt(
    session: Session, job_id: str, attempt: int, *, outcome: str, reason: str | None = None
) -> None:
    """Note how an attempt ended."""
    session.execute(
        update(JobAttempt)
        .where(JobAttempt.job_id == job_id, JobAttempt.attempt == attempt)
        .values(ended_at=func.clock_timestamp(), outcome=outcome, reason=reason)
    )
