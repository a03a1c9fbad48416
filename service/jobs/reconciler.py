"""Brings back what was lost, jobs of dead workers and messages unheard; keeps deadlines."""

import threading
import time
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError

from service.db.session import Sessions, unit_of_work
from service.jobs import leases
from service.jobs.deadlines import stop_overdue
from service.jobs.dispatch import Dispatcher
from service.jobs.leases import Lease
from service.jobs.repository import queue

log = structlog.get_logger(__name__)

LONGEST_BACKOFF_SECONDS = 600.0
KEEP_KEYS_SECONDS = 2 * 24 * 3600.0


@dataclass(frozen=True)
class Report:
    """What one round found."""

    expired: int
    announced: int


class Reconciler:
    """One round at a time, in one process at a time (an advisory lock); every process may try."""

    def __init__(
        self,
        sessions: Sessions,
        dispatcher: Dispatcher,
        *,
        interval_seconds: float,
        resend_seconds: float,
        backoff_seconds: float,
    ) -> None:
        """Prepare; nothing runs before `start` or `run_once`.

        Args:
            sessions: The database.
            dispatcher: Where messages go.
            interval_seconds: Time between two rounds of the thread.
            resend_seconds: A queued job is announced again after this time.
            backoff_seconds: Wait before the attempt after a lost worker; doubled with each.
        """
        self._sessions = sessions
        self._dispatcher = dispatcher
        self._interval_seconds = interval_seconds
        self._resend_seconds = resend_seconds
        self._backoff_seconds = backoff_seconds
        self.last_round_at = 0.0
        """Unix time of the last round that this process did; 0: none yet."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def start(self) -> None:
        """Run rounds in a thread until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after its current round."""
        self._stopping.set()
        self._thread.join()

    def run_once(self) -> Report:
        """Do one round; raises SQLAlchemyError when the database is away."""
        with unit_of_work(self._sessions) as work:
            if not queue.try_reconciler_lock(work.session):
                return Report(expired=0, announced=0)
            expired = queue.lock_expired_leases(work.session)
            for lost in expired:
                delay = self._backoff_seconds * 2**lost.budget_spent
                leases.release(
                    work.session,
                    Lease(lost.job_id, lost.attempt, lost.worker_id),
                    reason="lease_expired",
                    spends_budget=True,
                    delay_seconds=min(delay, LONGEST_BACKOFF_SECONDS),
                )
                log.warning("lease_expired", job_id=lost.job_id, attempt=lost.attempt)
            stop_overdue(work.session)
            due = queue.take_unannounced(work.session, resend_seconds=self._resend_seconds)
            queue.delete_old_keys(work.session, keep_seconds=KEEP_KEYS_SECONDS)
            work.after_commit.append(lambda: self._dispatcher.announce(due))
        self.last_round_at = time.time()
        return Report(expired=len(expired), announced=len(due))

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_seconds):
            try:
                self.run_once()
            except SQLAlchemyError as error:
                log.warning("reconciler_round_failed", cause=str(error))
            except Exception:
                # The thread must outlive anything: without it lost jobs stay lost.
                log.exception("reconciler_round_failed")
