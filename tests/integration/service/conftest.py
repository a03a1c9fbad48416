"""The application over a real database and queue, and jobs to try it with."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from support.api import Api
from support.jobs import hold_job, insert_job

from service.app import create_app
from service.auth.create_key import create_key
from service.db.session import Sessions, unit_of_work
from service.jobs.leases import Lease
from service.jobs.models import Job
from service.settings import Settings

PEPPER = "test-pepper"
NEVER_SECONDS = 3600.0


@pytest.fixture
def new_job(sessions: Sessions) -> Callable[..., str]:
    """Insert a queued job; returns its id."""

    def insert(*, max_attempts: int = 3) -> str:
        with unit_of_work(sessions) as work:
            return insert_job(work.session, max_attempts=max_attempts)

    return insert


@pytest.fixture
def held_job(sessions: Sessions, new_job: Callable[..., str]) -> Callable[..., Lease]:
    """Insert a job that a worker runs; returns its lease."""

    def hold(*, worker: str = "worker-a", max_attempts: int = 3) -> Lease:
        job_id = new_job(max_attempts=max_attempts)
        return hold_job(sessions, job_id, worker)

    return hold


@pytest.fixture
def read_job(sessions: Sessions) -> Callable[[str], Job]:
    def read(job_id: str) -> Job:
        with unit_of_work(sessions) as work:
            return work.session.scalars(select(Job).where(Job.id == job_id)).one()

    return read


@pytest.fixture
def settings(database_url: str, valkey_url: str, tmp_path: Path) -> Settings:
    """Settings under which the reconciler's thread does nothing by itself."""
    return Settings(
        database_url=database_url,
        redis_url=valkey_url,
        data_dir=tmp_path / "artifacts",
        file_roots=str(tmp_path),
        key_pepper=PEPPER,  # type: ignore[arg-type]  # pydantic makes the secret
        reconcile_seconds=NEVER_SECONDS,
    )


@pytest.fixture
def api(settings: Settings, sessions: Sessions, tmp_path: Path) -> Iterator[Api]:
    """The application, started; its client sends a valid key."""
    key = create_key(sessions, name="test", tenant="one", pepper=PEPPER)
    app = create_app(settings)
    with TestClient(app, headers={"Authorization": f"Bearer {key}"}) as client:
        yield Api(client, app.state.context, tmp_path)
