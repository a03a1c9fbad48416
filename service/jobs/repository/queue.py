"""What the reconciler looks for: lost leases, unheard messages, deadlines, old keys."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, or_, select, text, update
from sqlalchemy.orm import Session

from service.db.clock import from_now
from service.jobs.lifecycle import JobState
from service.jobs.models import IdempotencyKey, Job

BATCH = 100
RECONCILER_LOCK = 7_421_902
LONGEST_RESEND_SECONDS = 600.0


@dataclass(frozen=True)
class ExpiredLease:
    """A held job whose worker has given no sign of life in time."""

    job_id: str
    attempt: int
    worker_id: str
    budget_spent: int


def try_reconciler_lock(session: Session) -> bool:
    """Take the lock that lets one process at a time reconcile, to the end of the transaction."""
    statement = text("select pg_try_advisory_xact_lock(:key)")
    return bool(session.execute(statement, {"key": RECONCILER_LOCK}).scalar_one())


def lock_expired_leases(session: Session) -> Sequence[ExpiredLease]:
    """Return jobs whose lease has run out; their rows stay locked."""
    statement = (
        select(Job.id, Job.attempt, Job.lease_owner, Job.budget_spent)
        .where(Job.lease_expires_at < func.clock_timestamp())
        .order_by(Job.lease_expires_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    return [
        ExpiredLease(row.id, row.attempt, row.lease_owner, row.budget_spent)
        for row in session.execute(statement)
    ]


def take_unannounced(session: Session, *, resend_seconds: float) -> Sequence[str]:
    """Return queued jobs whose message is due, and count them as announced.

    A job that was never announced is due at once; one whose message brought no claim is due again
    after `resend_seconds`, doubled each time up to ten minutes: the workers may just be busy.
    """
    patience = func.least(
        LONGEST_RESEND_SECONDS,
        resend_seconds * func.power(2.0, func.least(Job.dispatch_count, 10) - 1),
    )
    due = (
        select(Job.id)
        .where(
            Job.state == JobState.QUEUED,
            Job.run_after <= func.clock_timestamp(),
            or_(Job.dispatched_at.is_(None), Job.dispatched_at < from_now(-patience)),
        )
        .order_by(Job.created_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    statement = (
        update(Job)
        .where(Job.id.in_(due.scalar_subquery()))
        .values(dispatched_at=func.clock_timestamp(), dispatch_count=Job.dispatch_count + 1)
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    return sorted(session.scalars(statement).all())


def mark_unannounced(session: Session, job_ids: Sequence[str]) -> None:
    """Note that the messages of these jobs were not sent."""
    session.execute(
        update(Job)
        .where(Job.id.in_(job_ids), Job.state == JobState.QUEUED)
        .values(dispatched_at=None)
        .execution_options(synchronize_session=False)
    )


def lock_overdue(session: Session) -> Sequence[tuple[str, JobState]]:
    """Return jobs that are not over and not stopping though their deadline has passed; locked."""
    statement = (
        select(Job.id, Job.state)
        .where(
            Job.deadline_at < func.clock_timestamp(),
            Job.finished_at.is_(None),
            Job.state != JobState.CANCELLING,
        )
        .order_by(Job.deadline_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    return [(row.id, JobState(row.state)) for row in session.execute(statement)]


def delete_old_keys(session: Session, *, keep_seconds: float) -> None:
    """Forget idempotency keys that no client will use again."""
    session.execute(
        delete(IdempotencyKey).where(IdempotencyKey.created_at < from_now(-keep_seconds))
    )
