"""What the end of an engine means for its job."""

import dataclasses
import signal

import pytest
from support.jobs import result_record

from tandem_engine.contracts.records import (
    EXIT_FAILED,
    EXIT_STOPPED,
    EXIT_SUCCEEDED,
    ErrorRecord,
)
from worker.failures import EngineEnd, decide

ENDED = EngineEnd(
    exit_code=EXIT_SUCCEEDED, result=None, error=None, log_tail="", cancelled=False, drained=False
)
FATAL = ErrorRecord(code="diverged", message="a loss is not finite", retryable=False)
PASSING = ErrorRecord(code="disk_full", message="no space is left", retryable=True)


def _end(exit_code: int, **changes: object) -> EngineEnd:
    return dataclasses.replace(ENDED, exit_code=exit_code, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("end", "action", "reason"),
    [
        (_end(EXIT_SUCCEEDED, result=result_record()), "succeed", "succeeded"),
        (_end(EXIT_SUCCEEDED, result=result_record(), cancelled=True), "succeed", "succeeded"),
        (_end(EXIT_SUCCEEDED, result=result_record(), drained=True), "succeed", "succeeded"),
        (_end(EXIT_SUCCEEDED), "retry", "engine_crashed"),
        (_end(EXIT_FAILED, error=FATAL), "fail", "diverged"),
        (_end(EXIT_FAILED, error=FATAL, drained=True), "fail", "diverged"),
        (_end(EXIT_FAILED, error=FATAL, cancelled=True), "cancel", "cancelled"),
        (_end(EXIT_FAILED, error=PASSING), "retry", "disk_full"),
        (_end(EXIT_FAILED), "retry", "engine_crashed"),
        (_end(EXIT_STOPPED, cancelled=True), "cancel", "cancelled"),
        (_end(EXIT_STOPPED, drained=True), "drain", "drained"),
        (_end(EXIT_STOPPED), "retry", "engine_stopped"),
        (_end(-signal.SIGKILL, cancelled=True), "cancel", "cancelled"),
        (_end(-signal.SIGKILL, drained=True), "drain", "drained"),
        (_end(-signal.SIGKILL), "retry", "engine_crashed"),
        (_end(-signal.SIGSEGV), "retry", "engine_crashed"),
        (_end(3), "retry", "engine_crashed"),
    ],
)
def test_every_end_has_its_consequence(end: EngineEnd, action: str, reason: str) -> None:
    decision = decide(end)
    assert (decision.action, decision.reason) == (action, reason)


def test_a_kill_is_explained_by_what_usually_does_it() -> None:
    error = decide(_end(-signal.SIGKILL)).error
    assert error is not None
    assert "SIGKILL" in error.message
    assert "memory" in error.hint
    assert error.retryable


def test_the_last_words_of_a_crashed_engine_are_in_the_message() -> None:
    error = decide(_end(-signal.SIGABRT, log_tail="first\nglibc: corrupted list")).error
    assert error is not None
    assert "glibc: corrupted list" in error.message
    assert "first" not in error.message


def test_a_signal_without_a_name_is_told_by_its_number() -> None:
    error = decide(_end(-250)).error
    assert error is not None
    assert "signal 250" in error.message
