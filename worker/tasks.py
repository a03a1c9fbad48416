"""The worker's one task."""

from functools import cache

from celery import shared_task

from service.db.engine import create_database_engine
from service.db.session import create_sessions
from service.settings import read_settings
from service.task_queue import RUN_JOB
from worker.drain import DRAIN
from worker.runner import Workplace, run_job


@shared_task(name=RUN_JOB, ignore_result=True)
def run(job_id: str) -> None:
    """Run a job; a second delivery of the same message is a no-op."""
    run_job(job_id, _workplace())


@cache
def _workplace() -> Workplace:
    # Made by the first task, so in the pool's process: a connection does not survive a fork.
    settings = read_settings()
    engine = create_database_engine(
        settings.database_url,
        application_name="tandem-worker",
        pool_size=4,
        statement_timeout_seconds=settings.statement_timeout_seconds,
    )
    return Workplace(settings, create_sessions(engine), draining=DRAIN.is_set)
