"""Comparisons in the database: written with their cells, read with their cells' jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.orm import Session

from service.comparisons.models import Comparison, ComparisonCell
from service.db.base import Json
from service.ids import new_id
from service.jobs.lifecycle import JobState
from service.jobs.models import Job

REUSABLE = (JobState.QUEUED, JobState.STARTING, JobState.RUNNING, JobState.SUCCEEDED)


@dataclass(frozen=True, slots=True)
class FilledCell:
    """A cell and the job that fills it."""

    cell: ComparisonCell
    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCell:
    """What a row of a cell needs."""

    entry: str
    method: str
    seed: int
    job_id: str
    reused: bool


def add_comparison(
    session: Session,
    tenant_id: str,
    *,
    comparison_id: str,
    name: str | None,
    labels: Mapping[str, str],
    spec: Json,
    cells: Sequence[NewCell],
) -> Comparison:
    """Write a comparison and its cells, in their order."""
    comparison = Comparison(
        id=comparison_id, tenant_id=tenant_id, name=name, labels=dict(labels), spec=spec
    )
    session.add(comparison)
    session.flush()  # the cells refer to it, and the answer needs the database's time
    session.add_all(
        ComparisonCell(
            comparison_id=comparison_id,
            position=position,
            entry=cell.entry,
            method=cell.method,
            seed=cell.seed,
            job_id=cell.job_id,
            reused=cell.reused,
        )
        for position, cell in enumerate(cells)
    )
    session.flush()
    session.refresh(comparison)
    return comparison


def new_comparison_id() -> str:
    """Return an id that sorts by time."""
    return new_id("cmp")


def find_comparison(
    session: Session, tenant_id: str, comparison_id: str, *, for_update: bool = False
) -> Comparison | None:
    """Return the tenant's comparison, None if there is none of that id."""
    statement = select(Comparison).where(
        Comparison.tenant_id == tenant_id, Comparison.id == comparison_id
    )
    if for_update:
        statement = statement.with_for_update()
    return session.scalars(statement.execution_options(populate_existing=True)).one_or_none()


def list_comparisons(
    session: Session, tenant_id: str, *, before: tuple[datetime, str] | None, limit: int
) -> Sequence[Comparison]:
    """Return comparisons, newest first, older than the position `before` (time, id)."""
    statement = select(Comparison).where(Comparison.tenant_id == tenant_id)
    if before is not None:
        statement = statement.where(tuple_(Comparison.created_at, Comparison.id) < tuple_(*before))
    statement = statement.order_by(Comparison.created_at.desc(), Comparison.id.desc())
    return session.scalars(statement.limit(limit)).all()


def filled_cells(session: Session, comparison_id: str) -> list[FilledCell]:
    """Return the cells of a comparison with their jobs, in their order."""
    statement = (
        select(ComparisonCell, Job)
        .join(Job, Job.id == ComparisonCell.job_id)
        .where(ComparisonCell.comparison_id == comparison_id)
        .order_by(ComparisonCell.position)
        .execution_options(populate_existing=True)
    )
    return [FilledCell(cell, job) for cell, job in session.execute(statement)]


def states_of(session: Session, comparison_ids: Sequence[str]) -> dict[str, dict[JobState, int]]:
    """Return for each comparison how many of its cells' jobs are in which state."""
    statement = (
        select(ComparisonCell.comparison_id, Job.state, func.count())
        .join(Job, Job.id == ComparisonCell.job_id)
        .where(ComparisonCell.comparison_id.in_(comparison_ids))
        .group_by(ComparisonCell.comparison_id, Job.state)
    )
    counts: dict[str, dict[JobState, int]] = {name: {} for name in comparison_ids}
    for comparison_id, state, count in session.execute(statement):
        counts[comparison_id][JobState(state)] = count
    return counts


def reusable_jobs(
    session: Session, tenant_id: str, spec_hashes: Sequence[str], *, newer_than: datetime
) -> dict[str, Job]:
    """Return by the hash of its specification the newest job that is under way or succeeded.

    Args:
        session: The caller's transaction.
        tenant_id: Whose jobs.
        spec_hashes: `spec_sha256` of the wanted ones.
        newer_than: When the data changed last; older jobs read something else.
    """
    statement = (
        select(Job)
        .where(
            Job.tenant_id == tenant_id,
            Job.spec_sha256.in_(spec_hashes),
            Job.state.in_(REUSABLE),
            Job.created_at > newer_than,
        )
        .order_by(Job.created_at)
    )
    return {job.spec_sha256: job for job in session.scalars(statement)}


def replace_job(session: Session, cell: ComparisonCell, job_id: str) -> None:
    """Let another job, made for it, fill a cell."""
    session.execute(
        update(ComparisonCell)
        .where(
            ComparisonCell.comparison_id == cell.comparison_id,
            ComparisonCell.position == cell.position,
        )
        .values(job_id=job_id, reused=False)
        .execution_options(synchronize_session=False)
    )
