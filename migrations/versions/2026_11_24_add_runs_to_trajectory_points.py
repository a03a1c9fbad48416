"""Say for each trajectory point which of the job's runs it belongs to.

The defaults are those of a job with one run, so that the release before still writes points.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLE = "trajectory_points"


def upgrade() -> None:
    # Waiting for a lock blocks every query behind it: give up early, run the migration again.
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name in ("run", "seed", "restart"):
        op.add_column(TABLE, sa.Column(name, sa.Integer(), server_default="0", nullable=False))
    op.add_column(TABLE, sa.Column("bounded", sa.Boolean(), server_default="true", nullable=False))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name in ("bounded", "restart", "seed", "run"):
        op.drop_column(TABLE, name)
