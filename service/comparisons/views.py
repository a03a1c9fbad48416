"""Comparisons from their rows: what the tables hold, in the words of the interface."""

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from service.comparisons.models import Comparison
from service.comparisons.outcomes import CellOutcome, Curve
from service.comparisons.repository import FilledCell
from service.comparisons.resources import (
    CellRead,
    ComparisonLinks,
    ComparisonRead,
    ComparisonState,
    ComparisonSummary,
)
from service.comparisons.schemas import ComparisonTable
from service.comparisons.table import tabulate
from service.jobs.lifecycle import TERMINAL, JobState
from service.jobs.repository.trajectory import PointRow, read_points
from service.jobs.result_schemas import ResultRead
from service.jobs.schemas import JobError
from service.jobs.views import total_episodes
from tandem_engine.contracts.comparisons import ComparisonSpec, budget

CURVE_POINTS = 400
"""Points of a trajectory in a figure, at most."""
_MOST_POINTS = 1_000_000


def comparison_path(comparison_id: str) -> str:
    """Return the path of a comparison."""
    return f"/v1/comparisons/{comparison_id}"


def state_of(counts: Mapping[JobState, int]) -> ComparisonState:
    """Return the state of a comparison whose cells' jobs are so many in each state."""
    present = {state for state, count in counts.items() if count}
    if present <= {JobState.QUEUED}:
        return "queued"
    if not present <= TERMINAL:
        return "running"
    if present == {JobState.SUCCEEDED}:
        return "succeeded"
    return "partial" if JobState.SUCCEEDED in present else "failed"


def summarise(comparison: Comparison, counts: Mapping[JobState, int]) -> ComparisonSummary:
    """Return a comparison as a list shows it."""
    path = comparison_path(comparison.id)
    return ComparisonSummary(
        id=comparison.id,
        name=comparison.name,
        labels=comparison.labels,
        state=state_of(counts),
        cells_by_state=dict(sorted(counts.items())),
        created_at=comparison.created_at,
        links=ComparisonLinks(
            self=path,
            report=f"{path}/report",
            cancel=f"{path}/cancel",
            retry=f"{path}/retry",
        ),
    )


def read_comparison(comparison: Comparison, filled: Sequence[FilledCell]) -> ComparisonRead:
    """Return a comparison with its cells and its table."""
    counts: dict[JobState, int] = {}
    for one in filled:
        state = JobState(one.job.state)
        counts[state] = counts.get(state, 0) + 1
    spec = ComparisonSpec.model_validate(comparison.spec)
    return ComparisonRead(
        **dict(summarise(comparison, counts)),
        spec=comparison.spec,
        learning_budget=budget(spec),
        cells=[_read_cell(one) for one in filled],
        table=table_of(spec, [outcome_of(one) for one in filled]),
    )


def table_of(spec: ComparisonSpec, outcomes: Sequence[CellOutcome]) -> ComparisonTable:
    """Return the table of a comparison's cells."""
    entries = [(entry.title, entry.method.kind) for entry in spec.entries]
    return tabulate(entries, outcomes, spec.seeds)


def outcome_of(filled: FilledCell, curve: Curve | None = None) -> CellOutcome:
    """Return what a cell came to so far."""
    cell, job = filled.cell, filled.job
    return CellOutcome(
        entry=cell.entry,
        method=cell.method,
        seed=cell.seed,
        job_id=job.id,
        state=JobState(job.state),
        reused=cell.reused,
        error=None if job.error is None else JobError.model_validate(job.error),
        result=None if job.result is None else ResultRead.model_validate(job.result),
        curve=curve,
    )


def read_curve(session: Session, job_id: str) -> Curve | None:
    """Return the trajectory of a job in a few hundred points; None before its first."""
    points = read_points(session, job_id, after_step=0, limit=_MOST_POINTS)
    if not points:
        return None
    stride = -(-len(points) // CURVE_POINTS)
    # The last point is where it ended: count back from it.
    chosen: list[PointRow] = list(points[::-1][::stride][::-1])

    def column(name: str) -> list[float | None]:
        return [point.extra.get(name) for point in chosen]

    return Curve(
        step=[point.step for point in chosen],
        work=column("work"),
        alpha=[point.alpha for point in chosen],
        gap=[point.extra.get("gap") or None for point in chosen],
        twin_distance=column("twin_distance"),
        delta_cosine=column("delta_cosine"),
        gradient_cosine=column("gradient_cosine"),
    )


def _read_cell(filled: FilledCell) -> CellRead:
    cell, job = filled.cell, filled.job
    return CellRead(
        entry=cell.entry,
        method=cell.method,
        seed=cell.seed,
        job_id=job.id,
        state=JobState(job.state),
        reused=cell.reused,
        episode=job.episode,
        total_episodes=total_episodes(job.spec),
        error=None if job.error is None else JobError.model_validate(job.error),
    )
