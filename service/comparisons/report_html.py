"""A comparison as one page that holds everything: no script, nothing to load."""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from service.comparisons.figures import figures
from service.comparisons.outcomes import CellOutcome
from service.comparisons.report_markdown import SHOWN_PAIRS
from service.comparisons.schemas import ComparisonTable
from service.comparisons.words import LEVEL, findings, probability

TEMPLATE = "report.html.jinja"


def as_html(
    title: str, table: ComparisonTable, outcomes: Sequence[CellOutcome], *, budget: float
) -> str:
    """Return the page.

    Args:
        title: What to call the comparison.
        table: Its table.
        outcomes: Its cells, with their curves.
        budget: Compute of learning that each cell was given, in steps of plain training.
    """
    environment = Environment(
        loader=PackageLoader("service.comparisons"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "probability": probability}
    pictures = [
        # matplotlib escapes what is written in a figure, so its SVG may stand as it is.
        {"title": one.title, "caption": one.caption, "svg": Markup(one.svg)}  # noqa: S704
        for one in figures(table, outcomes)
    ]
    best = [
        min((row.perplexity[place] for row in table.entries if row.perplexity), default=None)
        for place in range(len(table.evaluated_on))
    ]
    return environment.get_template(TEMPLATE).render(
        title=title,
        table=table,
        best=best,
        findings=findings(table),
        figures=pictures,
        pairs=table.pairs[:SHOWN_PAIRS],
        pairs_left=max(0, len(table.pairs) - SHOWN_PAIRS),
        level=LEVEL,
        budget=budget,
        failures=[(row.entry, why) for row in table.entries for why in row.failures],
        with_tasks=any(row.metrics for row in table.entries),
    )


def _number(value: float | None, digits: int = 2, spread: float | None = None) -> str:
    if value is None:
        return "–"
    shown = f"{value:.3g}" if digits < 0 else f"{value:.{digits}f}"
    return shown if spread is None else f"{shown} ± {spread:.{digits}f}"
