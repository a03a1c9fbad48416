"""What the end of an engine means for its job: one pure function, one table of signals."""

import signal
from dataclasses import dataclass
from typing import Literal

from tandem_engine.contracts.records import (
    EXIT_FAILED,
    EXIT_STOPPED,
    EXIT_SUCCEEDED,
    ErrorRecord,
    ResultRecord,
)

Action = Literal["succeed", "fail", "cancel", "pause", "retry", "drain"]


@dataclass(frozen=True)
class EngineEnd:
    """How an engine ended, and what was asked of it before."""

    exit_code: int
    """As of subprocess: negative is the number of a signal."""
    result: ResultRecord | None
    error: ErrorRecord | None
    log_tail: str
    cancelled: bool
    drained: bool
    paused: bool = False


@dataclass(frozen=True)
class Decision:
    """What to do with the job; `error` says why for `fail` and `retry`."""

    action: Action
    reason: str
    error: ErrorRecord | None = None


def decide(end: EngineEnd) -> Decision:
    """Return what becomes of the job.

    A result counts even if the job was to be cancelled: the work is done. A drain or a pause never
    spends an attempt. An error that may pass is tried again; a crash may, too.
    """
    if end.exit_code == EXIT_SUCCEEDED and end.result is not None:
        return Decision("succeed", "succeeded")
    if end.cancelled:
        return Decision("cancel", "cancelled")
    if end.exit_code == EXIT_FAILED and end.error is not None:
        action: Action = "retry" if end.error.retryable else "fail"
        return Decision(action, end.error.code, end.error)
    if end.paused:
        return Decision("pause", "paused")
    if end.drained:
        return Decision("drain", "drained")
    return _crashed(end)


def _crashed(end: EngineEnd) -> Decision:
    if end.exit_code < 0:
        name = _signal_name(-end.exit_code)
        code, what = "engine_crashed", f"the engine was ended by {name}"
        hint = _SIGNAL_HINTS.get(name, "the job's log has the details")
    elif end.exit_code == EXIT_STOPPED:
        code, what = "engine_stopped", "the engine was asked to stop by someone else"
        hint = "no one but the worker should send it signals"
    elif end.exit_code == EXIT_SUCCEEDED:
        code, what = "engine_crashed", "the engine ended without a result"
        hint = "this is a fault in Tandem; the job's log has the details"
    else:
        code, what = "engine_crashed", f"the engine ended with exit code {end.exit_code}"
        hint = "the job's log has the details"
    last_line = end.log_tail.splitlines()[-1] if end.log_tail else ""
    message = f"{what}; its last words: {last_line[:500]}" if last_line else what
    error = ErrorRecord(code=code, message=message, retryable=True, hint=hint)
    return Decision("retry", code, error)


_SIGNAL_HINTS = {
    "SIGKILL": "the kernel does this when memory runs out: look for 'Out of memory' in the "
    "system's log, then give the worker more memory or the job a smaller batch_size or model",
    "SIGSEGV": "a native library failed; if it happens again, set runtime.device to cpu",
    "SIGABRT": "a native library gave up; the job's log says why",
    "SIGBUS": "a mapped file was cut short, or the disk is full",
    "SIGILL": "a library was built for another processor",
}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
