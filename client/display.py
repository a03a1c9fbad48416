"""What the command shows: tables, and bars of alpha that move."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

Json = Mapping[str, Any]

_STYLES = {
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
    "cancelling": "yellow",
    "running": "cyan",
}
_BAR_WIDTH = 40
_ID_WIDTH = 30


def id_column(header: str) -> Column:
    """Return a column for ids, which must be whole however narrow the terminal is."""
    return Column(header, no_wrap=True, min_width=_ID_WIDTH)


def jobs_table(jobs: Iterable[Json]) -> Table:
    """Return one line per job."""
    table = Table(id_column("job"), "name", "state", "episode", "created", box=None)
    for job in jobs:
        progress = job.get("progress") or {}
        episode = f"{progress.get('episode') or 0}/{progress.get('total_episodes') or '?'}"
        table.add_row(job["id"], job.get("name") or "", _state(job), episode, job["created_at"])
    return table


def job_view(job: Json) -> RenderableType:
    """Return a job: state, progress, bars of its newest alpha, its error if it has one."""
    progress = job.get("progress") or {}
    lines = Text.assemble((job["id"], "bold"), "  ", job.get("name") or "", "  ", _state(job))
    lines.append(f"  attempt {job['attempt']}/{job['max_attempts']}")
    if job.get("phase"):
        lines.append(f"\n{job['phase']}")
        if progress.get("phase_total"):
            lines.append(f" {progress.get('phase_done') or 0}/{progress['phase_total']}")
        if progress.get("message"):
            lines.append(f"  {progress['message']}")
    lines.append(
        f"\nepisode {progress.get('episode') or 0}/{progress.get('total_episodes') or '?'}, "
        f"{progress.get('tokens') or 0:,} tokens"
    )
    parts: list[RenderableType] = [lines]
    if job.get("alpha"):
        parts.append(share_bars(job["alpha"]))
    if job.get("error"):
        parts.append(_error(job["error"]))
    return Group(*parts)


def share_bars(shares: Mapping[str, float]) -> Table:
    """Return one bar per domain, the largest share first."""
    table = Table.grid(padding=(0, 1))
    for name, share in sorted(shares.items(), key=lambda item: -item[1]):
        bar = ProgressBar(total=1.0, completed=share, width=_BAR_WIDTH)
        table.add_row(Text(name), bar, f"{share:7.2%}")
    return table


def mixture_view(mixture: Json) -> RenderableType:
    """Return the learned shares beside the natural ones, and the verdict.

    With several seeds each share has its interval, and the optimum without bounds stands beside
    it where that was learned.
    """
    interval, free = mixture.get("interval"), mixture.get("unconstrained")
    header = ["domain", "share", *["95 % interval"] * bool(interval), "natural"]
    table = Table(*header, *["without bounds"] * bool(free), box=None)
    for name, share in sorted(mixture["shares"].items(), key=lambda item: -item[1]):
        cells = [f"{share:.2%}"]
        if interval:
            cells.append("{:.2%} to {:.2%}".format(*interval[name]))
        cells.append(f"{mixture['natural'][name]:.2%}")
        if free:
            cells.append(f"{free[name]:.2%}")
        table.add_row(Text(name), *cells)
    verdict = mixture["verdict"]
    text = Text(f"\n{verdict['outcome']}: {verdict['text']}")
    for warning in verdict["warnings"]:
        text.append(f"\nwarning: {warning}", style="yellow")
    return Group(table, text)


def _state(job: Json) -> Text:
    return Text(job["state"], style=_STYLES.get(job["state"], ""))


def _error(error: Json) -> Text:
    text = Text(f"{error['code']}: {error['message']}", style="red")
    if error.get("hint"):
        text.append(f"\n{error['hint']}", style="default")
    return text
