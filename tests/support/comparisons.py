"""Results of comparison cells for tests of tables and reports."""

import math
from collections.abc import Sequence

from service.comparisons.outcomes import CellOutcome, Curve
from service.jobs.lifecycle import JobState
from service.jobs.result_schemas import ResultRead
from service.jobs.schemas import JobError
from support.jobs import result_record
from tandem_engine.contracts.records import MixtureResult, ResultRecord, StageTwoRow, Work


def cell_result(
    losses: Sequence[float],
    *,
    method: str = "tandem",
    alpha: Sequence[float] = (0.6, 0.4),
    domains: Sequence[str] = ("code", "manuals"),
    metrics: list[float | None] | None = None,
    seconds: float = 10.0,
    work: float = 100.0,
) -> ResultRecord:
    """Return the result of a cell's job with the given test losses."""
    average = sum(losses) / len(losses)
    row = StageTwoRow(
        mixture=method,
        alpha=list(alpha),
        epochs=[1.0] * len(alpha),
        perplexity=[math.exp(loss) for loss in losses],
        average_perplexity=math.exp(average),
        average_loss=average,
        average_loss_sd=None,
        seeds=1,
        metrics=metrics,
    )
    return result_record().model_copy(
        update={
            "mixture": MixtureResult(
                domains=list(domains),
                alpha=list(alpha),
                trajectory_mean=list(alpha),
                last=list(alpha),
                natural=list(alpha),
            ),
            "stage_two": [row],
            "evaluated_on": list(domains),
            "method": method,
            "learning_seconds": seconds,
            "work": Work(proxy_steps=work, tokens=work * 1024, flops=work * 1e9),
        }
    )


def outcome(
    entry: str,
    seed: int,
    losses: Sequence[float] | None = None,
    *,
    state: JobState = JobState.SUCCEEDED,
    error: JobError | None = None,
    curve: Curve | None = None,
    **changes: object,
) -> CellOutcome:
    """Return a cell; without losses it has no result."""
    result = None
    if losses is not None:
        record = cell_result(losses, **changes)  # type: ignore[arg-type]  # passed on
        result = ResultRead.model_validate(record.model_dump())
    return CellOutcome(
        entry=entry,
        method="tandem",
        seed=seed,
        job_id=f"job_{entry}_{seed}",
        state=state,
        error=error,
        result=result,
        curve=curve,
    )


def curve(domains: int = 2, points: int = 5) -> Curve:
    """Return a curve whose alpha moves away from equal shares."""
    alphas = []
    for place in range(points):
        raised = [1.0 + place * index / 10 for index in range(domains)]
        alphas.append([share / sum(raised) for share in raised])
    return Curve(
        step=[30 * (place + 1) for place in range(points)],
        work=[70.0 * (place + 1) for place in range(points)],
        alpha=alphas,
        gap=[[0.01 * place] * domains for place in range(points)],
        twin_distance=[0.5 / (place + 1) for place in range(points)],
        delta_cosine=[0.8 - 0.1 * place for place in range(points)],
        gradient_cosine=[0.6 if place % 2 == 0 else None for place in range(points)],
    )
