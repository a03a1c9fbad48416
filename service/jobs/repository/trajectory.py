"""Reads of trajectory points and of what was rewound."""

from collections.abc import Sequence
from typing import NamedTuple

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import set_json_loads
from pydantic_core import from_json
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.db.base import Json
from service.jobs.models import JobAttempt, Manifest


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


_READ = """
select episode, step, alpha, delta, extra, run, seed, restart, bounded from trajectory_points
where job_id = %s and step > %s order by step limit %s
"""


def read_points(
    session: Session, job_id: str, *, after_step: int, limit: int
) -> Sequence[PointRow]:
    """Return points after a step, oldest first."""
    driver = session.connection().connection.driver_connection
    if not isinstance(driver, Connection):
        raise TypeError(f"expected a psycopg connection, got {type(driver).__name__}")
    # Binary arrays and the fast JSON reader: this is the query that everybody polls.
    with driver.cursor(binary=True, row_factory=class_row(PointRow)) as cursor:
        set_json_loads(from_json, cursor)
        return cursor.execute(_READ, (job_id, after_step, limit)).fetchall()


def rewound_since(session: Session, job_id: str, epoch: int) -> int | None:
    """Return the lowest step that an attempt after `epoch` went back to; None if none did."""
    statement = select(func.min(JobAttempt.rewound_to_step)).where(
        JobAttempt.job_id == job_id, JobAttempt.attempt > epoch
    )
    return session.execute(statement).scalar_one()


def find_manifest(session: Session, job_id: str) -> Manifest | None:
    """Return where the job's manifest lies, None if it has none yet."""
    return session.scalars(select(Manifest).where(Manifest.job_id == job_id)).one_or_none()
