"""Tables of comparisons: the request, and which job fills each cell."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base, Json


class Comparison(Base):
    """One request to compare methods; its state is that of its cells' jobs."""

    __tablename__ = "comparisons"
    __table_args__ = (
        Index("ix_comparisons_tenant_id_created_at_id", "tenant_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str | None]
    labels: Mapped[Json]
    spec: Mapped[Json]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class ComparisonCell(Base):
    """One entry with one seed; a retry gives it another job."""

    __tablename__ = "comparison_cells"
    __table_args__ = (Index("ix_comparison_cells_job_id", "job_id"),)

    comparison_id: Mapped[str] = mapped_column(ForeignKey("comparisons.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    """Place in the order of running: seed by seed."""
    entry: Mapped[str]
    method: Mapped[str]
    seed: Mapped[int]
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    reused: Mapped[bool]
    """Whether the job was there before the comparison."""
