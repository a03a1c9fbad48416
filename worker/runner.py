"""Runs one job: claim, start the engine, record, finish. The only join of database and engine."""

import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import structlog
from sqlalchemy.orm import Session

from service.db.session import Sessions, unit_of_work
from service.jobs import leases
from service.jobs.leases import Claim, Lease, LeaseLostError
from service.settings import Settings
from tandem_engine.contracts.records import ErrorRecord
from tandem_engine.files import write_text
from worker.engine_process import ENGINE_COMMAND, EngineProcess
from worker.failures import Decision, EngineEnd, decide
from worker.lease import LeaseKeeper
from worker.recorder import Outage, Recorder

log = structlog.get_logger(__name__)

Outcome = Literal["duplicate", "fenced", "succeed", "fail", "cancel", "pause", "retry", "drain"]
_RETRY_SECONDS = 0.5


def new_worker_id() -> str:
    """Return a name for this process that no other one has, now or later."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


@dataclass(frozen=True)
class Workplace:
    """What a worker needs to run jobs."""

    settings: Settings
    sessions: Sessions
    draining: Callable[[], bool] = lambda: False
    """Whether the worker is to leave: running jobs go back to the queue."""
    stop_grace_seconds: float = 60.0
    """How long an engine may take to write a checkpoint before it is killed."""
    engine_command: Sequence[str] = ENGINE_COMMAND
    clock: Callable[[], float] = time.monotonic
    worker_id: str = field(default_factory=new_worker_id)


def run_job(job_id: str, place: Workplace) -> Outcome:
    """Run a job to its end, or to the end of this attempt.

    Returns:
        What became of it; `duplicate` when there was nothing to claim, which is no error.
    """
    with unit_of_work(place.sessions) as work:
        claim = leases.claim(
            work.session, job_id, place.worker_id, lease_seconds=place.settings.lease_seconds
        )
    if claim is None:
        log.info("job_not_claimed", job_id=job_id)
        return "duplicate"
    with structlog.contextvars.bound_contextvars(job_id=job_id, attempt=claim.lease.attempt):
        log.info("job_claimed")
        outcome = _Attempt(claim, place).run()
        log.info("attempt_ended", outcome=outcome)
        return outcome


class _Attempt:
    """One claim of one job, from the start of its engine to the last write."""

    def __init__(self, claim: Claim, place: Workplace) -> None:
        self._claim, self._place = claim, place
        self._lease: Lease = claim.lease
        self._recorder = Recorder(place.sessions, claim.lease, clock=place.clock)
        self._engine: EngineProcess | None = None
        self._drained = False
        self._keeper = LeaseKeeper(
            self._renew,
            lease_seconds=place.settings.lease_seconds,
            heartbeat_seconds=place.settings.heartbeat_seconds,
            on_stop=self._stop_engine,
            on_lost=self._kill_engine,
            on_tick=self._watch,
            clock=place.clock,
        )

    def run(self) -> Outcome:
        with self._keeper:
            try:
                decision = self._run_engine()
            except LeaseLostError:
                self._keeper.lose()
                return "fenced"
            except Exception as error:
                log.exception("attempt_failed")
                self._recorder.discard()
                decision = Decision("retry", "internal", _internal(error))
            finally:
                self._kill_engine()
            return self._finish(decision)

    def _run_engine(self) -> Decision:
        folder = self._place.settings.data_dir / "jobs" / self._lease.job_id
        spec = folder / "spec.json"
        write_text(spec, self._claim.spec.model_dump_json(indent=2) + "\n")
        engine = EngineProcess(
            spec=spec,
            out=folder,
            attempt=self._lease.attempt,
            log_path=_log_path(folder, self._lease.attempt),
            options=_options(self._place.settings),
            command=self._place.engine_command,
            clock=self._place.clock,
        )
        self._engine = engine
        try:
            # It may have been asked before there was an engine to stop.
            if self._keeper.cancelled or self._keeper.paused or self._drained:
                self._stop_engine()
            for record in engine.records():
                if self._keeper.lost:
                    raise LeaseLostError(self._lease)
                if record is None:
                    self._recorder.tick()
                else:
                    self._recorder.take(record)
        finally:
            if self._keeper.lost:
                engine.kill()
            exit_code = engine.close()
        return decide(
            EngineEnd(
                exit_code=exit_code,
                result=self._recorder.result,
                error=self._recorder.error,
                log_tail=engine.log_tail(),
                cancelled=self._keeper.cancelled,
                drained=self._drained,
                paused=self._keeper.paused,
            )
        )

    def _finish(self, decision: Decision) -> Outcome:
        """Write the outcome; during an outage try for as long as the lease is surely ours."""
        while not self._keeper.lost:
            try:
                self._recorder.flush()
                with unit_of_work(self._place.sessions) as work:
                    self._write_outcome(work.session, decision)
            except LeaseLostError:
                self._keeper.lose()
            except Outage as error:
                log.warning("outcome_kept", error=str(error)[:300])
                time.sleep(_RETRY_SECONDS)
            else:
                return decision.action
        return "fenced"

    def _write_outcome(self, session: Session, decision: Decision) -> None:
        match decision.action:
            case "succeed":
                if self._recorder.result is None:
                    raise RuntimeError("a job cannot succeed without a result")
                leases.finish_succeeded(session, self._lease, self._recorder.result)
            case "fail":
                leases.finish_failed(session, self._lease, decision.error or _internal(None))
            case "cancel":
                leases.finish_cancelled(session, self._lease)
            case "pause":
                leases.finish_paused(session, self._lease)
            case "drain":
                leases.release(session, self._lease, reason=decision.reason, spends_budget=False)
            case "retry":
                leases.release(
                    session,
                    self._lease,
                    reason=decision.reason,
                    spends_budget=True,
                    delay_seconds=self._delay(),
                    error=decision.error,
                )

    def _delay(self) -> float:
        doublings = min(self._lease.attempt - 1, 6)
        return self._place.settings.retry_backoff_seconds * float(2**doublings)

    def _renew(self) -> leases.Desired:
        with unit_of_work(self._place.sessions) as work:
            return leases.renew(work.session, self._lease)

    def _watch(self) -> None:
        if not self._drained and self._place.draining():
            log.info("worker_draining")
            self._drained = True
            self._stop_engine()
        if self._engine is not None:
            self._engine.enforce_grace()

    def _stop_engine(self) -> None:
        if self._engine is not None:
            self._engine.stop(self._place.stop_grace_seconds)

    def _kill_engine(self) -> None:
        if self._engine is not None:
            self._engine.kill()


def _log_path(folder: Path, attempt: int) -> Path:
    return folder / "logs" / f"attempt-{attempt:04d}.log"


def _internal(error: Exception | None) -> ErrorRecord:
    what = "no reason was given" if error is None else f"{type(error).__name__}: {error}"
    return ErrorRecord(
        code="internal",
        message=f"the worker could not run the job: {what[:1000]}",
        retryable=True,
        hint="this is a fault in Tandem or its machine; the worker's log has the details",
    )


def _options(settings: Settings) -> list[str]:
    return [
        "--cache",
        str(settings.data_dir / "cache"),
        "--file-roots",
        settings.file_roots,
        "--uri-schemes",
        settings.uri_schemes,
        "--private-networks",
        settings.private_networks,
        *(f"--closed={folder}" for folder in settings.closed_folders),
    ]
