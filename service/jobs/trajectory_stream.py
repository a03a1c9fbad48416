"""A trajectory as server-sent events, from a cursor to the end of the job."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Self

import structlog
from anyio import to_thread
from pydantic_core import to_json
from sqlalchemy.exc import SQLAlchemyError

from service.db.session import Sessions, unit_of_work
from service.dependencies import Caller
from service.jobs import service, trajectory
from service.jobs.lifecycle import TERMINAL, JobState
from service.jobs.models import Job
from service.jobs.repository.trajectory import mark_of
from service.jobs.trajectory import Page, Query
from service.jobs.trajectory_columns import Layout, as_objects
from service.jobs.watching import Watcher

log = structlog.get_logger(__name__)

CURSOR_PATTERN = r"^\d{1,9}\.\d{1,18}$"
RETRY_MS = 3000
KEEP_ALIVE_SECONDS = 15.0
LONGEST_SECONDS = 3600.0
"""A stream ends after this time, so that its key is looked at again; the reader comes back."""
BATCH = 500


@dataclass(frozen=True)
class Cursor:
    """What a reader has: all that was written up to `seq`, as it was in `epoch`."""

    epoch: int
    seq: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `CURSOR_PATTERN` matches."""
        epoch, seq = text.split(".")
        return cls(int(epoch), int(seq))

    def __str__(self) -> str:
        return f"{self.epoch}.{self.seq}"


def is_at_the_end(job: Job, cursor: Cursor) -> bool:
    """Say whether a job is over and a reader has all of it."""
    complete = cursor.epoch >= job.epoch and cursor.seq >= job.last_seq
    return complete and JobState(job.state) in TERMINAL


@dataclass(frozen=True)
class Stream:
    """One reader of one job."""

    sessions: Sessions
    watcher: Watcher
    caller: Caller
    job_id: str
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS
    longest_seconds: float = LONGEST_SECONDS

    async def events(self, cursor: Cursor | None) -> AsyncIterator[bytes]:
        """Yield events; each read is a short transaction, and nothing is held in between."""
        end = time.monotonic() + self.longest_seconds
        yield f"retry: {RETRY_MS}\n\n".encode()
        state: str | None = None
        while not self._is_over(end):
            try:
                reading = partial(self._read, cursor)
                page = await to_thread.run_sync(reading, limiter=self.watcher.readers)
            except SQLAlchemyError as error:
                # The reader comes back with the id of the last event that it has.
                log.warning("stream_interrupted", cause=str(error).splitlines()[0])
                return
            job = page.job
            before = Cursor(job.epoch, 0) if cursor is None else cursor
            if page.rewind_to is not None:
                yield _rewind(page.rewind_to, job, before)
            if job.state != state:
                state = job.state
                yield _state(job)
            if page.points:
                yield _points(page)
            cursor = Cursor(job.epoch, before.seq if page.next_seq is None else page.next_seq)
            if page.has_more:
                continue
            if JobState(job.state) in TERMINAL:
                yield _event("end", {"state": job.state, "last_step": job.last_step})
                return
            mark = mark_of(job)
            del page, job  # an idle stream keeps no points
            while await self.watcher.changed(self.job_id, mark, self.keep_alive_seconds) is None:
                if self._is_over(end):
                    return
                yield b": keep-alive\n\n"

    def _is_over(self, end: float) -> bool:
        return self.watcher.closed or time.monotonic() >= end

    def _read(self, cursor: Cursor | None) -> Page:
        after, epoch = (0, None) if cursor is None else (cursor.seq, cursor.epoch)
        with unit_of_work(self.sessions) as work:
            job = service.get_job(work.session, self.caller, self.job_id)
            query = Query("seq", after, BATCH, epoch)
            return trajectory.read_page(work.session, job, query)


def _points(page: Page) -> bytes:
    objects = as_objects(page.points, Layout.of(page.job))
    epoch = page.job.epoch
    return b"".join(
        _event("point", row, Cursor(epoch, point.seq))
        for point, row in zip(page.points, objects, strict=True)
    )


def _rewind(to_step: int, job: Job, before: Cursor) -> bytes:
    # With its id the reader is in the new epoch, and has not moved.
    return _event("rewind", {"to_step": to_step, "epoch": job.epoch}, Cursor(job.epoch, before.seq))


def _state(job: Job) -> bytes:
    layout = Layout.of(job)
    return _event(
        "state",
        {
            "state": job.state,
            "epoch": job.epoch,
            "last_step": job.last_step,
            "last_seq": job.last_seq,
            "domains": layout.domains,
            "targets": layout.targets,
        },
    )


def _event(kind: str, data: object, cursor: Cursor | None = None) -> bytes:
    # An event without an id leaves the reader's last id as it is.
    line = b"" if cursor is None else f"id: {cursor}\n".encode()
    return b"event: %s\n%sdata: %s\n\n" % (kind.encode(), line, to_json(data, inf_nan_mode="null"))
