"""Two pictures: how alpha moved, and what the learned mixture is worth."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from demo.palette import (
    FAINT,
    GRID,
    INK,
    MIXTURE_COLOURS,
    MIXTURE_MARKERS,
    domain_colours,
    spread,
)
from tandem_engine.contracts.records import StageTwoRow
from tandem_engine.files import replaced_when_whole

DPI = 160
STYLE: Mapping[str, object] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.color": GRID,
    "axes.axisbelow": True,
    "figure.facecolor": "white",
}


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Alpha per episode. `steps` counts steps of u, `alpha` has a row per step."""

    domains: list[str]
    steps: list[int]
    alpha: list[list[float]]


def draw_trajectory(
    trajectory: Trajectory, natural: Sequence[float], result: Sequence[float], path: Path
) -> None:
    """Write the trajectory as lines (left) and as stacked areas (right) to a PNG file.

    `natural` and `result` are shares per domain; the natural ones are dashed.
    """
    with mpl.rc_context(dict(STYLE)):
        figure = Figure(figsize=(11.5, 5.2), layout="constrained")
        lines, areas = figure.subplots(1, 2, width_ratios=[1.25, 1])
        _draw_lines(lines, trajectory, natural, result)
        _draw_areas(areas, trajectory, natural)
        figure.suptitle("How the mixture was learned", x=0.01, ha="left", fontweight="bold")
        _save(figure, path)


def _draw_lines(
    axes: Any, trajectory: Trajectory, natural: Sequence[float], result: Sequence[float]
) -> None:
    colours = domain_colours(trajectory.domains)
    last_step = trajectory.steps[-1]
    for index, domain in enumerate(trajectory.domains):
        values = [row[index] for row in trajectory.alpha]
        colour = colours[domain]
        axes.plot(trajectory.steps, values, color=colour, linewidth=2)
        axes.axhline(natural[index], color=colour, linewidth=1, linestyle=(0, (4, 3)), alpha=0.55)
    top = max(*natural, *(max(row) for row in trajectory.alpha)) * 1.06
    heights = spread(trajectory.alpha[-1], 0.045 * top, 0, top)
    for index, domain in enumerate(trajectory.domains):
        axes.annotate(
            f"{domain} {result[index]:.1%}",
            xy=(last_step, trajectory.alpha[-1][index]),
            xytext=(last_step * 1.03, heights[index]),
            color=colours[domain],
            fontweight="bold",
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colours[domain],
                "linewidth": 0.8,
                "relpos": (0, 0.5),
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )
    axes.set(
        title="Share per domain; dashed: natural share; label: learned mixture",
        xlabel="proxy steps",
        xlim=(trajectory.steps[0], last_step),
        ylim=(0, top),
    )
    axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))


def _draw_areas(axes: Any, trajectory: Trajectory, natural: Sequence[float]) -> None:
    colours = domain_colours(trajectory.domains)
    columns = list(zip(*trajectory.alpha, strict=True))
    axes.stackplot(
        trajectory.steps,
        columns,
        colors=[colours[domain] for domain in trajectory.domains],
        edgecolor="white",
        linewidth=0.8,
    )
    # The natural mixture stands as a bar to the right, in the same order.
    span = trajectory.steps[-1] - trajectory.steps[0]
    left = trajectory.steps[-1] + 0.06 * span
    bottom = 0.0
    for domain, share in zip(trajectory.domains, natural, strict=True):
        axes.bar(
            left,
            share,
            bottom=bottom,
            width=0.07 * span,
            align="edge",
            color=colours[domain],
            edgecolor="white",
            linewidth=0.8,
            alpha=0.75,
        )
        bottom += share
    axes.text(left + 0.035 * span, 1.01, "natural", ha="center", va="bottom", color=FAINT)
    bottom = 0.0
    for index, domain in enumerate(trajectory.domains):
        share = trajectory.alpha[-1][index]
        if share > 0.035:  # noqa: PLR2004 - a thinner band does not hold a line of text
            axes.text(
                trajectory.steps[-1] - 0.02 * span,
                bottom + share / 2,
                domain,
                ha="right",
                va="center",
                color="white",
                fontweight="bold",
            )
        bottom += share
    axes.set(
        title="The whole mixture",
        xlabel="proxy steps",
        xlim=(trajectory.steps[0], left + 0.07 * span),
        ylim=(0, 1),
    )
    axes.spines["bottom"].set_bounds(trajectory.steps[0], trajectory.steps[-1])
    axes.set_xticks(
        [t for t in axes.get_xticks() if trajectory.steps[0] <= t <= trajectory.steps[-1]]
    )
    axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))
    axes.grid(visible=False)


def draw_comparison(domains: Sequence[str], rows: Sequence[StageTwoRow], path: Path) -> None:
    """Write average test perplexity per mixture and, per domain, its distance from natural.

    Without a natural row the first row is the reference.
    """
    with mpl.rc_context(dict(STYLE)):
        figure = Figure(figsize=(11.5, 5.0), layout="constrained")
        bars, dots = figure.subplots(1, 2, width_ratios=[1, 1.25])
        _draw_average(bars, rows)
        _draw_per_domain(dots, domains, rows)
        figure.suptitle(
            "Fresh models trained with each mixture, same budget (lower is better)",
            x=0.01,
            ha="left",
            fontweight="bold",
        )
        _save(figure, path)


def _draw_average(axes: Any, rows: Sequence[StageTwoRow]) -> None:
    ordered = sorted(rows, key=lambda row: -row.average_perplexity)
    for height, row in enumerate(ordered):
        learned = row.mixture == "tandem"
        # The standard deviation is of the loss; exp makes it a range of perplexity.
        deviation = row.average_loss_sd or 0.0
        spread_of_seeds = row.average_perplexity * (math.exp(deviation) - 1)
        axes.barh(
            height,
            row.average_perplexity,
            xerr=spread_of_seeds or None,
            color=MIXTURE_COLOURS.get(row.mixture, FAINT),
            alpha=1.0 if learned else 0.55,
            height=0.62,
            error_kw={"ecolor": INK, "elinewidth": 1.2, "capsize": 3},
        )
        axes.text(
            row.average_perplexity + spread_of_seeds,
            height,
            f"  {row.average_perplexity:.3f}",
            va="center",
            fontweight="bold" if learned else "normal",
        )
    axes.set_yticks(range(len(ordered)), [row.mixture for row in ordered])
    for label in axes.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() == "tandem" else "normal")
    axes.set(
        title="Average test perplexity; whisker: one sd of the seeds",
        xlim=(0, max(row.average_perplexity for row in rows) * 1.18),
    )
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _draw_per_domain(axes: Any, domains: Sequence[str], rows: Sequence[StageTwoRow]) -> None:
    reference = next((row for row in rows if row.mixture == "natural"), rows[0])
    for row in rows:
        if row is reference:
            continue
        change = [
            100 * (mine / base - 1)
            for mine, base in zip(row.perplexity, reference.perplexity, strict=True)
        ]
        learned = row.mixture == "tandem"
        axes.scatter(
            change,
            range(len(domains)),
            s=70 if learned else 38,
            marker=MIXTURE_MARKERS.get(row.mixture, "x"),
            color=MIXTURE_COLOURS.get(row.mixture, FAINT),
            edgecolor="white",
            linewidth=0.7,
            zorder=4 if learned else 3,
            label=row.mixture,
        )
    axes.axvline(0, color=MIXTURE_COLOURS["natural"], linewidth=1.2)
    axes.set_yticks(
        range(len(domains)),
        [
            f"{domain} ({value:.1f})"
            for domain, value in zip(domains, reference.perplexity, strict=True)
        ],
    )
    axes.set(
        title=f"Per domain, against {reference.mixture} (its perplexity in brackets)",
        xlabel=f"test perplexity relative to {reference.mixture}, %",
    )
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=5, frameon=False)


def _save(figure: Figure, path: Path) -> None:
    with replaced_when_whole(path) as partial:
        figure.savefig(partial, format="png", dpi=DPI)
