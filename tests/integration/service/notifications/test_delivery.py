"""Events reach receivers: once, in order, and only those of the time that they were wanted."""

import threading

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select, text
from support.jobs import insert_job
from support.notifications import LIFE, MakeCourier, NewJob, live, pending, states, wait_until
from support.receivers import Received, receiver_at

from service.app import create_app
from service.db.session import Sessions, unit_of_work
from service.jobs import leases
from service.jobs.lifecycle import JobState
from service.jobs.models import JobEvent
from service.jobs.repository.transitions import transition
from service.notifications import courier as courier_module
from service.notifications import repository
from service.notifications.courier import Courier
from service.notifications.hub import Notifications, openlineage_sink, webhook_sink
from service.notifications.models import EventSink
from service.notifications.repository import SinkLock
from service.settings import Settings
from tandem_engine.contracts.records import ErrorRecord


def test_every_change_of_state_arrives_once_and_in_order(
    sessions: Sessions, new_job: NewJob, make_courier: MakeCourier, received: Received, url: str
) -> None:
    courier = make_courier(url)
    jobs = [new_job() for _ in range(3)]
    for job_id in jobs:
        live(sessions, job_id)
    assert courier.run_once() == 4 * len(jobs)
    assert courier.run_once() == 0
    assert [states(received.documents, job_id) for job_id in jobs] == [LIFE] * len(jobs)
    ids = [document["id"] for document in received.documents]
    assert len(ids) == len(set(ids)) == 5 * len(jobs)  # each success tells of its manifest too
    assert received.headers[0]["Content-Type"] == "application/cloudevents+json"
    assert pending(sessions) == 0


def test_more_than_a_batch_leaves_in_one_round(
    sessions: Sessions,
    new_job: NewJob,
    make_courier: MakeCourier,
    received: Received,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(courier_module, "BATCH", 2)
    courier = make_courier(url)
    job_id = new_job()
    live(sessions, job_id)
    assert courier.run_once() == 4
    assert states(received.documents, job_id) == LIFE


def test_an_event_that_is_committed_late_is_not_passed_over(
    sessions: Sessions, new_job: NewJob, make_courier: MakeCourier, received: Received, url: str
) -> None:
    courier = make_courier(url)
    with unit_of_work(sessions) as slow:
        early = insert_job(slow.session, tenant="ten_slow")
        slow.session.flush()
        late = new_job()
        assert courier.run_once() == 1
        assert [document["subject"] for document in received.documents] == [late]
    assert courier.run_once() == 1
    assert [document["subject"] for document in received.documents] == [late, early]


def test_an_event_that_was_rolled_back_is_never_told(
    sessions: Sessions, new_job: NewJob, make_courier: MakeCourier, received: Received, url: str
) -> None:
    courier = make_courier(url)
    job_id = new_job()
    with pytest.raises(RuntimeError), unit_of_work(sessions) as work:
        transition(work.session, job_id, JobState.QUEUED, JobState.CANCELLED)
        raise RuntimeError
    courier.run_once()
    assert states(received.documents, job_id) == ["queued"]


def test_without_an_address_nothing_is_queued_or_sent(
    settings: Settings, sessions: Sessions, new_job: NewJob
) -> None:
    with TestClient(create_app(settings)) as client:
        job_id = new_job()
        live(sessions, job_id)
        notifications = client.app.state.context.notifications  # type: ignore[attr-defined]
        notifications.record_export(job_id, "megatron", mixture_id="mix_1", files={"a": "b"})
        with unit_of_work(sessions) as work:
            assert work.session.scalars(select(EventSink)).all() == []
            assert work.session.scalars(select(JobEvent).filter_by(type="export")).all() == []
    assert pending(sessions) == 0


def test_what_happened_before_the_sink_was_on_is_not_told(
    sessions: Sessions, new_job: NewJob, make_courier: MakeCourier, received: Received, url: str
) -> None:
    job_id = new_job()
    with unit_of_work(sessions) as work:
        claim = leases.claim(work.session, job_id, "worker-a")
    courier = make_courier(url)
    assert claim is not None
    with unit_of_work(sessions) as work:
        leases.mark_running(work.session, claim.lease, "learning")
    courier.run_once()
    assert states(received.documents, job_id) == ["running"]


def test_a_sink_that_was_off_for_a_while_is_not_told_of_that_time(
    sessions: Sessions, new_job: NewJob, make_courier: MakeCourier, received: Received, url: str
) -> None:
    make_courier(url)
    new_job()
    assert pending(sessions) == 1
    Courier(sessions, webhook_sink(), None).run_once()
    new_job()
    assert pending(sessions) == 0
    courier = make_courier(url)
    last = new_job()
    courier.run_once()
    assert [document["subject"] for document in received.documents] == [last]


def test_one_process_at_a_time_delivers(
    sessions: Sessions, new_job: NewJob, make_courier: MakeCourier, url: str
) -> None:
    courier = make_courier(url)
    new_job()
    with unit_of_work(sessions) as other:
        assert repository.try_sink_lock(other.session, SinkLock.WEBHOOK)
        assert courier.run_once() == 0
    assert courier.run_once() == 1


def test_two_sinks_are_told_each_in_its_own_words(
    settings: Settings, sessions: Sessions, new_job: NewJob, make_courier: MakeCourier
) -> None:
    lineage, webhook = Received(), Received()
    with receiver_at(lineage) as lineage_url, receiver_at(webhook) as webhook_url:
        couriers = [
            make_courier(lineage_url, openlineage_sink(settings)),
            make_courier(webhook_url),
        ]
        live(sessions, new_job())
        for courier in couriers:
            assert courier.run_once() == 4
    assert [event["eventType"] for event in lineage.documents] == ["START", "COMPLETE"]
    (output,) = lineage.documents[1]["outputs"]
    assert output["facets"]["tandem_mixture"]["shares"] == {"code": 0.6, "manuals": 0.4}
    assert len(webhook.documents) == 5


def test_a_failed_job_is_told_with_its_error(
    sessions: Sessions, new_job: NewJob, make_courier: MakeCourier, received: Received, url: str
) -> None:
    courier = make_courier(url)
    with unit_of_work(sessions) as work:
        claim = leases.claim(work.session, new_job(), "worker-a")
        assert claim is not None
        error = ErrorRecord(code="disk_full", message="no space", retryable=False)
        leases.finish_failed(work.session, claim.lease, error)
    courier.run_once()
    assert received.documents[-1]["data"]["error"]["code"] == "disk_full"


def test_an_export_is_told_once_per_format_and_content(
    sessions: Sessions, new_job: NewJob, make_courier: MakeCourier, received: Received, url: str
) -> None:
    courier = make_courier(url)
    job_id = new_job()
    live(sessions, job_id)
    notifications = Notifications(sessions, [], active=True)

    def export(format_: str, content: str) -> None:
        files = {"blend.json": content}
        notifications.record_export(job_id, format_, mixture_id="mix_1", files=files)

    exports = [("megatron", "1"), ("megatron", "1"), ("megatron", "2"), ("grain", "1")]
    threads = [threading.Thread(target=export, args=given) for given in exports * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert courier.run_once() == 4 + 3
    told = [e["data"]["format"] for e in received.documents if e["type"] == "tandem.export.written"]
    assert sorted(told) == ["grain", "megatron", "megatron"]
    assert len({event["id"] for event in received.documents}) == len(received.documents)


def test_an_export_of_no_job_or_without_a_database_fails_nobody(sessions: Sessions) -> None:
    notifications = Notifications(sessions, [], active=True)
    notifications.record_export("job_none", "grain", mixture_id="mix_1", files={"a": "b"})
    with unit_of_work(sessions) as work:
        work.session.execute(text("alter table job_events rename to gone"))
    notifications.record_export("job_none", "grain", mixture_id="mix_1", files={"a": "b"})


def test_the_service_delivers_by_itself(
    settings: Settings, sessions: Sessions, new_job: NewJob, received: Received, url: str
) -> None:
    changes = {
        "webhook_url": url,
        "openlineage_url": url,
        "openlineage_api_key": "secret",
    }
    chosen = Settings.model_validate(settings.model_dump() | changes)
    with TestClient(create_app(chosen)):
        wait_until(lambda: _sinks(sessions) == 2)
        live(sessions, new_job())
        wait_until(lambda: pending(sessions) == 0)
    assert len(received.documents) == 5 + 2
    lineage = [h for h in received.headers if h["Content-Type"] == "application/json"]
    assert [headers["Authorization"] for headers in lineage] == ["Bearer secret"] * 2
    webhook = [h for h in received.headers if h["Content-Type"] != "application/json"]
    assert not any("Authorization" in headers for headers in webhook)


def _sinks(sessions: Sessions) -> int:
    with unit_of_work(sessions) as work:
        return work.session.scalar(select(func.count()).select_from(EventSink)) or 0
