"""The database engine: pool, statement timeout, application name."""

from sqlalchemy import Engine, create_engine


def create_database_engine(
    url: str,
    *,
    application_name: str,
    pool_size: int = 10,
    statement_timeout_seconds: float = 30.0,
    connect_timeout_seconds: int = 5,
) -> Engine:
    """Return an engine; it connects when first used.

    Args:
        url: `postgresql+psycopg://...`; plain `postgresql://` is taken as the same.
        application_name: Shown in `pg_stat_activity`.
        pool_size: Connections kept open; as many again may be opened under load.
        statement_timeout_seconds: The server ends a statement that takes longer.
        connect_timeout_seconds: How long a connection attempt may take.
    """
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            url = "postgresql+psycopg://" + url.removeprefix(scheme)
    milliseconds = int(statement_timeout_seconds * 1000)
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        # A restart of the server must cost a reconnect, not an error for each pooled connection.
        pool_pre_ping=True,
        connect_args={
            "application_name": application_name,
            "connect_timeout": connect_timeout_seconds,
            "options": f"-c statement_timeout={milliseconds} -c timezone=UTC",
        },
    )
