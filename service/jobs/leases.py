"""What a worker may do to a job: claim it, keep it, write its progress, end it.

The attempt number is the fencing token: it stands in the same UPDATE as every write, so a worker
that lost its lease writes nothing. The caller commits (`service.db.session.unit_of_work`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError
from sqlalchemy.orm import Session

from service.db.clock import from_now
from service.jobs.lifecycle import JobState
from service.jobs.repository import leasing, points
from service.jobs.repository.events import add_event
from service.jobs.repository.leasing import Held
from service.jobs.repository.transitions import Fence, end_attempt, transition
from tandem_engine.contracts.records import ErrorRecord, ResultRecord, TrajectoryPoint
from tandem_engine.contracts.spec import JobSpec

Desired = Literal["run", "pause", "cancel"]
SUM_TOLERANCE = 1e-6
_DESIRED: Mapping[JobState, Desired] = {
    JobState.CANCELLING: "cancel",
    JobState.PAUSING: "pause",
}


@dataclass(frozen=True)
class Lease:
    """The right of one attempt to write to its job."""

    job_id: str
    attempt: int
    worker_id: str


@dataclass(frozen=True)
class Claim:
    """A job that was taken, and what to run."""

    lease: Lease
    spec: JobSpec


class LeaseLostError(Exception):
    """Another attempt holds the job, or it is over: stop the engine and write nothing."""

    def __init__(self, lease: Lease) -> None:
        """Name the job and the attempt that lost it."""
        super().__init__(f"attempt {lease.attempt} of {lease.job_id} no longer holds the job")
        self.lease = lease


def claim(
    session: Session, job_id: str, worker_id: str, *, lease_seconds: float = 60.0
) -> Claim | None:
    """Take a queued job.

    Args:
        session: The caller's transaction.
        job_id: The job that a message named.
        worker_id: Who takes it; shown in events.
        lease_seconds: How long the job stays taken after the last write or renewal.

    Returns:
        The claim, or None if the job is not queued or not yet due: a message may come twice.
    """
    taken = leasing.claim_queued(session, job_id, worker_id, lease_seconds=lease_seconds)
    if taken is None:
        return None
    attempt, spec = taken
    lease = Lease(job_id=job_id, attempt=attempt, worker_id=worker_id)
    try:
        return Claim(lease=lease, spec=JobSpec.model_validate(spec))
    except ValidationError as error:
        # Written by another release; every later attempt would fail in the same way.
        finish_failed(
            session,
            lease,
            ErrorRecord(
                code="invalid_spec",
                message=f"the stored specification is not valid for this release: {error}",
                retryable=False,
                hint="submit the job again",
                field="spec",
            ),
        )
        return None


def renew(session: Session, lease: Lease) -> Desired:
    """Extend the lease; the answer says whether the job is to go on. Raises LeaseLostError."""
    row = _write(session, lease)
    return _DESIRED.get(row.state, "run")


def mark_running(session: Session, lease: Lease, phase: str) -> None:
    """Note that the engine runs, in `phase`. Raises LeaseLostError."""
    row = _write(session, lease)
    if row.state == JobState.STARTING:
        _move(session, lease, JobState.STARTING, JobState.RUNNING, {"phase": phase})
    _enter_phase(session, lease, row.phase, phase)


def record_progress(  # noqa: PLR0917 - the interface of worker and service
    session: Session, lease: Lease, phase: str, done: int | None, total: int | None, message: str
) -> None:
    """Note how far the phase is, in its own units. Raises LeaseLostError."""
    row = _write(session, lease)
    _enter_phase(session, lease, row.phase, phase)
    _write(session, lease, phase_done=done, phase_total=total, phase_message=message)


def append_points(session: Session, lease: Lease, batch: Sequence[TrajectoryPoint]) -> None:
    """Write trajectory points; the same points twice are the same as once.

    Raises:
        LeaseLostError: the attempt no longer holds the job; nothing is written.
        ValueError: a point's alpha is not on the simplex.
    """
    if not batch:
        return
    for point in batch:
        _check_simplex(point)
    row = _write(session, lease)
    if row.epoch != lease.attempt:
        # A resumed attempt that did not say so: what it is about to write again must go first.
        rewind(session, lease, batch[0].episode - 1)
    last = batch[-1]
    row = _write(
        session,
        lease,
        points=len(batch),
        last_step=last.step,
        episode=last.episode,
        tokens=last.tokens,
        alpha=list(last.alpha),
    )
    points.upsert_points(
        session,
        lease.job_id,
        batch,
        attempt=lease.attempt,
        first_seq=row.last_seq - len(batch) + 1,
    )


def rewind(session: Session, lease: Lease, episode: int) -> None:
    """Drop the points after `episode` (0: all), before an attempt writes them again.

    Raises LeaseLostError.
    """
    row = _write(session, lease, events=1)
    deleted = points.delete_points_after(session, lease.job_id, episode)
    step = points.rewind_to_last_point(session, lease.job_id, lease.attempt)
    data = {"to_episode": episode, "to_step": step, "deleted_points": deleted}
    _event(session, lease, row, "rewind", data)


def record_event(session: Session, lease: Lease, type: str, data: Mapping[str, object]) -> None:  # noqa: A002 - the word of the interface
    """Write an event, such as `domains`, `stage_two_run` or `checkpoint`. Raises LeaseLostError."""
    _event(session, lease, _write(session, lease, events=1), type, data)


def finish_succeeded(session: Session, lease: Lease, result: ResultRecord) -> None:
    """End the job with its result and register its manifest. Raises LeaseLostError."""
    row = _write(session, lease)
    if row.state == JobState.STARTING:
        _move(session, lease, JobState.STARTING, JobState.RUNNING)
    source = row.state if row.state in _DESIRED else JobState.RUNNING
    document = result.model_dump(mode="json", exclude={"type"})
    # It may hold that the deadline has passed; the work was done first.
    _move(session, lease, source, JobState.SUCCEEDED, result=document, error=None, phase=None)
    leasing.add_manifest(session, lease.job_id, result.manifest.model_dump())
    end_attempt(session, lease.job_id, lease.attempt, outcome="succeeded")


def finish_failed(session: Session, lease: Lease, error: ErrorRecord) -> None:
    """End the job with an error that no other attempt would mend. Raises LeaseLostError."""
    row = _write(session, lease)
    document = error.model_dump(mode="json", exclude={"type"})
    source = row.state
    _move(session, lease, source, JobState.FAILED, {"code": error.code}, error=document, phase=None)
    end_attempt(session, lease.job_id, lease.attempt, outcome="failed", reason=error.code)


def finish_cancelled(session: Session, lease: Lease) -> None:
    """End a job that was asked to stop. Raises LeaseLostError."""
    row = _write(session, lease)
    _move(session, lease, row.state, JobState.CANCELLED, phase=None)
    end_attempt(session, lease.job_id, lease.attempt, outcome="cancelled")


def finish_paused(session: Session, lease: Lease) -> None:
    """Lay a job aside that was asked to pause, or end it if it was cancelled since.

    Raises LeaseLostError.
    """
    row = _write(session, lease)
    if row.state == JobState.CANCELLING:
        finish_cancelled(session, lease)
        return
    _move(session, lease, row.state, JobState.PAUSED, phase=None)
    end_attempt(session, lease.job_id, lease.attempt, outcome="paused")


def release(
    session: Session,
    lease: Lease,
    *,
    reason: str,
    spends_budget: bool,
    delay_seconds: float = 0,
    error: ErrorRecord | None = None,
) -> None:
    """Give the job back so that another attempt goes on from its last checkpoint.

    A job whose attempts are spent fails with `attempts_exhausted`; one that was asked to stop is
    cancelled, one that was asked to pause is paused.

    Args:
        session: The caller's transaction.
        lease: The attempt that gives up.
        reason: Why, as a code: `drained`, `engine_crashed`, `lease_expired`.
        spends_budget: False for a drain or a preemption.
        delay_seconds: How long the job waits before it may be claimed.
        error: What went wrong, if known; shown when no attempt is left.

    Raises:
        LeaseLostError: the attempt no longer holds the job; nothing is written.
    """
    row = _write(session, lease)
    source = row.state
    spent = row.budget_spent + (1 if spends_budget else 0)
    values: dict[str, Any] = {"budget_spent": spent, "phase": None}
    if source == JobState.CANCELLING:
        target = JobState.CANCELLED
    elif spent >= row.max_attempts:
        target = JobState.FAILED
        values["error"] = _exhausted(spent, reason, error)
    elif source == JobState.PAUSING:
        target = JobState.PAUSED
    else:
        target = JobState.QUEUED
        values |= {
            "run_after": from_now(delay_seconds),
            "dispatched_at": None,
            "dispatch_count": 0,
        }
    _move(session, lease, source, target, {"reason": reason}, **values)
    end_attempt(session, lease.job_id, lease.attempt, outcome="released", reason=reason)


def _exhausted(spent: int, reason: str, error: ErrorRecord | None) -> dict[str, Any]:
    cause = reason if error is None else f"{error.code}: {error.message}"
    return {
        "code": "attempts_exhausted",
        "message": f"all {spent} attempts ended early; the last one: {cause}",
        "retryable": False,
        "hint": (error.hint if error else "") or "read the worker's log of the last attempt",
        "field": error.field if error else None,
        "value": error.value if error else None,
    }


def _fence(lease: Lease) -> Fence:
    return Fence(attempt=lease.attempt, worker_id=lease.worker_id)


def _write(
    session: Session, lease: Lease, *, events: int = 0, points: int = 0, **values: Any
) -> Held:
    row = leasing.fenced_update(
        session, lease.job_id, _fence(lease), events=events, points=points, **values
    )
    if row is None:
        raise LeaseLostError(lease)
    return row


def _move(
    session: Session,
    lease: Lease,
    source: JobState,
    target: JobState,
    data: Mapping[str, object] | None = None,
    **values: Any,
) -> None:
    moved = transition(
        session, lease.job_id, source, target, fence=_fence(lease), data=data, **values
    )
    if not moved:
        raise LeaseLostError(lease)


def _event(
    session: Session, lease: Lease, row: Held, kind: str, data: Mapping[str, object]
) -> None:
    add_event(session, lease.job_id, seq=row.event_seq, attempt=lease.attempt, kind=kind, data=data)


def _enter_phase(session: Session, lease: Lease, before: str | None, phase: str) -> None:
    if before == phase:
        return
    row = _write(
        session,
        lease,
        events=1,
        phase=phase,
        phase_done=None,
        phase_total=None,
        phase_message="",
    )
    _event(session, lease, row, "phase", {"phase": phase})


def _check_simplex(point: TrajectoryPoint) -> None:
    total = math.fsum(point.alpha)
    if min(point.alpha) < 0 or abs(total - 1) > SUM_TOLERANCE:
        raise ValueError(
            f"alpha of episode {point.episode} is not on the simplex: it sums to {total:.9f} and "
            f"its smallest share is {min(point.alpha):.3g}"
        )
