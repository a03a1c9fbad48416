"""Which state of a job may follow which: one pure table.

The database enforces the same table by a trigger (see `migrations`); a test compares the two.

    queued -> starting -> running -> succeeded
                 |           |-> failed
                 |           |-> cancelling -> cancelled (or succeeded, failed: it was too late)
                 |           `-> pausing -> paused (likewise) -> queued when it is resumed
                 `-> queued again when the worker is lost or drained

A job that failed or was cancelled ends there, unless somebody asks to try it again.
"""

from collections.abc import Mapping
from enum import StrEnum


class JobState(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.STARTING, JobState.PAUSED, JobState.CANCELLED}),
    JobState.STARTING: frozenset(
        {
            JobState.RUNNING,
            JobState.QUEUED,
            JobState.PAUSING,
            JobState.CANCELLING,
            JobState.FAILED,
        }
    ),
    JobState.RUNNING: frozenset(
        {
            JobState.SUCCEEDED,
            JobState.FAILED,
            JobState.QUEUED,
            JobState.PAUSING,
            JobState.CANCELLING,
        }
    ),
    JobState.PAUSING: frozenset(
        {JobState.PAUSED, JobState.CANCELLING, JobState.SUCCEEDED, JobState.FAILED}
    ),
    JobState.PAUSED: frozenset({JobState.QUEUED, JobState.CANCELLED}),
    JobState.CANCELLING: frozenset({JobState.CANCELLED, JobState.SUCCEEDED, JobState.FAILED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
}

TERMINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
"""Where a job ends; only a person's wish to try again leads out."""
LEASED = frozenset({JobState.STARTING, JobState.RUNNING, JobState.PAUSING, JobState.CANCELLING})
"""A job in one of these states is held by a worker and has a lease."""


class IllegalTransitionError(Exception):
    """A job cannot go from `source` to `target`."""

    def __init__(self, source: JobState, target: JobState) -> None:
        """Say which transition was asked for and which ones there are."""
        allowed = ", ".join(sorted(TRANSITIONS[source])) or "none, it is a final state"
        super().__init__(f"a job cannot go from {source} to {target}; from {source}: {allowed}")
        self.source = source
        self.target = target


def check_transition(source: JobState, target: JobState) -> None:
    """Raise IllegalTransitionError unless `target` may follow `source`."""
    if target not in TRANSITIONS[source]:
        raise IllegalTransitionError(source, target)
