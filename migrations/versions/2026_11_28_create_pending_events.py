"""Create the receivers of events and the events that each has not been told yet.

A trigger queues events, so that the transaction that writes an event queues it too, whichever
release the writer is of. Without a receiver it writes nothing.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UTC = sa.TIMESTAMP(timezone=True)
NOW = sa.text("clock_timestamp()")

QUEUE = """
create function job_events_queue() returns trigger language plpgsql as $$
begin
  insert into pending_events (sink, job_id, seq)
    select name, new.job_id, new.seq from event_sinks order by name;
  return null;
end
$$
"""
QUEUE_TRIGGER = """
create trigger job_events_queue after insert on job_events
  for each row when (new.type in ('state', 'export')) execute function job_events_queue()
"""


def upgrade() -> None:
    # Waiting for a lock blocks every query behind it: give up early, run the migration again.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "event_sinks",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("switched_on_at", UTC, server_default=NOW, nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("retry_at", UTC),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_event_sinks")),
    )
    op.create_table(
        "pending_events",
        sa.Column("sink", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id", "seq"],
            ["job_events.job_id", "job_events.seq"],
            name=op.f("fk_pending_events_job_id_job_events"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sink", "position", name=op.f("pk_pending_events")),
    )
    op.execute(QUEUE)
    op.execute(QUEUE_TRIGGER)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("drop trigger job_events_queue on job_events")
    op.execute("drop function job_events_queue")
    op.drop_table("pending_events")
    op.drop_table("event_sinks")
