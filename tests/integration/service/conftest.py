"""Jobs in the database, and points to write to them."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from support.jobs import insert_job

from service.db.session import Sessions, unit_of_work
from service.jobs import leases
from service.jobs.leases import Lease
from service.jobs.models import Job


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
        with unit_of_work(sessions) as work:
            claim = leases.claim(work.session, job_id, worker)
            assert claim is not None
            leases.mark_running(work.session, claim.lease, "learning")
        return claim.lease

    return hold


@pytest.fixture
def read_job(sessions: Sessions) -> Callable[[str], Job]:
    def read(job_id: str) -> Job:
        with unit_of_work(sessions) as work:
            return work.session.scalars(select(Job).where(Job.id == job_id)).one()

    return read
