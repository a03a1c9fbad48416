"""Delivers a sink's queued events: in order, at least once, apart from every request and job."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from service.db.base import Json
from service.db.session import Sessions, unit_of_work
from service.notifications import repository
from service.notifications.occurrences import Occurrence
from service.notifications.receiver import Answer
from service.notifications.repository import Pending, SinkLock

log = structlog.get_logger(__name__)

BATCH = 100
POLL_SECONDS = 1.0
OUTAGE_SECONDS = 10.0
FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 300.0
_STOP_SECONDS = 15.0


class Posts(Protocol):
    """Where documents go."""

    def post(self, document: Json) -> Answer:
        """Send one; the answer says what is to become of the event."""

    def close(self) -> None:
        """Close the connections."""


@dataclass(frozen=True)
class Sink:
    """A kind of receiver: its name, the lock of its deliveries, what it is told of an event."""

    name: str
    lock: SinkLock
    render: Callable[[Occurrence], Sequence[Json]]


class Courier:
    """Drains the queue of one sink, in one process at a time; every process may try."""

    def __init__(
        self,
        sessions: Sessions,
        sink: Sink,
        receiver: Posts | None,
        *,
        poll_seconds: float = POLL_SECONDS,
        first_backoff_seconds: float = FIRST_BACKOFF_SECONDS,
        longest_backoff_seconds: float = LONGEST_BACKOFF_SECONDS,
    ) -> None:
        """Prepare; nothing runs before `start` or `run_once`.

        Args:
            sessions: The database.
            sink: What is delivered.
            receiver: Where to; None switches the sink off: its queue is emptied and stays empty.
            poll_seconds: Time between two looks at the queue.
            first_backoff_seconds: Wait after a failure; doubled with each that follows.
            longest_backoff_seconds: The wait grows no further.
        """
        self._sessions, self._sink, self._receiver = sessions, sink, receiver
        self._poll_seconds = poll_seconds
        self._first_backoff_seconds = first_backoff_seconds
        self._longest_backoff_seconds = longest_backoff_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"courier-{sink.name}", daemon=True)

    def start(self) -> None:
        """Deliver in a thread until `stop`; a sink that is off needs one round."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the delivery that is under way."""
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)
        if self._receiver is not None:
            self._receiver.close()

    def run_once(self) -> int:
        """Deliver what is queued and due; returns how many events left the queue.

        Raises:
            SQLAlchemyError: the database is away; what was not noted is delivered again.
        """
        if self._receiver is None:
            with unit_of_work(self._sessions) as work:
                repository.switch_off(work.session, self._sink.name)
            return 0
        # The guard's transaction holds the lock and nothing else: no row, no snapshot.
        with unit_of_work(self._sessions) as guard:
            if not repository.try_sink_lock(guard.session, self._sink.lock):
                return 0
            return self._drain(guard.session, self._receiver)

    def _drain(self, guard: Session, receiver: Posts) -> int:
        settled = 0
        while not self._stopping.is_set():
            batch = self._read_batch()
            for pending in batch:
                if self._stopping.is_set() or not self._deliver(guard, receiver, pending):
                    return settled
                settled += 1
            if len(batch) < BATCH:
                break
        return settled

    def _read_batch(self) -> Sequence[Pending]:
        with unit_of_work(self._sessions) as work:
            if repository.switch_on(work.session, self._sink.name):
                log.info("event_sink_switched_on", sink=self._sink.name)
            if not repository.is_due(work.session, self._sink.name):
                return []
            return repository.read_pending(work.session, self._sink.name, limit=BATCH)

    def _deliver(self, guard: Session, receiver: Posts, pending: Pending) -> bool:
        """Send one event in no transaction, then note it; False if the sink must wait."""
        event = {"job_id": pending.occurrence.job_id, "seq": pending.occurrence.seq}
        for document in self._documents(pending.occurrence):
            # Without the lock another process may be sending the same.
            repository.require_connection(guard)
            answer = receiver.post(document)
            if answer == "away":
                log.warning("event_delayed", sink=self._sink.name, **event)
                self._postpone()
                return False
            if answer == "refused":
                log.error("event_refused", sink=self._sink.name, **event)
        with unit_of_work(self._sessions) as work:
            repository.settle(work.session, self._sink.name, pending.position)
        return True

    def _documents(self, occurrence: Occurrence) -> Sequence[Json]:
        try:
            return self._sink.render(occurrence)
        except Exception:
            # It would fail in the same way each time and hold up everything behind it.
            event = {"job_id": occurrence.job_id, "seq": occurrence.seq}
            log.exception("event_not_rendered", sink=self._sink.name, **event)
            return []

    def _postpone(self) -> None:
        with unit_of_work(self._sessions) as work:
            repository.postpone(
                work.session,
                self._sink.name,
                first=self._first_backoff_seconds,
                longest=self._longest_backoff_seconds,
            )

    def _run(self) -> None:
        while not self._stopping.is_set():
            pause = self._poll_seconds
            try:
                self.run_once()
                if self._receiver is None:
                    return
            except SQLAlchemyError as error:
                log.warning("courier_round_failed", sink=self._sink.name, cause=str(error))
                pause = OUTAGE_SECONDS
            except Exception:
                # The thread must outlive anything: without it nothing is delivered.
                log.exception("courier_round_failed", sink=self._sink.name)
                pause = OUTAGE_SECONDS
            self._stopping.wait(pause)
