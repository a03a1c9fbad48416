"""Let jobs be paused, tried again, copied and given a deadline.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UTC = sa.TIMESTAMP(timezone=True)

OLD = """
    ('queued', 'starting'), ('queued', 'cancelled'),
    ('starting', 'running'), ('starting', 'queued'),
    ('starting', 'cancelling'), ('starting', 'failed'),
    ('running', 'succeeded'), ('running', 'failed'),
    ('running', 'queued'), ('running', 'cancelling'),
    ('cancelling', 'cancelled'), ('cancelling', 'succeeded'), ('cancelling', 'failed')
"""
NEW = """
    ('queued', 'starting'), ('queued', 'paused'), ('queued', 'cancelled'),
    ('starting', 'running'), ('starting', 'queued'), ('starting', 'pausing'),
    ('starting', 'cancelling'), ('starting', 'failed'),
    ('running', 'succeeded'), ('running', 'failed'), ('running', 'queued'),
    ('running', 'pausing'), ('running', 'cancelling'),
    ('pausing', 'paused'), ('pausing', 'cancelling'),
    ('pausing', 'succeeded'), ('pausing', 'failed'),
    ('paused', 'queued'), ('paused', 'cancelled'),
    ('cancelling', 'cancelled'), ('cancelling', 'succeeded'), ('cancelling', 'failed'),
    ('failed', 'queued'), ('cancelled', 'queued')
"""
GUARD = """
create or replace function jobs_guard_transition() returns trigger language plpgsql as $$
begin
  if new.state <> old.state and (old.state, new.state) not in ({pairs}) then
    raise exception 'a job cannot go from % to %', old.state, new.state
      using errcode = 'check_violation', constraint = 'jobs_transition';
  end if;
  if new.attempt < old.attempt then
    raise exception 'the attempt of a job never falls'
      using errcode = 'check_violation', constraint = 'jobs_attempt';
  end if;
  return new;
end
$$
"""
STATES = "'queued', 'starting', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled'"
LEASE = (
    "(state in ({held})) = (lease_expires_at is not null) "
    "and (lease_owner is null) = (lease_expires_at is null)"
)


def upgrade() -> None:
    # Waiting for a lock blocks every query behind it: give up early, run the migration again.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("jobs", sa.Column("parent_job_id", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("deadline_at", UTC, nullable=True))
    op.create_foreign_key(
        op.f("fk_jobs_parent_job_id_jobs"), "jobs", "jobs", ["parent_job_id"], ["id"]
    )
    op.create_index(
        "ix_jobs_deadline_at",
        "jobs",
        ["deadline_at"],
        postgresql_where=sa.text("deadline_at is not null and finished_at is null"),
    )
    _constrain(f"{STATES}, 'pausing', 'paused'", "'starting', 'running', 'pausing', 'cancelling'")
    op.execute(GUARD.format(pairs=NEW))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    # The release before knows no pause: what is laid aside waits, what is about to be goes on.
    op.execute("update jobs set state = 'queued', dispatched_at = null where state = 'paused'")
    op.execute("alter table jobs disable trigger jobs_guard_transition")
    op.execute("update jobs set state = 'running' where state = 'pausing'")
    op.execute("alter table jobs enable trigger jobs_guard_transition")
    op.execute(GUARD.format(pairs=OLD))
    _constrain(STATES, "'starting', 'running', 'cancelling'")
    op.drop_index("ix_jobs_deadline_at", "jobs")
    op.drop_constraint(op.f("fk_jobs_parent_job_id_jobs"), "jobs", type_="foreignkey")
    op.drop_column("jobs", "deadline_at")
    op.drop_column("jobs", "parent_job_id")


def _constrain(states: str, held: str) -> None:
    op.drop_constraint(op.f("ck_jobs_state"), "jobs", type_="check")
    op.drop_constraint(op.f("ck_jobs_lease"), "jobs", type_="check")
    op.create_check_constraint(op.f("ck_jobs_state"), "jobs", f"state in ({states})")
    op.create_check_constraint(op.f("ck_jobs_lease"), "jobs", LEASE.format(held=held))
