"""Reads of trajectory points and of what was rewound."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from psycopg import Connection, Cursor
from psycopg.rows import class_row, tuple_row
from psycopg.sql import SQL, Composed, Identifier
from psycopg.types.json import set_json_loads
from pydantic_core import from_json
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.db.base import Json
from service.jobs.models import Job, JobAttempt, Manifest

Order = Literal["step", "seq"]
LAST = 2**62


class PointRow(NamedTuple):
    """One stored point."""

    episode: int
    step: int
    alpha: list[float]
    delta: list[float]
    extra: Json
    run: int
    seed: int
    restart: int
    bounded: bool
    seq: int = 0


class Place(NamedTuple):
    """Where a point stands."""

    step: int
    seq: int


class JobMark(NamedTuple):
    """What changes when there is something new about a job's trajectory."""

    state: str
    epoch: int
    last_seq: int
    last_step: int


@dataclass(frozen=True)
class Span:
    """Points of a job in one order, above `after` and up to `until`.

    Points that were written after `newest` are not seen, so however many statements read a span,
    none of them mixes in what a later attempt wrote.
    """

    job_id: str
    order: Order
    after: int
    newest: int
    until: int = LAST


_COLUMNS = SQL("episode, step, alpha, delta, extra, run, seed, restart, bounded, seq")
_PLACE = SQL("step, seq")
_IN_SPAN = SQL(
    "select {what} from trajectory_points where job_id = %s and {order} > %s and {order} <= %s "
    "and seq <= %s order by {order} {direction} limit %s offset %s"
)
_CHOSEN = SQL(
    "select {what} from trajectory_points where job_id = %s and {order} = any(%s) "
    "and seq <= %s order by {order}"
)


def read_points(
    session: Session, job_id: str, *, after_step: int, limit: int
) -> Sequence[PointRow]:
    """Return points after a step, oldest first."""
    return read_span(session, Span(job_id, "step", after_step, LAST), limit)


def read_span(session: Session, span: Span, limit: int) -> Sequence[PointRow]:
    """Return the first points of a span."""
    with _cursor(session, class_row(PointRow)) as cursor:
        rows: list[PointRow] = cursor.execute(
            _query(_COLUMNS, span), _bounds(span, limit)
        ).fetchall()
        return rows


def read_chosen(session: Session, span: Span, places: Sequence[int]) -> Sequence[PointRow]:
    """Return the points of a span at these places (steps or seqs, as the span's order is)."""
    query = _CHOSEN.format(what=_COLUMNS, order=Identifier(span.order))
    with _cursor(session, class_row(PointRow)) as cursor:
        rows: list[PointRow] = cursor.execute(
            query, (span.job_id, list(places), span.newest)
        ).fetchall()
        return rows


def find_end(session: Session, span: Span, limit: int | None) -> tuple[Place | None, bool]:
    """Return where the first `limit` points of a span end, and whether more follow."""
    with _cursor(session, class_row(Place)) as cursor:
        if limit is not None:
            bounds = _bounds(span, 2, skip=limit - 1)
            found = cursor.execute(_query(_PLACE, span), bounds).fetchall()
            if found:
                return found[0], len(found) > 1
        last = cursor.execute(_query(_PLACE, span, backwards=True), _bounds(span, 1))
        return last.fetchone(), False


def read_alphas(
    session: Session, span: Span, batch: int
) -> Iterator[Sequence[tuple[int, list[float]]]]:
    """Yield (place, alpha) of all points of a span, in batches."""
    query = _query(SQL("{}, alpha").format(Identifier(span.order)), span)
    while True:
        with _cursor(session, tuple_row) as cursor:
            rows = cursor.execute(query, _bounds(span, batch)).fetchall()
        if rows:
            yield rows
        if len(rows) < batch:
            return
        span = replace(span, after=rows[-1][0])


def rewound_since(session: Session, job_id: str, epoch: int, *, until: int) -> int | None:
    """Return the lowest step that an attempt after `epoch` went back to; None if none did.

    Args:
        session: The caller's transaction.
        job_id: The job.
        epoch: The attempt that the reader knows of.
        until: The last attempt that counts.
    """
    statement = select(func.min(JobAttempt.rewound_to_step)).where(
        JobAttempt.job_id == job_id, JobAttempt.attempt > epoch, JobAttempt.attempt <= until
    )
    return session.execute(statement).scalar_one()


def mark_of(job: Job) -> JobMark:
    """Return the mark of a job that was read."""
    return JobMark(job.state, job.epoch, job.last_seq, job.last_step)


def read_marks(session: Session, job_ids: Sequence[str]) -> dict[str, JobMark]:
    """Return the marks of jobs, in one statement."""
    statement = select(Job.id, Job.state, Job.epoch, Job.last_seq, Job.last_step)
    rows = session.execute(statement.where(Job.id.in_(job_ids)))
    return {row.id: JobMark(row.state, row.epoch, row.last_seq, row.last_step) for row in rows}


def find_manifest(session: Session, job_id: str) -> Manifest | None:
    """Return where the job's manifest lies, None if it has none yet."""
    return session.scalars(select(Manifest).where(Manifest.job_id == job_id)).one_or_none()


def _cursor(session: Session, row_factory: Any) -> Cursor[Any]:
    driver = session.connection().connection.driver_connection
    if not isinstance(driver, Connection):
        raise TypeError(f"expected a psycopg connection, got {type(driver).__name__}")
    # Binary arrays and the fast JSON reader: these are the queries that everybody polls.
    cursor = driver.cursor(binary=True, row_factory=row_factory)
    set_json_loads(from_json, cursor)
    return cursor


def _query(what: SQL | Composed, span: Span, *, backwards: bool = False) -> Composed:
    direction = SQL("desc" if backwards else "asc")
    return _IN_SPAN.format(what=what, order=Identifier(span.order), direction=direction)


def _bounds(span: Span, limit: int, skip: int = 0) -> tuple[Any, ...]:
    return (span.job_id, span.after, span.until, span.newest, limit, skip)
