"""What a reader gets of a trajectory: a page after a cursor, or all of it, piece by piece.

There are two cursors. `after_step` follows the steps of training; `after_seq` follows the order in
which points were written. A resumed attempt writes steps again, so a reader hands back the `epoch`
that it knows beside either; if points were rewritten since, the answer says to which step to go
back (`rewind`). By steps, its points start there; by seq, they are those that were written since.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pydantic_core import to_json
from sqlalchemy.orm import Session

from service.db.session import Sessions, unit_of_work
from service.jobs import trajectory_sampling as sampling
from service.jobs.lifecycle import TERMINAL, JobState
from service.jobs.models import Job
from service.jobs.repository.trajectory import (
    Order,
    Place,
    PointRow,
    Span,
    find_end,
    read_alphas,
    read_chosen,
    read_span,
    rewound_since,
)
from service.jobs.trajectory_columns import FIELDS, column
from service.jobs.trajectory_formats import Format
from service.jobs.views import domain_names, target_names

DEFAULT_LIMIT = 1000
MAX_LIMIT = 10_000
POLL_AFTER_MS = 2000
PIECE = 2000
"""Points that are in memory at a time when all of them are sent."""


@dataclass(frozen=True)
class Query:
    """What a reader asks for; without a limit it is all of it."""

    order: Order
    after: int
    limit: int | None
    epoch: int | None
    format: Format = Format.JSON
    max_points: int | None = None


@dataclass(frozen=True)
class Page:
    """What the reader gets: where it begins and ends, and its points if they were read."""

    job: Job
    span: Span
    rewind_to: int | None
    end: Place | None
    has_more: bool
    chosen: Sequence[int] | None = None
    points: Sequence[PointRow] = ()

    @property
    def last_step(self) -> int:
        """The step to go on after."""
        if self.end is not None:
            return self.end.step
        return self.span.after if self.span.order == "step" else self.job.last_step

    @property
    def next_seq(self) -> int | None:
        """The seq to go on after; None in the middle of a trajectory that is read by steps."""
        if not self.has_more:
            return self.job.last_seq
        return self.end.seq if self.end is not None and self.span.order == "seq" else None

    @property
    def is_news(self) -> bool:
        """Whether the reader learns anything from it."""
        return self.end is not None or self.rewind_to is not None or self.poll_after_ms is None

    @property
    def poll_after_ms(self) -> int | None:
        """When to ask again; None when the trajectory is complete."""
        if self.has_more:
            return 0
        return None if JobState(self.job.state) in TERMINAL else POLL_AFTER_MS


def etag(job: Job, query: Query) -> str:
    """Return the tag of a page; it needs no point to be read."""
    asked = f"{query.order} {query.after} {query.limit} {query.epoch} {query.format}"
    digest = hashlib.sha256(f"{asked} {query.max_points}".encode()).hexdigest()[:16]
    return f'W/"{job.epoch}-{job.last_seq}-{job.last_step}-{job.state}-{digest}"'


def read_page(session: Session, job: Job, query: Query) -> Page:
    """Read the points that `query` asks for, `MAX_LIMIT` at most."""
    limit = min(query.limit or DEFAULT_LIMIT, MAX_LIMIT)
    if query.max_points is not None:
        page = open_page(session, job, query)
        return replace(page, points=read_chosen(session, page.span, page.chosen or ()))
    span, rewind_to = _begin(session, job, query)
    points = read_span(session, span, limit + 1)
    shown = points[:limit]
    end = Place(shown[-1].step, shown[-1].seq) if shown else None
    return Page(job, span, rewind_to, end, has_more=len(points) > limit, points=shown)


def open_page(session: Session, job: Job, query: Query) -> Page:
    """Find where a page ends and which points it has, without reading them: see `pieces`."""
    span, rewind_to = _begin(session, job, query)
    if query.max_points is None:
        end, has_more = find_end(session, span, query.limit)
        if end is not None:
            span = replace(span, until=end.step if span.order == "step" else end.seq)
        return Page(job, span, rewind_to, end, has_more)
    places, moves = sampling.movements(read_alphas(session, span, PIECE))
    chosen = [int(places[index]) for index in sampling.choose(moves, query.max_points)]
    end, _ = find_end(session, span, None) if chosen else (None, False)
    return Page(job, span, rewind_to, end, has_more=False, chosen=chosen)


def pieces(sessions: Sessions, page: Page) -> Iterator[Sequence[PointRow]]:
    """Yield the points of an open page; between two pieces no connection is held."""
    if page.chosen is not None:
        for start in range(0, len(page.chosen), PIECE):
            with unit_of_work(sessions) as work:
                points = read_chosen(work.session, page.span, page.chosen[start : start + PIECE])
            yield points
        return
    span = page.span
    while page.end is not None:
        with unit_of_work(sessions) as work:
            points = read_span(work.session, span, PIECE)
        if points:
            yield points
        if len(points) < PIECE:
            return
        last = points[-1]
        span = replace(span, after=last.step if span.order == "step" else last.seq)


def as_json(page: Page) -> bytes:
    """Write a page as columns."""
    job = page.job
    document = {
        "object": "trajectory",
        "job_id": job.id,
        "domains": domain_names(job),
        "targets": target_names(job),
        "epoch": job.epoch,
        "rewind": None if page.rewind_to is None else {"to_step": page.rewind_to},
        "columns": {name: column(page.points, name) for name in FIELDS},
        "last_step": page.last_step,
        "next_seq": page.next_seq,
        "last_seq": job.last_seq,
        "has_more": page.has_more,
        "job_state": job.state,
        "poll_after_ms": page.poll_after_ms,
    }
    return to_json(document, inf_nan_mode="null")


def _begin(session: Session, job: Job, query: Query) -> tuple[Span, int | None]:
    if query.order == "seq":
        rewind_to = _rewind_by_seq(session, job, query)
        return Span(job.id, "seq", query.after, job.last_seq), rewind_to
    rewind_to = _rewind_by_step(session, job, query)
    after = query.after if rewind_to is None else rewind_to
    return Span(job.id, "step", after, job.last_seq), rewind_to


def _rewind_by_step(session: Session, job: Job, query: Query) -> int | None:
    # Whoever stands after the end saw points that are gone, whatever epoch they know of.
    if query.after > job.last_step:
        beyond: int | None = job.last_step
    else:
        beyond = None
    if query.epoch is None or query.epoch >= job.epoch:
        return beyond
    rewound = rewound_since(session, job.id, query.epoch, until=job.epoch)
    if rewound is None or rewound >= query.after:
        return beyond
    return rewound


def _rewind_by_seq(session: Session, job: Job, query: Query) -> int | None:
    # What was written again has a new seq and comes anyway; what it replaces has to be forgotten.
    if query.after == 0 or query.epoch is None or query.epoch >= job.epoch:
        return None
    return rewound_since(session, job.id, query.epoch, until=job.epoch)
