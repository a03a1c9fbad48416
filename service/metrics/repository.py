"""What the database says about all jobs together; no statement names one for its own sake."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Float, Text, cast, func, select, type_coerce
from sqlalchemy.orm import Session

from service.jobs.lifecycle import JobState
from service.jobs.models import Job, JobAttempt, JobEvent
from service.notifications.models import EventSink, PendingEvent

LEASE_EXPIRED = "lease_expired"


@dataclass(frozen=True)
class Group:
    """The jobs of one scenario in one state."""

    state: str
    scenario: str
    jobs: int
    started: int
    """How many of them a worker took at least once."""
    waited_seconds: float
    """How long these waited for it, summed."""
    lasted_seconds: float
    """How long those that are over took from there, summed."""


@dataclass(frozen=True)
class Held:
    """How far a job is that a worker holds."""

    job_id: str
    scenario: str
    episode: int
    tokens: int
    silent_seconds: float
    """Since the worker's last sign of life."""


@dataclass(frozen=True)
class Queue:
    """Jobs that could start now."""

    oldest_seconds: float = 0.0
    unannounced: int = 0
    oldest_unannounced_seconds: float = 0.0


@dataclass(frozen=True)
class Ended:
    """Attempts that ended in one way."""

    outcome: str
    attempts: int
    lease_expired: int


@dataclass(frozen=True)
class Backlog:
    """Events that a receiver has not been told."""

    sink: str
    events: int
    oldest_seconds: float


@dataclass(frozen=True)
class Snapshot:
    """All of it."""

    groups: Sequence[Group] = ()
    held: Sequence[Held] = ()
    queue: Queue = Queue()
    ended: Sequence[Ended] = ()
    backlogs: Sequence[Backlog] = ()


def read_snapshot(session: Session) -> Snapshot:
    """Read everything; five statements, of which one passes over all jobs and one all attempts."""
    return Snapshot(
        groups=_groups(session),
        held=_held(session),
        queue=_queue(session),
        ended=_ended(session),
        backlogs=_backlogs(session),
    )


_SCENARIO = func.coalesce(Job.spec["scenario"].astext, "unknown")
_NOW = func.clock_timestamp()


def _seconds(span: ColumnElement[Any]) -> ColumnElement[float]:
    return cast(func.extract("epoch", span), Float)


def _groups(session: Session) -> Sequence[Group]:
    statement = select(
        Job.state,
        _SCENARIO,
        func.count(),
        func.count(Job.started_at),
        func.coalesce(_seconds(func.sum(Job.started_at - Job.created_at)), 0.0),
        func.coalesce(_seconds(func.sum(Job.finished_at - Job.started_at)), 0.0),
    ).group_by(Job.state, _SCENARIO)
    return [Group(*row) for row in session.execute(statement)]


def _held(session: Session) -> Sequence[Held]:
    renewed_at = Job.lease_expires_at - func.make_interval(0, 0, 0, 0, 0, 0, Job.lease_seconds)
    statement = select(
        Job.id, _SCENARIO, Job.episode, Job.tokens, _seconds(_NOW - renewed_at)
    ).where(Job.lease_expires_at.is_not(None))
    return [Held(*row) for row in session.execute(statement)]


def _queue(session: Session) -> Queue:
    waiting = _seconds(func.max(_NOW - Job.run_after))
    unheard = Job.dispatched_at.is_(None)
    statement = select(
        func.coalesce(waiting, 0.0),
        func.count().filter(unheard),
        func.coalesce(_seconds(func.max(_NOW - Job.run_after).filter(unheard)), 0.0),
    ).where(Job.state == JobState.QUEUED, Job.run_after <= _NOW)
    return Queue(*session.execute(statement).one())


def _ended(session: Session) -> Sequence[Ended]:
    lost = func.count().filter(JobAttempt.reason == LEASE_EXPIRED)
    statement = (
        select(type_coerce(JobAttempt.outcome, Text()), func.count(), lost)
        .where(JobAttempt.outcome.is_not(None))
        .group_by(JobAttempt.outcome)
    )
    return [Ended(*row) for row in session.execute(statement)]


def _backlogs(session: Session) -> Sequence[Backlog]:
    # Only the first event of each receiver is looked up: after an outage there may be millions.
    waiting = (
        select(
            PendingEvent.sink,
            func.count().label("events"),
            func.min(PendingEvent.position).label("first"),
        )
        .group_by(PendingEvent.sink)
        .subquery()
    )
    statement = (
        select(
            EventSink.name,
            func.coalesce(waiting.c.events, 0),
            func.coalesce(_seconds(_NOW - JobEvent.at), 0.0),
        )
        .outerjoin(waiting, waiting.c.sink == EventSink.name)
        .outerjoin(
            PendingEvent,
            (PendingEvent.sink == waiting.c.sink) & (PendingEvent.position == waiting.c.first),
        )
        .outerjoin(
            JobEvent, (JobEvent.job_id == PendingEvent.job_id) & (JobEvent.seq == PendingEvent.seq)
        )
        .order_by(EventSink.name)
    )
    return [Backlog(*row) for row in session.execute(statement)]
