"""Tables of deliveries: which receivers are on, and what each has not been told yet."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKeyConstraint, Identity, func
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base


class EventSink(Base):
    """A receiver that is switched on; while there is a row, the database queues events for it."""

    __tablename__ = "event_sinks"

    name: Mapped[str] = mapped_column(primary_key=True)
    switched_on_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    failures: Mapped[int] = mapped_column(server_default="0")
    """Deliveries that failed one after another."""
    retry_at: Mapped[datetime | None]
    """Nothing is sent before; null when the last delivery succeeded."""


class PendingEvent(Base):
    """An event that a sink has not been told; written by a trigger with the event itself."""

    __tablename__ = "pending_events"
    __table_args__ = (
        ForeignKeyConstraint(
            ["job_id", "seq"], ["job_events.job_id", "job_events.seq"], ondelete="CASCADE"
        ),
    )

    # Without a foreign key to the sink: switching one off must never wait for a job's transaction.
    sink: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    """Order of delivery. It may become visible late, so it is never used as a cursor."""
    job_id: Mapped[str]
    seq: Mapped[int] = mapped_column(BigInteger)
