"""`tandem compare`: run a comparison, show it grow, leave its reports in a folder."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from client import display
from client.comparisons import COMPARISON_ENDS
from client.files import write_whole
from client.http import TandemClient

Json = Mapping[str, Any]

REPORTS = {"json": "json", "csv": "csv", "markdown": "md", "html": "html"}
"""Format and the ending of its file."""
EXIT_SOME_FAILED = 3
EXIT_ALL_FAILED = 1
_POLL_SECONDS = 2.0


def follow(client: TandemClient, comparison: Json) -> Json:
    """Show a comparison until all its cells have ended; return it."""
    with Live(view(comparison), refresh_per_second=2) as live:
        while comparison["state"] not in COMPARISON_ENDS:
            client.sleep(_POLL_SECONDS)
            comparison = client.comparison(comparison["id"])
            live.update(view(comparison))
    return comparison


def write_reports(client: TandemClient, comparison_id: str, folder: Path) -> list[Path]:
    """Write the reports in all formats; each file is whole or absent."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write_whole(
            folder / f"comparison.{ending}",
            client.comparison_report(comparison_id, kind).encode(),
        )
        for kind, ending in REPORTS.items()
    ]


def exit_code(state: str) -> int:
    """Return 0 when every cell succeeded, 3 when some did, 1 when none."""
    return {"succeeded": 0, "partial": EXIT_SOME_FAILED}.get(state, EXIT_ALL_FAILED)


def view(comparison: Json) -> RenderableType:
    """Return the table so far, and how many cells of each entry are done."""
    cells = comparison["cells"]
    done = sum(cell["state"] == "succeeded" for cell in cells)
    reused = sum(cell["reused"] for cell in cells)
    head = Text.assemble((comparison["id"], "bold"), f"  {comparison['state']}, ")
    head.append(f"{done} of {len(cells)} cells done")
    if reused:
        head.append(f", {reused} reused")
    table = Table("entry", "cells", "average perplexity", "sd", "learning", box=None)
    for row in comparison["table"]["entries"]:
        table.add_row(
            Text(row["entry"]),
            _cells(cells, row),
            _number(row["average_perplexity"], 3),
            _number(row["average_perplexity_sd"], 3),
            "" if row["learning_seconds"] is None else f"{row['learning_seconds']:.0f} s",
        )
    return Group(head, table)


def comparisons_table(comparisons: Iterable[Json]) -> Table:
    """Return one line per comparison."""
    table = Table(
        display.id_column("comparison"), "name", "state", "cells done", "created", box=None
    )
    for one in comparisons:
        counts = one["cells_by_state"]
        done = f"{counts.get('succeeded', 0)}/{sum(counts.values())}"
        table.add_row(one["id"], Text(one["name"] or ""), one["state"], done, one["created_at"])
    return table


def print_end(comparison: Json, written: list[Path], console: Console) -> None:
    """Say where the reports are and what failed."""
    console.print()  # a view that did not move on a terminal ends without a line's end
    for row in comparison["table"]["entries"]:
        for failure in row["failures"]:
            console.print(Text(f"{row['entry']}, {failure}", style="red"))
    for path in written:
        console.print(Text(str(path)))


def _cells(cells: list[Json], row: Json) -> Text:
    text = Text(f"{row['seeds_done']}/{row['seeds_total']}")
    mine = [cell for cell in cells if cell["entry"] == row["entry"]]
    for cell in mine:
        if cell["state"] in {"starting", "running"}:
            text.append(
                f"  seed {cell['seed']}: {cell['episode']}/{cell['total_episodes']}", "cyan"
            )
    failed = sum(cell["state"] in {"failed", "cancelled"} for cell in mine)
    if failed:
        text.append(f"  {failed} failed", "red")
    return text


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
