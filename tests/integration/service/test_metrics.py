"""`GET /metrics` on a real database."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text, update
from support.api import Api
from support.jobs import TENANT, hold_job, point, points, result_record

from service.app import create_app
from service.db.clock import from_now
from service.db.session import Sessions, unit_of_work
from service.jobs import leases
from service.jobs.leases import Lease
from service.jobs.models import Job
from service.jobs.repository import queue
from service.metrics import collector
from service.notifications import repository as notifications
from service.settings import Settings

TOKEN = "scrape-token"
SCENARIO = ("scenario", "data_restricted")
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return Settings(**settings.model_dump() | {"metrics_token": TOKEN})


@pytest.fixture
def scraper(settings: Settings) -> Iterator[TestClient]:
    """Reads the metrics of a running application."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(create_app(settings), headers=headers) as client:
        yield client


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(collector, "SHARE", 0.0)


def _scrape(client: TestClient) -> Samples:
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def _age(sessions: Sessions, job_id: str, **seconds: float) -> None:
    """Move times of a job into the past."""
    values = {name: from_now(-by) for name, by in seconds.items()}
    with unit_of_work(sessions) as work:
        statement = update(Job).where(Job.id == job_id).values(**values)
        work.session.execute(statement.execution_options(synchronize_session=False))


def _finish(sessions: Sessions, lease: Lease) -> None:
    with unit_of_work(sessions) as work:
        leases.finish_succeeded(work.session, lease, result_record())


def test_without_a_token_in_the_settings_there_is_no_such_path(settings: Settings) -> None:
    off = Settings(**settings.model_dump() | {"metrics_token": ""})
    with TestClient(create_app(off)) as client:
        for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": f"Bearer {TOKEN}"}):
            answer = client.get("/metrics", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"bearer{TOKEN}"]
)
def test_another_token_is_refused(scraper: TestClient, given: str) -> None:
    answer = scraper.get("/metrics", headers={"Authorization": given})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_an_api_key_does_not_open_the_metrics(api: Api) -> None:
    assert api.client.get("/metrics").status_code == 401
    assert "/metrics" not in api.client.get("/openapi.json").json()["paths"]


def test_the_answer_is_prometheus_text(scraper: TestClient) -> None:
    answer = scraper.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert answer.text.endswith("\n")


@pytest.mark.usefixtures("_at_once")
def test_jobs_are_counted_by_state_and_scenario(
    scraper: TestClient, sessions: Sessions, new_job: Callable[..., str]
) -> None:
    jobs = [new_job() for _ in range(3)]
    hold_job(sessions, jobs[0])
    _finish(sessions, hold_job(sessions, jobs[1]))
    samples = _scrape(scraper)
    for state, count in {"queued": 1, "running": 1, "succeeded": 1, "failed": 0}.items():
        assert samples["tandem_jobs", (SCENARIO, ("state", state))] == count
    assert samples["tandem_database_up", ()] == 1
    assert samples["tandem_job_attempts_total", (("outcome", "succeeded"),)] == 1
    assert samples["tandem_job_duration_seconds_count", (SCENARIO,)] == 1
    assert samples["tandem_job_queue_wait_seconds_count", (SCENARIO,)] == 2


def test_times_are_those_of_the_tables(
    scraper: TestClient, sessions: Sessions, new_job: Callable[..., str]
) -> None:
    done, waiting, later = new_job(), new_job(), new_job()
    _finish(sessions, hold_job(sessions, done))
    _age(sessions, done, created_at=400, started_at=300, finished_at=100)
    _age(sessions, waiting, run_after=70)
    _age(sessions, later, run_after=-600)
    samples = _scrape(scraper)
    assert samples["tandem_job_duration_seconds_sum", (SCENARIO,)] == pytest.approx(200, abs=1)
    assert samples["tandem_job_queue_wait_seconds_sum", (SCENARIO,)] == pytest.approx(100, abs=1)
    assert samples["tandem_oldest_queued_seconds", ()] == pytest.approx(70, abs=10)


def test_jobs_that_workers_were_not_told_of_are_the_outbox(
    scraper: TestClient, sessions: Sessions, new_job: Callable[..., str]
) -> None:
    told, untold = new_job(), new_job()
    _age(sessions, told, run_after=500)
    _age(sessions, untold, run_after=40)
    with unit_of_work(sessions) as work:
        queue.mark_unannounced(work.session, [untold])
    samples = _scrape(scraper)
    assert samples["tandem_unannounced_jobs", ()] == 1
    assert samples["tandem_oldest_unannounced_seconds", ()] == pytest.approx(40, abs=10)


@pytest.mark.usefixtures("_at_once")
def test_a_lost_worker_shows_as_silence_then_as_an_expired_lease_and_a_round(
    api: Api, sessions: Sessions, held_job: Callable[..., Lease]
) -> None:
    lease = held_job()
    with unit_of_work(sessions) as work:
        work.session.execute(
            update(Job).where(Job.id == lease.job_id).values(lease_expires_at=from_now(-30))
        )
    api.client.headers["Authorization"] = f"Bearer {TOKEN}"
    before = _scrape(api.client)
    assert before["tandem_oldest_heartbeat_seconds", ()] == pytest.approx(90, abs=10)
    assert before["tandem_leases_expired_total", ()] == 0
    assert before["tandem_reconciler_last_round_timestamp_seconds", ()] == 0
    assert api.context.reconciler.run_once().expired == 1
    after = _scrape(api.client)
    assert after["tandem_oldest_heartbeat_seconds", ()] == 0
    assert after["tandem_leases_expired_total", ()] == 1
    assert after["tandem_job_attempts_total", (("outcome", "released"),)] == 1
    assert after["tandem_reconciler_last_round_timestamp_seconds", ()] > 1.7e9


def test_a_round_that_another_process_does_is_not_this_ones(api: Api, sessions: Sessions) -> None:
    with unit_of_work(sessions) as work:
        work.session.execute(text("select pg_advisory_xact_lock(7421902)"))
        api.context.reconciler.run_once()
    assert api.context.reconciler.last_round_at == 0


@pytest.mark.usefixtures("_at_once")
def test_tokens_of_running_jobs_are_summed_and_seen_to_grow(
    scraper: TestClient, sessions: Sessions, held_job: Callable[..., Lease]
) -> None:
    first, second = held_job(), held_job(worker="worker-b")
    with unit_of_work(sessions) as work:
        leases.append_points(work.session, first, points(1, 2))
        leases.append_points(work.session, second, points(1, 1))
    before = _scrape(scraper)
    assert before["tandem_job_tokens", (SCENARIO,)] == 3 * 20_480
    assert before["tandem_job_episodes", (SCENARIO,)] == 3
    assert before["tandem_tokens_seen_total", (SCENARIO,)] == 0
    with unit_of_work(sessions) as work:
        leases.append_points(work.session, first, [point(3)])
    _finish(sessions, second)
    after = _scrape(scraper)
    assert after["tandem_job_tokens", (SCENARIO,)] == 3 * 20_480
    assert after["tandem_tokens_seen_total", (SCENARIO,)] == 20_480


@pytest.mark.usefixtures("_at_once")
def test_events_that_a_receiver_was_not_told_are_counted_with_the_age_of_the_first(
    scraper: TestClient, sessions: Sessions, new_job: Callable[..., str]
) -> None:
    pending = ("tandem_pending_events", (("sink", "webhook"),))
    assert pending not in _scrape(scraper)
    with unit_of_work(sessions) as work:
        notifications.switch_on(work.session, "webhook")
    assert _scrape(scraper)[pending] == 0
    for _ in range(2):
        hold_job(sessions, new_job())
    with unit_of_work(sessions) as work:
        work.session.execute(
            text(
                "update job_events set at = at - interval '50 s' where (job_id, seq) ="
                " (select job_id, seq from pending_events order by position limit 1)"
            )
        )
    samples = _scrape(scraper)
    assert samples[pending] >= 4
    age = samples["tandem_oldest_pending_event_seconds", (("sink", "webhook"),)]
    assert age == pytest.approx(50, abs=10)


def test_no_label_names_a_job_a_tenant_or_a_path(
    scraper: TestClient, held_job: Callable[..., Lease]
) -> None:
    lease = held_job()
    scraper.get(f"/v1/jobs/{lease.job_id}")
    shown = scraper.get("/metrics").text
    assert 'route="/v1/jobs/{job_id}",status="401"' in shown
    for secret in (lease.job_id, TENANT, lease.worker_id, TOKEN):
        assert secret not in shown


def test_scrapes_in_quick_succession_read_the_database_once(
    scraper: TestClient, new_job: Callable[..., str]
) -> None:
    queued = ("tandem_jobs", (SCENARIO, ("state", "queued")))
    assert _scrape(scraper)[queued] == 0
    new_job()
    assert _scrape(scraper)[queued] == 0


@pytest.mark.usefixtures("_at_once")
def test_a_database_that_is_away_does_not_fail_the_scrape(settings: Settings) -> None:
    url = "postgresql+psycopg://postgres@127.0.0.1:1/none"
    away = settings.model_copy(update={"database_url": url})
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(create_app(away), headers=headers) as client:
        client.get("/healthz")
        samples = _scrape(client)
    assert samples["tandem_database_up", ()] == 0
    assert not any(name == "tandem_jobs" for name, _ in samples)
    labels = (("method", "GET"), ("route", "/healthz"), ("status", "200"))
    assert samples["http_server_request_duration_seconds_count", labels] == 1


@pytest.mark.usefixtures("_at_once")
def test_a_locked_table_does_not_fail_the_scrape(scraper: TestClient, sessions: Sessions) -> None:
    assert _scrape(scraper)["tandem_database_up", ()] == 1
    with unit_of_work(sessions) as work:
        work.session.execute(text("lock table jobs in access exclusive mode"))
        assert _scrape(scraper)["tandem_database_up", ()] == 0
    assert _scrape(scraper)["tandem_database_up", ()] == 1


@pytest.mark.usefixtures("_at_once")
def test_requests_that_hold_every_connection_do_not_hide_the_numbers(
    api: Api, settings: Settings
) -> None:
    api.client.headers["Authorization"] = f"Bearer {TOKEN}"
    with ExitStack() as held:
        for _ in range(2 * settings.database_pool_size):
            held.enter_context(api.context.engine.connect())
        assert _scrape(api.client)["tandem_database_up", ()] == 1


def test_an_application_that_is_started_twice_shows_its_metrics_both_times(
    settings: Settings,
) -> None:
    app = create_app(settings)
    for _ in range(2):
        with TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
            assert _scrape(client)["tandem_database_up", ()] == 1
