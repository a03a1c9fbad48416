"""A real PostgreSQL and a real Valkey for the session; a fresh migrated database per test."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import structlog
from sqlalchemy import Engine, create_engine, make_url, text

from embedded.postgres import start_postgres, stop_postgres
from embedded.valkey import start_valkey, stop_valkey
from service.db import migrate
from service.db.engine import create_database_engine
from service.db.session import Sessions, create_sessions

TEMPLATE = "tandem_template"


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    # The default draws tracebacks in colour, which takes seconds.
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    )


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the test session's own server."""
    directory = tmp_path_factory.mktemp("postgres")
    yield start_postgres(directory)
    stop_postgres(directory)


@pytest.fixture(scope="session")
def valkey_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("valkey")
    yield directory
    stop_valkey(directory)


@pytest.fixture
def valkey_url(valkey_directory: Path) -> str:
    """URL of the test session's Valkey; started again if a test stopped it."""
    return start_valkey(valkey_directory)


def _administer(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()


def _named(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def template_database(postgres_url: str) -> str:
    """Name of a database at the newest revision, copied for every test."""
    _administer(postgres_url, f"create database {TEMPLATE}")
    engine = create_database_engine(_named(postgres_url, TEMPLATE), application_name="template")
    try:
        migrate.upgrade(engine)
    finally:
        engine.dispose()
    return TEMPLATE


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """URL of a new database without tables."""
    name = f"empty_{uuid4().hex}"
    _administer(postgres_url, f"create database {name}")
    yield _named(postgres_url, name)
    _administer(postgres_url, f"drop database {name} with (force)")


@pytest.fixture
def database_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """URL of a new database with all tables."""
    name = f"test_{uuid4().hex}"
    _administer(postgres_url, f"create database {name} template {template_database}")
    yield _named(postgres_url, name)
    _administer(postgres_url, f"drop database {name} with (force)")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_database_engine(database_url, application_name="test")
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(engine: Engine) -> Sessions:
    return create_sessions(engine)
