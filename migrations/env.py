"""Runs revisions on the connection that `service.db.migrate` hands over."""

from alembic import context
from sqlalchemy import Connection

from service.db.tables import metadata


def run() -> None:
    """Run what was asked for, one transaction per revision."""
    connection = context.config.attributes["connection"]
    if not isinstance(connection, Connection):
        raise TypeError("call service.db.migrate or `python -m migrations`, not alembic itself")
    context.configure(
        connection=connection,
        target_metadata=metadata(),
        transaction_per_migration=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
