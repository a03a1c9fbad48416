"""The table and the picture of a study."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.quality.comparison import Row, t_interval
from demo.palette import FAINT, INK, MIXTURE_COLOURS
from demo.plots import STYLE
from tandem_engine.files import replaced_when_whole

DPI = 160


def table(rows: Sequence[Row], *, against: str) -> str:
    """Return the comparison as a Markdown table, best first."""
    gain = "share of the oracle's gain (95 % interval)"
    lines = [
        f"| mixture | test loss | minus {against} | standard error | {gain} |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row.name} | {row.loss:.4f} | {row.difference:+.4f} | {row.difference_error:.4f} | "
        f"{row.gain_share:.0%} ({row.gain_low:.0%} to {row.gain_high:.0%}) |"
        for row in rows
    ]
    return "\n".join(lines)


def rivals_table(rows: Sequence[Row], *, learned: str) -> str:
    """Return how far `learned` is from every other mixture, in standard errors."""
    lines = [
        f"| rival | {learned} minus rival | standard error | in standard errors |",
        "|---|---:|---:|---:|",
    ]
    # The table was made against `learned`: its sign turns round here.
    for row in rows:
        if row.name == learned:
            continue
        ratio = -row.difference / row.difference_error if row.difference_error else 0.0
        lines.append(
            f"| {row.name} | {-row.difference:+.4f} | {row.difference_error:.4f} | {ratio:+.1f} |"
        )
    return "\n".join(lines)


def shares_table(
    domains: Sequence[str],
    mixtures: Mapping[str, Sequence[float]],
    learned: Mapping[str, Sequence[Sequence[float]]],
) -> str:
    """Return the shares per domain; those of several replicates with a 95 % t-interval.

    Args:
        domains: Names in the order of every mixture.
        mixtures: Shares by name.
        learned: Shares per replicate by name.
    """
    names = [*mixtures, *learned]
    lines = [f"| domain | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    for place, domain in enumerate(domains):
        cells = [f"{shares[place]:.3f}" for shares in mixtures.values()]
        for replicates in learned.values():
            values = [shares[place] for shares in replicates]
            low, high = t_interval(values)
            cells.append(f"{sum(values) / len(values):.3f} ({low:.3f} to {high:.3f})")
        lines.append(f"| {domain} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(rows: Sequence[Row], path: Path, *, title: str) -> None:
    """Write the share of the oracle's gain of each mixture, with its interval, to a PNG file."""
    with mpl.rc_context(dict(STYLE)):
        figure = Figure(figsize=(8.5, 0.5 + 0.42 * len(rows)), layout="constrained")
        axes: Any = figure.subplots()
        for place, row in enumerate(reversed(rows)):
            colour = MIXTURE_COLOURS.get(row.name.split(",")[0], FAINT)
            axes.plot([row.gain_low, row.gain_high], [place, place], color=colour, linewidth=2)
            axes.plot([row.gain_share], [place], "o", color=colour, markersize=7)
            label = f"{row.gain_share:.0%}"
            axes.annotate(
                label, (row.gain_share, place), (0, 7), textcoords="offset points", ha="center"
            )
        axes.set_yticks(range(len(rows)), [row.name for row in reversed(rows)])
        axes.set_ylim(-0.6, len(rows) - 0.2)
        axes.axvline(0, color=FAINT, linewidth=1)
        axes.axvline(1, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))
        axes.set_xlabel("share of the oracle's gain over uniform, with its 95 % interval")
        axes.grid(visible=False, axis="y")
        axes.set_title(title)
        with replaced_when_whole(path) as partial:
            figure.savefig(partial, dpi=DPI, format="png")
