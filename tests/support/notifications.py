"""What tests of deliveries share: a job's life, what a receiver was told, what is left."""

import threading
from collections.abc import Callable, Sequence

from sqlalchemy import func, select

from service.db.base import Json
from service.db.session import Sessions, unit_of_work
from service.jobs import leases
from service.notifications.courier import Courier
from service.notifications.models import PendingEvent
from support.jobs import result_record

NewJob = Callable[..., str]
MakeCourier = Callable[..., Courier]
LIFE = ["queued", "starting", "running", "succeeded"]


def live(sessions: Sessions, job_id: str) -> None:
    """Take a queued job through its life."""
    with unit_of_work(sessions) as work:
        claim = leases.claim(work.session, job_id, "worker-a")
    assert claim is not None
    with unit_of_work(sessions) as work:
        leases.mark_running(work.session, claim.lease, "learning")
    with unit_of_work(sessions) as work:
        leases.finish_succeeded(work.session, claim.lease, result_record())


def states(documents: Sequence[Json], job_id: str) -> list[str]:
    """Return the states that a receiver was told of a job, in the order it heard of them."""
    return [
        document["data"]["state"]
        for document in documents
        if document["subject"] == job_id and document["type"].startswith("tandem.job.")
    ]


def pending(sessions: Sessions) -> int:
    with unit_of_work(sessions) as work:
        return work.session.scalar(select(func.count()).select_from(PendingEvent)) or 0


def wait_until(reached: Callable[[], bool]) -> None:
    for _ in range(1000):
        if reached():
            return
        threading.Event().wait(0.01)
    raise AssertionError("not reached within ten seconds")
