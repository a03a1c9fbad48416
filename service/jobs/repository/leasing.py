"""Claims and fenced writes. Lease times are on the database's clock, never on a worker's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, update
from sqlalchemy.orm import Session

from service.db.base import Json
from service.db.clock import from_now
from service.jobs.lifecycle import LEASED, JobState
from service.jobs.models import Job, JobAttempt, Manifest
from service.jobs.repository.events import add_event
from service.jobs.repository.transitions import Fence


@dataclass(frozen=True)
class Held:
    """What stands in the row of a held job after a fenced write."""

    state: JobState
    phase: str | None
    budget_spent: int
    max_attempts: int
    epoch: int
    last_seq: int
    event_seq: int


def claim_queued(
    session: Session, job_id: str, worker_id: str, *, lease_seconds: float
) -> tuple[int, Json] | None:
    """Take a queued job that is due: (attempt, spec), or None when it is not there to be taken."""
    statement = (
        update(Job)
        .where(
            Job.id == job_id,
            Job.state == JobState.QUEUED,
            Job.run_after <= func.clock_timestamp(),
        )
        .values(
            state=JobState.STARTING,
            attempt=Job.attempt + 1,
            lease_owner=worker_id,
            lease_seconds=lease_seconds,
            lease_expires_at=from_now(lease_seconds),
            started_at=func.coalesce(Job.started_at, func.clock_timestamp()),
            phase=None,
            phase_done=None,
            phase_total=None,
            phase_message="",
            event_seq=Job.event_seq + 1,
        )
        .returning(Job.attempt, Job.spec, Job.event_seq)
        .execution_options(synchronize_session=False)
    )
    row = session.execute(statement).one_or_none()
    if row is None:
        return None
    session.execute(
        insert(JobAttempt).values(job_id=job_id, attempt=row.attempt, worker_id=worker_id)
    )
    add_event(
        session,
        job_id,
        seq=row.event_seq,
        attempt=row.attempt,
        kind="state",
        data={
            "from": JobState.QUEUED,
            "to": JobState.STARTING,
            "attempt": row.attempt,
            "worker_id": worker_id,
        },
    )
    return row.attempt, row.spec


def fenced_update(
    session: Session, job_id: str, fence: Fence, *, events: int = 0, points: int = 0, **values: Any
) -> Held | None:
    """Write `values` and renew the lease if the fence holds; None if it does not.

    The row stays locked to the end of the transaction, so what the caller writes next belongs to
    the same attempt. `events` and `points` take that many numbers of the job's two counters.
    """
    statement = (
        update(Job)
        .where(
            Job.id == job_id,
            Job.attempt == fence.attempt,
            Job.lease_owner == fence.worker_id,
            Job.state.in_(LEASED),
        )
        .values(
            lease_expires_at=from_now(Job.lease_seconds),
            event_seq=Job.event_seq + events,
            last_seq=Job.last_seq + points,
            **values,
        )
        .returning(
            Job.state,
            Job.phase,
            Job.budget_spent,
            Job.max_attempts,
            Job.epoch,
            Job.last_seq,
            Job.event_seq,
        )
        .execution_options(synchronize_session=False)
    )
    row = session.execute(statement).one_or_none()
    if row is None:
        return None
    return Held(
        state=JobState(row.state),
        phase=row.phase,
        budget_spent=row.budget_spent,
        max_attempts=row.max_attempts,
        epoch=row.epoch,
        last_seq=row.last_seq,
        event_seq=row.event_seq,
    )


def add_manifest(session: Session, job_id: str, manifest: Mapping[str, Any]) -> None:
    """Register the manifest of a job that succeeded."""
    session.execute(insert(Manifest).values(job_id=job_id, **manifest))
