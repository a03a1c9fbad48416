"""What is queued for receivers of events. Times are on the database's clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from sqlalchemy import delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.db.base import Json
from service.db.clock import from_now
from service.jobs.models import Job, JobEvent, Manifest
from service.jobs.repository.events import add_event
from service.notifications.models import EventSink, PendingEvent
from service.notifications.occurrences import EXPORT, Occurrence, WrittenManifest


class SinkLock(IntEnum):
    """Advisory locks: one process at a time delivers to a sink."""

    OPENLINEAGE = 7_421_903
    WEBHOOK = 7_421_904


@dataclass(frozen=True)
class Pending:
    """An event that a sink has not been told."""

    position: int
    occurrence: Occurrence


def try_sink_lock(session: Session, lock: SinkLock) -> bool:
    """Take the lock that lets one process deliver, to the end of the transaction."""
    statement = text("select pg_try_advisory_xact_lock(:key)")
    return bool(session.execute(statement, {"key": int(lock)}).scalar_one())


def require_connection(session: Session) -> None:
    """Raise SQLAlchemyError if the connection is gone, and with it the lock."""
    session.execute(text("select 1"))


def switch_on(session: Session, sink: str) -> bool:
    """Queue events for a sink from now on; True if nothing was queued for it before."""
    statement = insert(EventSink).values(name=sink).on_conflict_do_nothing()
    if session.execute(statement.returning(EventSink.name)).one_or_none() is None:
        return False
    # Left by a transaction that was under way when the sink was switched off.
    session.execute(delete(PendingEvent).where(PendingEvent.sink == sink))
    return True


def switch_off(session: Session, sink: str) -> None:
    """Queue nothing more for a sink, and forget what was queued."""
    session.execute(delete(EventSink).where(EventSink.name == sink))
    session.execute(delete(PendingEvent).where(PendingEvent.sink == sink))


def is_due(session: Session, sink: str) -> bool:
    """Tell if a sink that is on may be tried now; None of its failures is too fresh."""
    statement = select(EventSink.name).where(
        EventSink.name == sink,
        or_(EventSink.retry_at.is_(None), EventSink.retry_at <= func.clock_timestamp()),
    )
    return session.execute(statement).one_or_none() is not None


def read_pending(session: Session, sink: str, *, limit: int) -> Sequence[Pending]:
    """Return what a sink has not been told, oldest first; no row is locked."""
    statement = (
        select(PendingEvent.position, JobEvent, Job, Manifest)
        .join(
            JobEvent, (JobEvent.job_id == PendingEvent.job_id) & (JobEvent.seq == PendingEvent.seq)
        )
        .join(Job, Job.id == PendingEvent.job_id)
        .outerjoin(Manifest, Manifest.job_id == PendingEvent.job_id)
        .where(PendingEvent.sink == sink)
        .order_by(PendingEvent.position)
        .limit(limit)
    )
    rows = session.execute(statement)
    return [_pending(position, event, job, found) for position, event, job, found in rows]


def settle(session: Session, sink: str, position: int) -> None:
    """Note that an event was delivered or can never be; the sink's failures are over."""
    session.execute(
        delete(PendingEvent).where(PendingEvent.sink == sink, PendingEvent.position == position)
    )
    session.execute(
        update(EventSink)
        .where(EventSink.name == sink, EventSink.failures > 0)
        .values(failures=0, retry_at=None)
    )


def postpone(session: Session, sink: str, *, first: float, longest: float) -> None:
    """Note a failure; nothing is sent for `first` seconds, doubled with each, up to `longest`."""
    delay = func.least(longest, first * func.power(2.0, func.least(EventSink.failures, 30)))
    session.execute(
        update(EventSink)
        .where(EventSink.name == sink)
        .values(failures=EventSink.failures + 1, retry_at=from_now(delay))
        .execution_options(synchronize_session=False)
    )


def has_export(session: Session, job_id: str, data: Json) -> bool:
    """Tell if this export of a job was recorded, by format and content."""
    statement = select(JobEvent.seq).where(
        JobEvent.job_id == job_id,
        JobEvent.type == EXPORT,
        JobEvent.data.contains({"format": data["format"], "sha256": data["sha256"]}),
    )
    return session.execute(statement.limit(1)).one_or_none() is not None


def add_export(session: Session, job_id: str, data: Json) -> bool:
    """Write the event of an export unless it is there; False if it is."""
    statement = select(Job.id).where(Job.id == job_id).with_for_update(key_share=True)
    if session.execute(statement).one_or_none() is None:
        return False
    # Looked for in a statement of its own: one that waited for the row's lock would still see the
    # events of before.
    if has_export(session, job_id, data):
        return False
    row = session.execute(
        update(Job)
        .where(Job.id == job_id)
        .values(event_seq=Job.event_seq + 1)
        .returning(Job.event_seq, Job.attempt)
        .execution_options(synchronize_session=False)
    ).one()
    add_event(session, job_id, seq=row.event_seq, attempt=row.attempt, kind=EXPORT, data=data)
    return True


def _pending(position: int, event: JobEvent, job: Job, found: Manifest | None) -> Pending:
    manifest = None
    if found is not None:
        manifest = WrittenManifest(
            found.path, found.sha256, found.target_tokens, found.planned_tokens
        )
    return Pending(
        position,
        Occurrence(
            job_id=job.id,
            seq=event.seq,
            at=event.at,
            attempt=event.attempt,
            type=event.type,
            data=event.data,
            tenant_id=job.tenant_id,
            name=job.name,
            labels=job.labels,
            spec=job.spec,
            spec_sha256=job.spec_sha256,
            result=job.result,
            error=job.error,
            manifest=manifest,
        ),
    )
