"""Jobs as a tenant sees them: written, read, listed, asked to stop."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from service.db.base import Json
from service.db.clock import from_now
from service.ids import new_id
from service.jobs.lifecycle import JobState
from service.jobs.models import Job
from service.jobs.repository.events import add_event
from tandem_engine.contracts.spec import JobSpec


@dataclass(frozen=True)
class NewJob:
    """What a new row needs."""

    tenant_id: str
    spec: Json
    spec_sha256: str
    max_attempts: int
    name: str | None
    labels: Mapping[str, str]
    deadline_seconds: float | None = None
    parent_job_id: str | None = None

    @classmethod
    def from_spec(
        cls,
        spec: JobSpec,
        *,
        tenant_id: str,
        max_attempts: int,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        deadline_seconds: float | None = None,
        parent_job_id: str | None = None,
    ) -> Self:
        """Take a resolved specification; its hash is over sorted JSON without spaces."""
        document = spec.model_dump(mode="json")
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return cls(
            tenant_id=tenant_id,
            spec=document,
            spec_sha256=hashlib.sha256(canonical.encode()).hexdigest(),
            max_attempts=max_attempts,
            name=name,
            labels=labels or {},
            deadline_seconds=deadline_seconds,
            parent_job_id=parent_job_id,
        )


def add_job(session: Session, new: NewJob) -> Job:
    """Write a queued job and its first event. It counts as announced: its message is on the way."""
    job = Job(
        id=new_id("job"),
        tenant_id=new.tenant_id,
        parent_job_id=new.parent_job_id,
        deadline_at=None if new.deadline_seconds is None else from_now(new.deadline_seconds),
        name=new.name,
        labels=dict(new.labels),
        state=JobState.QUEUED,
        spec=new.spec,
        spec_sha256=new.spec_sha256,
        max_attempts=new.max_attempts,
        event_seq=1,
        dispatched_at=func.clock_timestamp(),
        dispatch_count=1,
    )
    session.add(job)
    session.flush()  # the event refers to the job, and the answer needs the database's times
    data = {"from": None, "to": JobState.QUEUED}
    add_event(session, job.id, seq=1, attempt=0, kind="state", data=data)
    session.refresh(job)
    return job


def find_job(
    session: Session, tenant_id: str, job_id: str, *, for_update: bool = False
) -> Job | None:
    """Return the tenant's job, None if there is none of that id."""
    statement = select(Job).where(Job.tenant_id == tenant_id, Job.id == job_id)
    if for_update:
        statement = statement.with_for_update()
    return session.scalars(statement.execution_options(populate_existing=True)).one_or_none()


def list_jobs(
    session: Session,
    tenant_id: str,
    *,
    state: JobState | None,
    before: tuple[datetime, str] | None,
    limit: int,
) -> Sequence[Job]:
    """Return jobs, newest first, older than the position `before` (time of creation, id)."""
    statement = select(Job).where(Job.tenant_id == tenant_id)
    if state is not None:
        statement = statement.where(Job.state == state)
    if before is not None:
        statement = statement.where(tuple_(Job.created_at, Job.id) < tuple_(*before))
    statement = statement.order_by(Job.created_at.desc(), Job.id.desc()).limit(limit)
    return session.scalars(statement).all()
