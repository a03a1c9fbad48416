"""Tables of jobs: the job, its attempts, trajectory, events, manifest and idempotency keys."""

from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base, Json
from service.jobs.lifecycle import LEASED, JobState


def _one_of(states: frozenset[JobState]) -> str:
    return ", ".join(f"'{state}'" for state in JobState if state in states)


class Job(Base):
    """One request to learn a mixture; the row is the only truth about who may write."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(f"state in ({_one_of(frozenset(JobState))})", name="state"),
        # A job without a lease time could never be found again when its worker dies.
        CheckConstraint(
            f"(state in ({_one_of(LEASED)})) = (lease_expires_at is not null) "
            "and (lease_owner is null) = (lease_expires_at is null)",
            name="lease",
        ),
        Index("ix_jobs_tenant_id_created_at_id", "tenant_id", "created_at", "id"),
        Index("ix_jobs_tenant_id_spec_sha256", "tenant_id", "spec_sha256"),
        Index("ix_jobs_queued", "run_after", postgresql_where=text("state = 'queued'")),
        Index(
            "ix_jobs_deadline_at",
            "deadline_at",
            postgresql_where=text("deadline_at is not null and finished_at is null"),
        ),
        Index(
            "ix_jobs_leased",
            "lease_expires_at",
            postgresql_where=text("lease_expires_at is not null"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    parent_job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"))
    """The job that this one is a copy of."""
    name: Mapped[str | None]
    labels: Mapped[Json]
    state: Mapped[str]
    spec: Mapped[Json]
    spec_sha256: Mapped[str]

    attempt: Mapped[int] = mapped_column(server_default="0")
    """Number of claims so far: the fencing token."""
    budget_spent: Mapped[int] = mapped_column(server_default="0")
    """Attempts that ended by a fault; a drain does not count."""
    max_attempts: Mapped[int]
    lease_owner: Mapped[str | None]
    lease_seconds: Mapped[float] = mapped_column(Double, server_default="60")
    lease_expires_at: Mapped[datetime | None]
    run_after: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    dispatched_at: Mapped[datetime | None]
    dispatch_count: Mapped[int] = mapped_column(server_default="0")

    phase: Mapped[str | None]
    phase_done: Mapped[int | None] = mapped_column(BigInteger)
    phase_total: Mapped[int | None] = mapped_column(BigInteger)
    phase_message: Mapped[str] = mapped_column(server_default="")

    epoch: Mapped[int] = mapped_column(server_default="1")
    """The attempt that wrote the newest trajectory points; a rewind raises it."""
    last_seq: Mapped[int] = mapped_column(BigInteger, server_default="0")
    last_step: Mapped[int] = mapped_column(BigInteger, server_default="0")
    episode: Mapped[int] = mapped_column(BigInteger, server_default="0")
    tokens: Mapped[int] = mapped_column(BigInteger, server_default="0")
    alpha: Mapped[list[float] | None] = mapped_column(ARRAY(Double))
    event_seq: Mapped[int] = mapped_column(BigInteger, server_default="0")

    result: Mapped[Json | None]
    error: Mapped[Json | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    """When the job is cancelled if it is not over."""


class JobAttempt(Base):
    """One claim of a job by a worker."""

    __tablename__ = "job_attempts"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    worker_id: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    reason: Mapped[str | None]
    rewound_to_step: Mapped[int | None] = mapped_column(BigInteger)


class TrajectoryRow(Base):
    """One episode in one wide row; `extra` holds the diagnostics of the contract's point."""

    __tablename__ = "trajectory_points"
    __table_args__ = (UniqueConstraint("job_id", "seq"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    episode: Mapped[int] = mapped_column(BigInteger)
    attempt: Mapped[int]
    seq: Mapped[int] = mapped_column(BigInteger)
    alpha: Mapped[list[float]] = mapped_column(ARRAY(Double))
    delta: Mapped[list[float]] = mapped_column(ARRAY(Double))
    extra: Mapped[Json]
    run: Mapped[int] = mapped_column(server_default="0")
    seed: Mapped[int] = mapped_column(server_default="0")
    restart: Mapped[int] = mapped_column(server_default="0")
    bounded: Mapped[bool] = mapped_column(server_default="true")


class JobEvent(Base):
    """Something that happened to a job; every change of state has one."""

    __tablename__ = "job_events"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    attempt: Mapped[int]
    type: Mapped[str]
    data: Mapped[Json]


class Manifest(Base):
    """Where the manifest of a succeeded job lies, relative to the job's folder."""

    __tablename__ = "manifests"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    path: Mapped[str]
    sha256: Mapped[str]
    target_tokens: Mapped[int] = mapped_column(BigInteger)
    planned_tokens: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class IdempotencyKey(Base):
    """The first answer to a request with an `Idempotency-Key`, written with the job itself."""

    __tablename__ = "idempotency_keys"

    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    status_code: Mapped[int]
    location: Mapped[str]
    body: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
