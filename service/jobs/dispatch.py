"""Sends the messages of committed jobs and remembers which were not sent."""

from collections.abc import Sequence
from typing import Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError

from service.db.session import Sessions, unit_of_work
from service.jobs.repository.queue import mark_unannounced
from service.task_queue import QueueUnavailableError

log = structlog.get_logger(__name__)


class Queue(Protocol):
    """Where messages go."""

    def send(self, job_id: str) -> None:
        """Announce a job; raises QueueUnavailableError."""


class Dispatcher:
    """Announces jobs; never raises, because the job exists whether or not anyone hears of it."""

    def __init__(self, sessions: Sessions, queue: Queue) -> None:
        """Take the queue to send to and the sessions to note failures with."""
        self._sessions = sessions
        self._queue = queue

    def announce(self, job_ids: Sequence[str]) -> None:
        """Send one message per job; what cannot be sent is left to the reconciler."""
        for position, job_id in enumerate(job_ids):
            try:
                self._queue.send(job_id)
            except QueueUnavailableError as error:
                # The next ones would fail in the same way, each after its own timeout.
                self._note_unsent(job_ids[position:], error)
                return

    def _note_unsent(self, job_ids: Sequence[str], cause: Exception) -> None:
        log.warning("queue_unavailable", job_ids=list(job_ids), cause=str(cause))
        try:
            with unit_of_work(self._sessions) as work:
                mark_unannounced(work.session, job_ids)
        except SQLAlchemyError:
            log.exception("unsent_message_not_noted", job_ids=list(job_ids))
