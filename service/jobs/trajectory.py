"""Pages of a trajectory, as columns in JSON or as CSV.

A resumed attempt writes steps again, so a reader hands back the `epoch` it knows beside its
`after_step`; if points that it holds were rewritten since, the answer says to which step to go
back (`rewind`) and its points start there.
"""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json
from sqlalchemy.orm import Session

from service.jobs.lifecycle import TERMINAL, JobState
from service.jobs.models import Job
from service.jobs.repository.trajectory import PointRow, read_points, rewound_since
from service.jobs.views import domain_names, target_names
from tandem_engine.contracts.records import TrajectoryPoint

DEFAULT_LIMIT = 1000
MAX_LIMIT = 10_000
POLL_AFTER_MS = 2000

FIELDS = [name for name in TrajectoryPoint.model_fields if name != "type"]
PER_DOMAIN = (
    *("alpha", "answer", "tried", "delta", "train_loss", "validation_loss", "gap", "epochs"),
)
PER_TARGET = "target_loss"
SCALARS = [name for name in FIELDS if name not in {*PER_DOMAIN, PER_TARGET}]


@dataclass(frozen=True)
class Query:
    """What a reader asks for."""

    after_step: int
    limit: int
    epoch: int | None
    csv: bool


@dataclass(frozen=True)
class Page:
    """What the reader gets."""

    job: Job
    points: Sequence[PointRow]
    rewind_to: int | None
    last_step: int
    has_more: bool

    @property
    def poll_after_ms(self) -> int | None:
        """When to ask again; None when the trajectory is complete."""
        if self.has_more:
            return 0
        return None if JobState(self.job.state) in TERMINAL else POLL_AFTER_MS


def etag(job: Job, query: Query) -> str:
    """Return the tag of a page; it needs no point to be read."""
    asked = f"{query.after_step} {query.limit} {query.epoch} {query.csv}"
    digest = hashlib.sha256(asked.encode()).hexdigest()[:16]
    return f'W/"{job.epoch}-{job.last_seq}-{job.state}-{digest}"'


def read_page(session: Session, job: Job, query: Query) -> Page:
    """Read the points that `query` asks for."""
    rewind_to = _rewind_to(session, job, query)
    start = query.after_step if rewind_to is None else rewind_to
    points = read_points(session, job.id, after_step=start, limit=query.limit + 1)
    shown = points[: query.limit]
    return Page(
        job=job,
        points=shown,
        rewind_to=rewind_to,
        last_step=shown[-1].step if shown else start,
        has_more=len(points) > len(shown),
    )


def as_json(page: Page) -> bytes:
    """Write a page as columns."""
    job = page.job
    document = {
        "object": "trajectory",
        "job_id": job.id,
        "domains": domain_names(job),
        "epoch": job.epoch,
        "rewind": None if page.rewind_to is None else {"to_step": page.rewind_to},
        "columns": {name: [_value(point, name) for point in page.points] for name in FIELDS},
        "last_step": page.last_step,
        "has_more": page.has_more,
        "job_state": job.state,
        "poll_after_ms": page.poll_after_ms,
    }
    return to_json(document)


def as_csv(page: Page) -> str:
    """Write a page as one row per episode; `alpha:<domain>` and so on are columns."""
    names, targets = domain_names(page.job), target_names(page.job)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        [
            *SCALARS,
            *(f"{field}:{name}" for field in PER_DOMAIN for name in names),
            *(f"{PER_TARGET}:{name}" for name in targets),
        ]
    )
    for point in page.points:
        row = [_value(point, name) for name in SCALARS]
        for field in PER_DOMAIN:
            # Points of an older release lack what is newer than they.
            row += _value(point, field) or [None] * len(names)
        row += _value(point, PER_TARGET) or [None] * len(targets)
        writer.writerow(["" if value is None else value for value in row])
    return buffer.getvalue()


def _rewind_to(session: Session, job: Job, query: Query) -> int | None:
    # Whoever stands after the end saw points that are gone, whatever epoch they know of.
    if query.after_step > job.last_step:
        beyond: int | None = job.last_step
    else:
        beyond = None
    if query.epoch is None or query.epoch >= job.epoch:
        return beyond
    rewound = rewound_since(session, job.id, query.epoch)
    if rewound is None or rewound >= query.after_step:
        return beyond
    return rewound


def _value(point: PointRow, name: str) -> Any:
    if name in PointRow._fields and name != "extra":
        return getattr(point, name)
    return point.extra.get(name)
