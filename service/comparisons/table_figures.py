"""Figures of a comparison's table: perplexities, mixtures, cost."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from service.comparisons.outcomes import CellOutcome
from service.comparisons.palette import COLOURS, OTHERS, colours, grouped
from service.comparisons.schemas import ComparisonTable, EntryRow

ROW_INCHES = 0.28
SAME_COMPUTE = 1.1


def averages(figure: Figure, table: ComparisonTable, _: Sequence[CellOutcome]) -> bool:
    """Draw the average perplexity of each entry with its seeds."""
    rows = _finished(table)[::-1]
    if not rows:
        return False
    axes = _rows(figure, [row.entry for row in rows])
    for height, row in enumerate(rows):
        seeds = [math.exp(loss) for loss in row.loss_by_seed.values()]
        learned = row.method == "tandem"
        colour = COLOURS[5] if learned else COLOURS[0]
        axes.plot([min(seeds), max(seeds)], [height, height], color=colour, linewidth=1.2)
        axes.plot(seeds, [height] * len(seeds), "o", color=colour, markersize=3.5, alpha=0.6)
        axes.plot(row.average_perplexity, height, "|", color=colour, markersize=13, mew=2.2)
        axes.annotate(
            f"{row.average_perplexity:.2f}",
            (max(seeds), height),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=colour,
        )
    axes.margins(x=0.12)
    axes.set_xlabel("average test perplexity")
    return True


def mixtures(figure: Figure, table: ComparisonTable, _: Sequence[CellOutcome]) -> bool:
    """Draw each entry's mixture as a bar of the domains."""
    rows = [row for row in table.entries if row.alpha is not None][::-1]
    if not rows:
        return False
    names, shares = grouped(table.domains, [row.alpha or [] for row in rows])
    axes = _rows(figure, [row.entry for row in rows])
    left = [0.0] * len(rows)
    colour = colours(names) | {n: OTHERS for n in names if n not in table.domains}
    for place, name in enumerate(names):
        width = [row[place] for row in shares]
        axes.barh(
            range(len(rows)),
            width,
            left=left,
            color=colour[name],
            edgecolor="white",
            height=0.74,
            label=name,
        )
        for height, (start, share) in enumerate(zip(left, width, strict=True)):
            if share > 0.055:  # noqa: PLR2004 - a narrower one does not hold its number
                axes.text(
                    start + share / 2,
                    height,
                    f"{100 * share:.0f}",
                    ha="center",
                    va="center",
                    color="white",
                    fontsize=7,
                )
        left = [start + share for start, share in zip(left, width, strict=True)]
    axes.set(xlim=(0, 1), xlabel="share of tokens")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(visible=False)
    figure.legend(loc="outside upper center", ncols=min(6, len(names)), fontsize=8)
    return True


def loss_and_work(figure: Figure, table: ComparisonTable, _: Sequence[CellOutcome]) -> bool:
    """Draw average loss against compute, where entries differ in it."""
    rows = [row for row in _finished(table) if row.proxy_steps is not None]
    spent = [row.proxy_steps or 0.0 for row in rows]
    if not rows or max(spent) <= SAME_COMPUTE * min(spent):
        return False
    axes = figure.subplots()
    colour = colours([row.entry for row in rows])
    for place, row in enumerate(rows):
        axes.errorbar(
            row.proxy_steps or 0.0,
            row.average_loss or 0.0,
            yerr=row.average_loss_sd,
            fmt="os^"[place // len(COLOURS) % 3],
            color=colour[row.entry],
            capsize=3,
            label=row.entry,
        )
    axes.set(xlabel="compute of learning, steps of plain training", ylabel="nats per token")
    axes.set_xscale("symlog", linthresh=100)
    figure.legend(loc="outside right center", fontsize=8)
    return True


def _finished(table: ComparisonTable) -> list[EntryRow]:
    return [row for row in table.entries if row.average_loss is not None]


def _rows(figure: Figure, names: Sequence[str]) -> Any:
    """Return axes with a line for each name, high enough for all."""
    figure.set_figheight(1.2 + ROW_INCHES * len(names))
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.tick_params(axis="y", length=0)
    return axes
