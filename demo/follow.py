"""Follow a running job in the terminal: a live panel, or plain lines where there is no terminal."""

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from demo.palette import DOMAIN_COLOURS

BAR_CELLS = 40
PLAIN_SECONDS = 10.0
FINISHED = frozenset({"succeeded", "failed", "cancelled"})
UNITS = {"learning": "episodes", "evaluating": "models"}


def bar(share: float, natural: float, scale: float) -> str:
    """Return a bar of `share` with a mark at the natural share; `scale` is the full width."""
    filled = round(BAR_CELLS * min(1.0, share / scale))
    mark = min(BAR_CELLS - 1, round(BAR_CELLS * min(1.0, natural / scale)))
    cells = ["█"] * filled + [" "] * (BAR_CELLS - filled)
    cells[mark] = "│"
    return "".join(cells)


def remaining_seconds(done: int | None, total: int | None, elapsed: float) -> float | None:
    """Return the time that is left in a phase, in seconds, or None while that is unknown."""
    if not done or not total or done > total:
        return None
    return elapsed / done * (total - done)


def clock(seconds: float | None) -> str:
    """Return seconds as minutes and seconds."""
    if seconds is None:
        return "--:--"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Follower:
    """Shows a job's state each time `show` is called. Use it as a context manager."""

    def __init__(
        self,
        natural: Mapping[str, float],
        *,
        console: Console | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the natural shares per domain, for the marks in the bars."""
        self._natural = dict(sorted(natural.items()))
        self._console = console or Console()
        self._now = now
        self._started = now()
        self._phase: str | None = None
        self._phase_started = self._started
        self._printed = -PLAIN_SECONDS
        self._live = (
            Live(console=self._console, refresh_per_second=4) if self._console.is_terminal else None
        )
        self.phase_seconds: dict[str, float] = {}

    def __enter__(self) -> Self:
        """Open the live panel."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the live panel; what it showed last stays."""
        self._leave_phase(None)
        if self._live:
            self._live.stop()

    def show(self, job: Mapping[str, Any]) -> None:
        """Show the job as the service returned it."""
        phase = job["phase"] or job["state"]
        changed = phase != self._phase
        if changed:
            self._leave_phase(phase)
        progress = job["progress"] or {}
        done, total = progress.get("phase_done"), progress.get("phase_total")
        if phase == "learning":
            # Points of the trajectory are counted apart from the work of other phases.
            done, total = progress.get("episode"), progress.get("total_episodes")
        line = self._line(phase, done, total, progress.get("message") or "")
        alpha = job["alpha"]
        if self._live:
            self._live.update(Group(Text(line, style="bold"), _bars(self._natural, alpha)))
            return
        due = self._now() - self._printed >= PLAIN_SECONDS
        if changed or due or job["state"] in FINISHED:
            self._printed = self._now()
            shares = _shares(alpha) if phase == "learning" else ""
            self._console.print(f"    {line}{shares}", highlight=False, soft_wrap=True)

    def _leave_phase(self, phase: str | None) -> None:
        now = self._now()
        if self._phase is not None:
            spent = self.phase_seconds.get(self._phase, 0.0) + now - self._phase_started
            self.phase_seconds[self._phase] = spent
        self._phase, self._phase_started = phase, now

    def _line(self, phase: str, done: int | None, total: int | None, message: str) -> str:
        elapsed = self._now() - self._phase_started
        parts = [f"{clock(self._now() - self._started)}  {phase}"]
        if done is not None and total:
            parts.append(f"{done} of {total} {UNITS.get(phase, '')}".rstrip())
            parts.append(f"this phase ends in {clock(remaining_seconds(done, total, elapsed))}")
        if message:
            parts.append(message)
        return ", ".join(parts)


def _bars(natural: Mapping[str, float], alpha: Mapping[str, float] | None) -> Table:
    table = Table.grid(padding=(0, 2))
    shares = alpha or dict.fromkeys(natural, 0.0)
    scale = max(*natural.values(), *shares.values())
    for index, (domain, share) in enumerate(natural.items()):
        now = shares.get(domain, 0.0)
        table.add_row(
            domain,
            Text(bar(now, share, scale), style=DOMAIN_COLOURS[index % len(DOMAIN_COLOURS)]),
            f"{now:6.1%}",
            Text(f"natural {share:.1%}", style="dim"),
        )
    return table


def _shares(alpha: Mapping[str, float] | None) -> str:
    if not alpha:
        return ""
    return "  | " + _joined(sorted(alpha.items()))


def _joined(shares: Sequence[tuple[str, float]]) -> str:
    return " ".join(f"{domain} {share:.0%}" for domain, share in shares)
