"""A comparison's table as CSV, a row per entry."""

import csv
import io
from collections.abc import Sequence

from service.comparisons.schemas import ComparisonTable

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SCALARS = (
    *("entry", "method", "seeds_done", "seeds_total", "average_perplexity"),
    *("average_perplexity_sd", "average_loss", "average_loss_sd", "metric_average"),
    *("learning_seconds", "learning_seconds_sd", "proxy_steps", "flops", "tokens"),
)


def as_csv(table: ComparisonTable) -> str:
    """Return the table; empty cells are unknown. Names cannot become formulas in a spreadsheet."""
    per_column = [("perplexity", table.evaluated_on), ("perplexity_sd", table.evaluated_on)]
    per_column += [("alpha", table.domains), ("alpha_sd", table.domains)]
    if any(row.metrics for row in table.entries):
        per_column += [("metrics", table.domains), ("metrics_sd", table.domains)]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    named = [_safe(f"{field}:{name}") for field, names in per_column for name in names]
    writer.writerow([*_SCALARS, *named, "failures"])
    for row in table.entries:
        values: list[object] = [getattr(row, name) for name in _SCALARS]
        for field, names in per_column:
            found: Sequence[float | None] | None = getattr(row, field)
            values += found or [None] * len(names)
        values.append("; ".join(row.failures))
        writer.writerow([_safe(value) for value in values])
    return buffer.getvalue()


def _safe(value: object) -> object:
    if value is None:
        return ""
    # Numbers may begin with a minus; what users typed in may not.
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
