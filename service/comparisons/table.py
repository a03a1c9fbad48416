"""The table of a comparison from what its cells came to."""

import math
from collections.abc import Callable, Sequence
from statistics import fmean, stdev

from service.comparisons.outcomes import CellOutcome
from service.comparisons.schemas import ComparisonTable, EntryRow
from service.comparisons.significance import all_pairs
from service.jobs.lifecycle import JobState
from service.jobs.result_schemas import ResultRead, StageTwoRead


def tabulate(
    entries: Sequence[tuple[str, str]], outcomes: Sequence[CellOutcome], seeds: int
) -> ComparisonTable:
    """Return a row per entry, best average first; entries without a finished cell come last.

    A cell that failed or still runs is missing in its own entry and nowhere else.

    Args:
        entries: Name and kind of method of each, as asked for.
        outcomes: Cells, in any order.
        seeds: Cells of an entry in all.
    """
    rows = [
        _row(entry, method, [one for one in outcomes if one.entry == entry], seeds)
        for entry, method in entries
    ]
    results = [one.result for one in outcomes if one.result is not None]
    ranked = sorted(rows, key=lambda row: (row.average_loss is None, row.average_loss or 0.0))
    return ComparisonTable(
        domains=results[0].mixture.domains if results else [],
        evaluated_on=results[0].evaluated_on if results else [],
        entries=ranked,
        pairs=all_pairs({row.entry: row.loss_by_seed for row in rows}),
    )


def _row(entry: str, method: str, cells: Sequence[CellOutcome], seeds: int) -> EntryRow:
    done = sorted((c for c in cells if c.result is not None), key=lambda cell: cell.seed)
    results = [cell.result for cell in done if cell.result is not None]
    tested = [_learned(result) for result in results]
    losses = [[math.log(value) for value in row.perplexity] for row in tested]
    averages = [row.average_loss for row in tested]
    mean_loss = fmean(averages) if averages else None
    metrics, metrics_sd = _metrics(tested)
    known = [value for value in metrics or [] if value is not None]
    alphas = [result.mixture.alpha for result in results]
    seconds = [result.learning_seconds for result in results]
    return EntryRow(
        entry=entry,
        method=method,
        seeds_done=len(done),
        seeds_total=seeds,
        failures=_failures(cells),
        alpha=_columns(alphas, fmean),
        alpha_sd=_columns(alphas, stdev),
        perplexity=_columns(losses, lambda column: math.exp(fmean(column))),
        perplexity_sd=_columns([row.perplexity for row in tested], stdev),
        average_loss=mean_loss,
        average_loss_sd=_spread(averages),
        average_perplexity=None if mean_loss is None else math.exp(mean_loss),
        average_perplexity_sd=_spread([math.exp(loss) for loss in averages]),
        loss_by_seed={cell.seed: row.average_loss for cell, row in zip(done, tested, strict=True)},
        metrics=metrics,
        metrics_sd=metrics_sd,
        metric_average=fmean(known) if known else None,
        learning_seconds=fmean(seconds) if seconds else None,
        learning_seconds_sd=_spread(seconds),
        proxy_steps=_work(results, "proxy_steps"),
        flops=_work(results, "flops"),
        tokens=_work(results, "tokens"),
    )


def _learned(result: ResultRead) -> StageTwoRead:
    """Return the row of stage two that trained with what was learned: the only one of a cell."""
    return next(row for row in result.stage_two if row.mixture == result.method)


def _failures(cells: Sequence[CellOutcome]) -> list[str]:
    sentences = []
    for cell in sorted(cells, key=lambda cell: cell.seed):
        if cell.state == JobState.FAILED:
            why = f"{cell.error.code}: {cell.error.message}" if cell.error else "failed"
            sentences.append(f"seed {cell.seed}: {why}")
        elif cell.state == JobState.CANCELLED:
            sentences.append(f"seed {cell.seed}: cancelled")
    return sentences


def _columns(
    rows: Sequence[Sequence[float]], reduce: Callable[[Sequence[float]], float]
) -> list[float] | None:
    if not rows or (reduce is stdev and len(rows) < 2):  # noqa: PLR2004 - no spread without two
        return None
    return [reduce(column) for column in zip(*rows, strict=True)]


def _spread(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def _metrics(
    tested: Sequence[StageTwoRead],
) -> tuple[list[float | None] | None, list[float | None] | None]:
    scores = [row.metrics for row in tested if row.metrics is not None]
    if not scores:
        return None, None
    columns = [[one for one in column if one is not None] for column in zip(*scores, strict=True)]
    means = [fmean(column) if column else None for column in columns]
    return means, [_spread(column) for column in columns] if len(scores) > 1 else None


def _work(results: Sequence[ResultRead], name: str) -> float | None:
    values = [float(getattr(result.work, name)) for result in results if result.work is not None]
    return fmean(values) if values else None
