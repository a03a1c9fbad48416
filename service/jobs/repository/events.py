"""The event log of a job: numbered per job, in the order of commits."""

from collections.abc import Mapping, Sequence

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from service.jobs.models import JobEvent


def add_event(
    session: Session, job_id: str, *, seq: int, attempt: int, kind: str, data: Mapping[str, object]
) -> None:
    """Write event `seq`."""
    session.execute(
        insert(JobEvent).values(job_id=job_id, seq=seq, attempt=attempt, type=kind, data=dict(data))
    )


def list_events(session: Session, job_id: str, *, after: int, limit: int) -> Sequence[JobEvent]:
    """Return events with a number above `after`, oldest first."""
    statement = (
        select(JobEvent)
        .where(JobEvent.job_id == job_id, JobEvent.seq > after)
        .order_by(JobEvent.seq)
        .limit(limit)
    )
    return session.scalars(statement).all()
