"""Wall time and peak memory of a function in a process of its own, and tables of them."""

import json
import os
import platform
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Measured:
    """`seconds` as the function gave them, `peak_mb` of the largest process, what it returned."""

    seconds: float
    peak_mb: float
    facts: dict[str, Any]


class Stopwatch:
    """What a measured function starts when its inputs are ready, and stops at the end."""

    def __init__(self) -> None:
        """Stand at zero."""
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._begin = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._begin


def measured(
    function: Callable[..., dict[str, Any]], *arguments: object, **named: object
) -> Measured:
    """Run `function(stopwatch, ...)` in a new process.

    Raises:
        RuntimeError: the process ended without an answer.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_child, args=(theirs, function, arguments, named))
    process.start()
    theirs.close()
    try:
        seconds, peak, facts = ours.recv()
    except EOFError as error:
        process.join()
        raise RuntimeError(f"{function.__name__} ended with {process.exitcode}") from error
    process.join()
    return Measured(seconds, peak, facts)


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows as a Markdown table; their keys are the head."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "| --- " * len(names) + "|"]
    lines += ["| " + " | ".join(_cell(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def write_report(path: Path, rows: Sequence[Mapping[str, object]], **settings: object) -> None:
    """Write rows as JSON, with what they depend on."""
    report = {
        "machine": {
            "cores": os.cpu_count(),
            "processor": platform.machine(),
            "python": platform.python_version(),
        },
        "settings": settings,
        "rows": list(rows),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _child(
    answer: Connection,
    function: Callable[..., dict[str, Any]],
    arguments: Sequence[object],
    named: Mapping[str, object],
) -> None:
    stopwatch = Stopwatch()
    facts = function(stopwatch, *arguments, **named)
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(one).ru_maxrss for one in who) / 1024
    answer.send((stopwatch.seconds, peak, facts))


def _cell(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else f"{value}"
