"""Stage two's models as a table: one row per mixture, and the noise of a difference."""

import math
from collections.abc import Sequence
from itertools import groupby
from statistics import fmean, stdev

from tandem_engine.contracts.records import StageTwoRow, StageTwoRun


def tabulate(runs: Sequence[StageTwoRun]) -> list[StageTwoRow]:
    """Return one row per mixture, best average first.

    Perplexity is exp of the mean loss over seeds; the average perplexity is exp of the mean of
    the per-domain losses (paper, Table 2), with targets of their weighted mean.
    """
    rows = []
    for name, group in groupby(sorted(runs, key=lambda run: run.mixture), lambda r: r.mixture):
        of_mixture = list(group)
        losses = [fmean(values) for values in zip(*(r.test_loss for r in of_mixture), strict=True)]
        averages = [run.average_loss for run in of_mixture]
        metrics, spread = _metrics(of_mixture)
        rows.append(
            StageTwoRow(
                mixture=name,
                alpha=of_mixture[0].alpha,
                epochs=[fmean(v) for v in zip(*(r.epochs for r in of_mixture), strict=True)],
                perplexity=[math.exp(loss) for loss in losses],
                average_perplexity=math.exp(fmean(averages)),
                average_loss=fmean(averages),
                average_loss_sd=stdev(averages) if len(averages) > 1 else None,
                seeds=len(of_mixture),
                metrics=metrics,
                metrics_sd=spread,
            )
        )
    return sorted(rows, key=lambda row: row.average_loss)


def _metrics(
    runs: Sequence[StageTwoRun],
) -> tuple[list[float | None] | None, list[float | None] | None]:
    """Return mean and standard deviation of the scores per domain over the seeds of a mixture."""
    scores = [run.metrics for run in runs if run.metrics is not None]
    if not scores:
        return None, None
    columns = [[one for one in column if one is not None] for column in zip(*scores, strict=True)]
    means = [fmean(column) if column else None for column in columns]
    spread = [stdev(column) if len(column) > 1 else None for column in columns]
    return means, spread if len(runs) > 1 else None


def difference_error(runs: Sequence[StageTwoRun]) -> float | None:
    r"""Return the standard error of a difference of two mixtures' average losses, nats per token.

    Mixtures of one seed share weights and order, so the noise is what is left after taking out
    mixture and seed: :math:`s^2 = \sum (x_{ij} - \bar x_i - \bar x_j + \bar x)^2 /
    ((I - 1)(J - 1))`, and the error is :math:`s \sqrt{2 / J}`. None with one seed or mixture.
    """
    seeds = sorted({run.seed for run in runs})
    names = sorted({run.mixture for run in runs})
    if len(seeds) < 2 or len(names) < 2:  # noqa: PLR2004 - no spread without two
        return None
    loss = {(run.mixture, run.seed): run.average_loss for run in runs}
    by_name = {name: fmean(loss[name, seed] for seed in seeds) for name in names}
    by_seed = {seed: fmean(loss[name, seed] for name in names) for seed in seeds}
    grand = fmean(by_name.values())
    squares = sum(
        (loss[name, seed] - by_name[name] - by_seed[seed] + grand) ** 2
        for name in names
        for seed in seeds
    )
    variance = squares / ((len(names) - 1) * (len(seeds) - 1))
    return math.sqrt(2 * variance / len(seeds))
