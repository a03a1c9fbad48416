"""Brings what the engine says into the database, in batches and in order."""

import time
from collections.abc import Callable

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from service.db.session import Sessions, unit_of_work
from service.jobs import leases
from service.jobs.leases import Lease
from tandem_engine.contracts.records import (
    CheckpointRecord,
    DomainsRecord,
    EngineRecord,
    ErrorRecord,
    PhaseRecord,
    ProgressRecord,
    ResultRecord,
    ResumedRecord,
    StageTwoRun,
    TrajectoryPoint,
)

log = structlog.get_logger(__name__)

BATCH_POINTS = 100
BATCH_SECONDS = 1.0

Outage = (OperationalError, InterfaceError)
"""The database is away; it may come back, so nothing is dropped."""


class Recorder:
    """Collects records and writes them in one transaction per batch.

    Points and progress wait up to a second; all else is written at once, with what waited before
    it. While the database is away everything is kept and tried again.
    """

    def __init__(
        self,
        sessions: Sessions,
        lease: Lease,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write for `lease`; each method may raise LeaseLostError."""
        self._sessions = sessions
        self._lease = lease
        self._clock = clock
        self._waiting: list[EngineRecord] = []
        self._due_at: float | None = None
        self.result: ResultRecord | None = None
        self.error: ErrorRecord | None = None

    def take(self, record: EngineRecord) -> None:
        """Take the next record of the engine."""
        match record:
            case ResultRecord():
                self.result = record
            case ErrorRecord():
                self.error = record
            case TrajectoryPoint() | ProgressRecord():
                self._add(record)
                if len(self._waiting) >= BATCH_POINTS:
                    self._flush_or_keep()
            case _:
                self._add(record)
                self._flush_or_keep()
        self.tick()

    def tick(self) -> None:
        """Write what has waited long enough."""
        if self._due_at is not None and self._clock() >= self._due_at:
            self._flush_or_keep()

    def flush(self) -> None:
        """Write all that waits, or raise what prevents it."""
        if not self._waiting:
            return
        with unit_of_work(self._sessions) as work:
            self._write(work.session)
        self._waiting.clear()
        self._due_at = None

    def discard(self) -> None:
        """Drop what waits; the next attempt's engine says it again."""
        self._waiting.clear()
        self._due_at = None

    def _add(self, record: EngineRecord) -> None:
        if isinstance(record, ProgressRecord) and self._waiting:
            last = self._waiting[-1]
            if isinstance(last, ProgressRecord) and last.phase == record.phase:
                self._waiting.pop()  # only the newest progress is of interest
        self._waiting.append(record)
        if self._due_at is None:
            self._due_at = self._clock() + BATCH_SECONDS

    def _flush_or_keep(self) -> None:
        try:
            self.flush()
        except Outage as error:
            log.warning("records_kept", records=len(self._waiting), error=str(error)[:300])
            self._due_at = self._clock() + BATCH_SECONDS

    def _write(self, session: Session) -> None:
        points: list[TrajectoryPoint] = []
        for record in self._waiting:
            if isinstance(record, TrajectoryPoint):
                points.append(record)
                continue
            leases.append_points(session, self._lease, points)
            points = []
            self._write_other(session, record)
        leases.append_points(session, self._lease, points)

    def _write_other(self, session: Session, record: EngineRecord) -> None:
        lease = self._lease
        match record:
            case PhaseRecord(phase=phase, total_units=total):
                leases.mark_running(session, lease, phase)
                leases.record_progress(session, lease, phase, 0, total, "")
            case ProgressRecord(phase=phase, done_units=done, total_units=total, message=message):
                leases.record_progress(session, lease, phase, done, total, message)
            case ResumedRecord(episode=episode):
                leases.rewind(session, lease, episode)
                leases.record_event(session, lease, "resumed", _data(record))
            case DomainsRecord() | StageTwoRun() | CheckpointRecord():
                leases.record_event(session, lease, record.type, _data(record))
            case _:
                raise TypeError(f"the record {record.type!r} is not written as it comes")


def _data(record: EngineRecord) -> dict[str, object]:
    return record.model_dump(mode="json", exclude={"type"})
