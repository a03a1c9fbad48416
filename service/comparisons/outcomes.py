"""What a comparison's cells came to, as its table and its figures take it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from service.jobs.lifecycle import JobState
from service.jobs.result_schemas import ResultRead
from service.jobs.schemas import JobError


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The trajectory of one cell, a list per quantity with an entry per episode."""

    step: Sequence[int]
    work: Sequence[float | None]
    alpha: Sequence[Sequence[float]]
    gap: Sequence[Sequence[float] | None]
    twin_distance: Sequence[float | None]
    delta_cosine: Sequence[float | None]
    gradient_cosine: Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellOutcome:
    """One entry with one seed."""

    entry: str
    method: str
    """Kind of the entry's method."""
    seed: int
    job_id: str
    state: JobState
    reused: bool = False
    """Whether the job was there before the comparison."""
    error: JobError | None = None
    result: ResultRead | None = None
    """Of a job that succeeded; `stage_two` has one row, the learned mixture with one seed."""
    curve: Curve | None = field(default=None, compare=False)
    """Only where figures are drawn."""
