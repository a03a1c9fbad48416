"""Who waits for news of a job: one query for all of them, twice a second.

A waiter is a future, not a thread and not a connection, so thousands of idle readers cost memory
only. Nobody waits: nothing is asked.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import anyio
import structlog
from fastapi import Depends, Request
from sqlalchemy.exc import SQLAlchemyError

from service.db.session import Sessions, unit_of_work
from service.jobs.repository.trajectory import JobMark, read_marks

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.5
READERS = 4
"""Streams that read at the same time: the others' requests need threads and connections too."""


@dataclass(frozen=True, eq=False)
class _Waiter:
    known: JobMark
    round: int
    found: asyncio.Future[JobMark | None]


class Watcher:
    """Tells readers when a job has changed; belongs to the event loop that makes it."""

    def __init__(self, sessions: Sessions, *, poll_seconds: float = POLL_SECONDS) -> None:
        """Prepare; nothing runs before `start`."""
        self._sessions = sessions
        self._poll_seconds = poll_seconds
        self._waiting: dict[str, set[_Waiter]] = {}
        self._somebody = asyncio.Event()
        self._round = 0
        self._task: asyncio.Task[None] | None = None
        self.readers = anyio.CapacityLimiter(READERS)
        self.closed = False

    @property
    def waiters(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    def start(self) -> None:
        """Look for news in a task until `stop`."""
        self._task = asyncio.create_task(self._run(), name="watcher")

    def close(self) -> None:
        """Send everybody away who waits, and whoever comes later."""
        self.closed = True
        self._somebody.set()
        for waiters in self._waiting.values():
            for waiter in waiters:
                _tell(waiter, None)

    async def stop(self) -> None:
        """Close, and end the task after its current round."""
        self.close()
        if self._task is not None:
            await self._task

    async def changed(self, job_id: str, known: JobMark, seconds: float) -> JobMark | None:
        """Wait until a job is not as `known` any more; None after `seconds` or when it closes.

        Args:
            job_id: A job that exists.
            known: How the caller has just read it.
            seconds: How long to wait.
        """
        if self.closed:
            return None
        # The round that is under way may have read the job before the caller did.
        waiter = _Waiter(known, self._round, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(job_id, set()).add(waiter)
        self._somebody.set()
        try:
            async with asyncio.timeout(seconds):
                return await waiter.found
        except TimeoutError:
            return None
        finally:
            waiters = self._waiting[job_id]
            waiters.discard(waiter)
            if not waiters:
                del self._waiting[job_id]

    async def _run(self) -> None:
        while not self.closed:
            if not self._waiting:
                self._somebody.clear()
                await self._somebody.wait()
                continue
            self._round += 1
            try:
                self._announce(await asyncio.to_thread(self._read, tuple(self._waiting)))
            except SQLAlchemyError as error:
                log.warning("watching_failed", cause=str(error).splitlines()[0])
            except Exception:
                # The task must outlive anything: without it nobody hears of anything.
                log.exception("watching_failed")
            await asyncio.sleep(self._poll_seconds)

    def _read(self, job_ids: tuple[str, ...]) -> Mapping[str, JobMark]:
        with unit_of_work(self._sessions) as work:
            return read_marks(work.session, job_ids)

    def _announce(self, marks: Mapping[str, JobMark]) -> None:
        for job_id, mark in marks.items():
            for waiter in self._waiting.get(job_id, ()):
                if waiter.round < self._round and waiter.known != mark:
                    _tell(waiter, mark)


def get_watcher(request: Request) -> Watcher:
    """Return the application's watcher."""
    watcher = request.app.state.watcher
    if not isinstance(watcher, Watcher):
        raise TypeError("the application was not started: its lifespan makes the watcher")
    return watcher


WatcherDep = Annotated[Watcher, Depends(get_watcher)]


def _tell(waiter: _Waiter, mark: JobMark | None) -> None:
    if not waiter.found.done():
        waiter.found.set_result(mark)
