"""The figures of a comparison, each as SVG; one without data is left out."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from service.comparisons import curve_figures, table_figures
from service.comparisons.outcomes import CellOutcome
from service.comparisons.schemas import ComparisonTable

STYLE: Mapping[str, object] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": "#8a8a8a",
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "legend.frameon": False,
    "svg.fonttype": "none",
    # The same data give the same bytes.
    "svg.hashsalt": "tandem",
}


@dataclass(frozen=True, slots=True)
class FigureSvg:
    """A figure and what it shows."""

    title: str
    caption: str
    svg: str


Draw = Callable[[Figure, ComparisonTable, Sequence[CellOutcome]], bool]
"""Draws on an empty figure; False says that there is nothing to draw."""

FIGURES: Sequence[tuple[str, str, Draw]] = (
    (
        "Average test perplexity",
        "Mean over seeds; a dot per seed. Lower is better.",
        table_figures.averages,
    ),
    (
        "Learned mixtures",
        "Share of tokens per domain, mean over seeds (as Figures 5 and 6 of the paper).",
        table_figures.mixtures,
    ),
    (
        "What the compute of learning bought",
        "Average test loss against compute of learning, a dot per entry.",
        table_figures.loss_and_work,
    ),
    (
        "How alpha moved",
        "Shares over the steps of the proxy, first seed (as Figure 3).",
        curve_figures.alphas,
    ),
    (
        "Distance of the twins",
        "Euclidean norm of u - w, mean over seeds (as Figure 7).",
        curve_figures.twin_distances,
    ),
    (
        "Signal in Delta",
        "Cosine of two half batches' centred Deltas, all episodes and seeds (as Figure 8).",
        curve_figures.delta_cosines,
    ),
    (
        "Generalisation gap",
        "Validation minus train loss of the proxy, mean over domains and seeds (as Figure 9).",
        curve_figures.gaps,
    ),
    (
        "Agreement of gradients",
        "Cosine of the training gradients of two batches, mean over seeds (as Figure 2).",
        curve_figures.gradient_cosines,
    ),
)


def figures(table: ComparisonTable, outcomes: Sequence[CellOutcome]) -> list[FigureSvg]:
    """Return the figures that there are data for.

    Args:
        table: The comparison's table.
        outcomes: Its cells, with their curves.
    """
    drawn = []
    with _style():
        for title, caption, draw in FIGURES:
            figure = Figure(figsize=(9.6, 4.0), layout="constrained")
            if draw(figure, table, outcomes):
                drawn.append(FigureSvg(title, caption, _svg(figure)))
    return drawn


@contextmanager
def _style() -> Iterator[None]:
    context: Any = mpl.rc_context(dict(STYLE))
    with context:
        yield


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    # Inside a page there is no place for the XML declaration and the document type.
    return text[text.index("<svg") :]
