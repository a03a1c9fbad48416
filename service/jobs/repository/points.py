"""Writes of trajectory points: batched upserts and the rewind of a resumed attempt."""

from collections.abc import Sequence

from sqlalchemy import delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.jobs.models import Job, JobAttempt, TrajectoryRow
from tandem_engine.contracts.records import TrajectoryPoint

_VALUES = ("episode", "alpha", "delta", "run", "seed", "restart", "bounded")
_COMPARED = ("extra", *_VALUES)
_OWN_COLUMNS = {"type", "step", *_VALUES}


def upsert_points(
    session: Session,
    job_id: str,
    points: Sequence[TrajectoryPoint],
    *,
    attempt: int,
    first_seq: int,
) -> None:
    """Write points; the same point again changes nothing, so its readers do not see it again."""
    statement = insert(TrajectoryRow)
    new = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=["job_id", "step"],
        set_={name: new[name] for name in ("attempt", "seq", "extra", *_VALUES)},
        where=or_(
            *(getattr(TrajectoryRow, name).is_distinct_from(new[name]) for name in _COMPARED)
        ),
    )
    rows = [
        {
            "job_id": job_id,
            "step": point.step,
            "attempt": attempt,
            "seq": first_seq + offset,
            "extra": point.model_dump(mode="json", exclude=_OWN_COLUMNS),
            **{name: getattr(point, name) for name in _VALUES},
        }
        for offset, point in enumerate(points)
    ]
    session.execute(statement, rows)


def delete_points_after(session: Session, job_id: str, episode: int) -> int:
    """Delete the points of later episodes; return how many there were."""
    statement = (
        delete(TrajectoryRow)
        .where(TrajectoryRow.job_id == job_id, TrajectoryRow.episode > episode)
        .returning(TrajectoryRow.step)
    )
    return len(session.scalars(statement).all())


def rewind_to_last_point(session: Session, job_id: str, attempt: int) -> int:
    """Make the newest remaining point the job's latest; return its step, 0 if there is none."""
    last = session.scalars(
        select(TrajectoryRow)
        .where(TrajectoryRow.job_id == job_id)
        .order_by(TrajectoryRow.step.desc())
        .limit(1)
    ).one_or_none()
    step = 0 if last is None else last.step
    session.execute(
        update(Job)
        .where(Job.id == job_id)
        .values(
            epoch=attempt,
            last_step=step,
            episode=0 if last is None else last.episode,
            tokens=0 if last is None else last.extra["tokens"],
            alpha=None if last is None else last.alpha,
        )
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(JobAttempt)
        .where(JobAttempt.job_id == job_id, JobAttempt.attempt == attempt)
        .values(rewound_to_step=step)
    )
    return step
