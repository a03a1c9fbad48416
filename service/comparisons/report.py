"""The report of a comparison in any of its formats."""

from typing import Literal

from sqlalchemy.orm import Session

from service.comparisons.models import Comparison
from service.comparisons.report_csv import as_csv
from service.comparisons.report_markdown import as_markdown
from service.comparisons.repository import filled_cells
from service.comparisons.views import outcome_of, read_curve, table_of
from tandem_engine.contracts.comparisons import ComparisonSpec, budget

Format = Literal["json", "csv", "markdown", "html"]
CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What the page may do: it holds all that it needs, and runs nothing."""


def report(session: Session, comparison: Comparison, kind: Format) -> tuple[str, str]:
    """Return the report and its media type; trajectories are read for `html` only."""
    spec = ComparisonSpec.model_validate(comparison.spec)
    filled = filled_cells(session, comparison.id)
    title = comparison.name or f"Comparison {comparison.id}"
    if kind == "html":
        # Figures load matplotlib, which the other formats must not wait for.
        from service.comparisons.report_html import as_html  # noqa: PLC0415

        outcomes = [outcome_of(one, read_curve(session, one.job.id)) for one in filled]
        return as_html(title, table_of(spec, outcomes), outcomes, budget=budget(spec)), "text/html"
    table = table_of(spec, [outcome_of(one) for one in filled])
    if kind == "csv":
        return as_csv(table), "text/csv"
    if kind == "markdown":
        return as_markdown(title, table), "text/markdown"
    return table.model_dump_json(), "application/json"
