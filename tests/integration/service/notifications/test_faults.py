"""Receivers that are down, slow or refuse; couriers that crash: nothing is lost or in the way."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from support.notifications import LIFE, MakeCourier, NewJob, live, pending, states, wait_until
from support.receivers import Received, receiver_at

from service.db.base import Json
from service.db.session import Sessions, unit_of_work
from service.jobs.models import Job, JobEvent
from service.notifications import courier as courier_module
from service.notifications import repository
from service.notifications.courier import Sink
from service.notifications.hub import webhook_sink
from service.notifications.models import EventSink, PendingEvent


def test_a_receiver_that_was_down_misses_nothing(
    sessions: Sessions, new_job: NewJob, make_courier: MakeCourier, received: Received
) -> None:
    with receiver_at(received) as url:
        courier = make_courier(url)
        first = new_job()
        courier.run_once()
    live(sessions, first)
    second = new_job()
    assert courier.run_once() == 0
    assert pending(sessions) == 4
    with receiver_at(received, port=int(url.split(":")[2].split("/")[0])):
        assert courier.run_once() == 4
    assert states(received.documents, first) == LIFE
    assert states(received.documents, second) == ["queued"]


@pytest.mark.parametrize("status", [500, 503, 429, 408, 302])
def test_an_answer_that_may_get_better_holds_the_queue_in_its_order(
    status: int,
    sessions: Sessions,
    new_job: NewJob,
    make_courier: MakeCourier,
    received: Received,
    url: str,
) -> None:
    courier = make_courier(url)
    job_id = new_job()
    live(sessions, job_id)
    received.statuses = [200, status, status]
    assert [courier.run_once() for _ in range(3)] == [1, 0, 3]
    assert states(received.taken, job_id) == LIFE


def test_a_redirect_is_not_followed(
    new_job: NewJob, make_courier: MakeCourier, received: Received, url: str
) -> None:
    other = Received()
    with receiver_at(other) as elsewhere:
        courier = make_courier(url)
        new_job()
        received.statuses, received.location = [307], elsewhere
        assert courier.run_once() == 0
    assert other.documents == []


def test_an_event_that_is_refused_is_logged_and_does_not_hold_up_the_next(
    sessions: Sessions, new_job: NewJob, make_courier: MakeCourier, received: Received, url: str
) -> None:
    courier = make_courier(url)
    job_id = new_job()
    live(sessions, job_id)
    received.statuses = [422]
    assert courier.run_once() == 4
    assert states(received.taken, job_id) == LIFE[1:]
    assert pending(sessions) == 0


def test_an_event_that_cannot_be_told_does_not_hold_up_the_next(
    sessions: Sessions, new_job: NewJob, make_courier: MakeCourier, received: Received, url: str
) -> None:
    real = webhook_sink()

    def render(occurrence: Any) -> Sequence[Json]:
        if occurrence.seq == 1:
            raise KeyError("spec")
        return real.render(occurrence)

    courier = make_courier(url, Sink(real.name, real.lock, render))
    job_id = new_job()
    live(sessions, job_id)
    assert courier.run_once() == 4
    assert states(received.documents, job_id) == LIFE[1:]


def test_the_wait_after_a_failure_doubles_and_ends_with_a_success(
    sessions: Sessions, new_job: NewJob, make_courier: MakeCourier, received: Received, url: str
) -> None:
    courier = make_courier(url, first_backoff_seconds=50.0, longest_backoff_seconds=150.0)
    new_job()
    waits = []
    for _ in range(3):
        received.statuses = [503]
        assert courier.run_once() == 0
        assert courier.run_once() == 0  # not due
        with unit_of_work(sessions) as work:
            seconds = "select extract(epoch from retry_at - clock_timestamp()) from event_sinks"
            waits.append(float(work.session.scalars(text(seconds)).one()))
            work.session.execute(text("update event_sinks set retry_at = clock_timestamp()"))
    assert len(received.documents) == 3
    assert [round(wait / 10) * 10 for wait in waits] == [50, 100, 150]
    assert courier.run_once() == 1
    with unit_of_work(sessions) as work:
        sink = work.session.scalars(select(EventSink)).one()
        assert (sink.failures, sink.retry_at) == (0, None)


def test_a_crash_between_sending_and_noting_sends_again_under_the_same_id(
    new_job: NewJob,
    make_courier: MakeCourier,
    received: Received,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    courier = make_courier(url)
    new_job()
    with monkeypatch.context() as patch:

        def crash(*_: object) -> None:
            raise OperationalError("delete", {}, ConnectionError("gone"))

        patch.setattr(repository, "settle", crash)
        with pytest.raises(OperationalError):
            courier.run_once()
    assert courier.run_once() == 1
    first, second = received.documents
    assert first == second


def test_a_slow_receiver_holds_up_no_job(
    sessions: Sessions, new_job: NewJob, make_courier: MakeCourier, received: Received, url: str
) -> None:
    courier = make_courier(url)
    job_id = new_job()
    asked, go_on = threading.Event(), threading.Event()

    def dawdle() -> None:
        asked.set()
        assert go_on.wait(30)

    received.before_answer = dawdle
    delivery = threading.Thread(target=courier.run_once)
    delivery.start()
    try:
        assert asked.wait(10)
        with unit_of_work(sessions) as work:
            # A lock on any row would be an error at once.
            for table in (Job, JobEvent, PendingEvent, EventSink):
                work.session.execute(select(table).with_for_update(nowait=True))
        live(sessions, job_id)
    finally:
        go_on.set()
        delivery.join()
    courier.run_once()
    assert states(received.documents, job_id) == LIFE


def test_a_courier_that_lost_its_lock_sends_nothing_more(
    sessions: Sessions, new_job: NewJob, make_courier: MakeCourier, received: Received, url: str
) -> None:
    courier = make_courier(url)
    live(sessions, new_job())

    def cut() -> None:
        with unit_of_work(sessions) as work:
            holders = (
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' "
                "and database = (select oid from pg_database where datname = current_database())"
            )
            work.session.execute(text(holders))

    received.before_answer = cut
    with pytest.raises(OperationalError):
        courier.run_once()
    assert len(received.documents) == 1


def test_the_thread_outlives_a_round_that_failed(
    new_job: NewJob,
    make_courier: MakeCourier,
    received: Received,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(courier_module, "OUTAGE_SECONDS", 0.01)
    courier = make_courier(url, poll_seconds=0.01)
    new_job()
    real, rounds = courier.run_once, [RuntimeError(), OperationalError("x", {}, OSError())]

    def run_once() -> int:
        if rounds:
            raise rounds.pop()
        return real()

    monkeypatch.setattr(courier, "run_once", run_once)
    courier.start()
    try:
        wait_until(lambda: len(received.taken) == 1)
    finally:
        courier.stop()
