"""Following a trajectory over a real socket: server-sent events and answers that wait."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
from support.jobs import hold_job, insert_job, result_record
from support.trajectories import Event, Served, append, parse_events, resume, serve

from client.http import TandemClient
from service.auth.create_key import create_key
from service.db.session import Sessions, unit_of_work
from service.dependencies import Caller
from service.jobs import leases
from service.jobs.leases import Lease
from service.jobs.trajectory_stream import Stream
from service.jobs.watching import Watcher
from service.settings import Settings

TENANT = "ten_test"
PEPPER = "test-pepper"


@pytest.fixture
def lease(sessions: Sessions) -> Lease:
    with unit_of_work(sessions) as work:
        job_id = insert_job(work.session, tenant=TENANT)
    return hold_job(sessions, job_id)


@pytest.fixture
def key(sessions: Sessions, lease: Lease) -> str:
    """A key of the job's tenant, who has to be there first."""
    return create_key(sessions, name=lease.job_id, tenant=TENANT, pepper=PEPPER)


@pytest.fixture
def served(settings: Settings, key: str) -> Iterator[Served]:
    with serve(settings, key) as served:
        yield served


def _points(events: Iterator[Event], count: int) -> list[Event]:
    found: list[Event] = []
    while len(found) < count:
        event = next(events)
        assert event.kind in {"point", "comment"}, event
        found += [event] if event.kind == "point" else []
    return found


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def _steps(events: list[Event]) -> list[int]:
    return [event.data["step"] for event in events]


def test_points_come_as_they_are_written_until_the_job_ends(
    served: Served, sessions: Sessions, lease: Lease
) -> None:
    append(sessions, lease, 1, 2, share=0.75)
    with served.events(lease.job_id) as events:
        assert next(events) == Event("retry", data=3000)
        state = next(events)
        assert (state.kind, state.id, state.data["state"]) == ("state", None, "running")
        assert state.data["domains"] == ["code", "manuals"]
        first = _points(events, 2)
        assert first[0].data["alpha"] == {"code": 0.75, "manuals": 0.25}
        assert first[0].data["target_loss"] is None
        append(sessions, lease, 3, 3)
        second = _points(events, 1)
        assert _steps(first + second) == [10, 20, 30]
        assert [event.id for event in first + second] == ["1.1", "1.2", "1.3"]
        with unit_of_work(sessions) as work:
            leases.finish_succeeded(work.session, lease, result_record())
        rest = [event for event in events if event.kind != "comment"]
    assert [event.kind for event in rest] == ["state", "end"]
    assert rest[0].data["state"] == rest[1].data["state"] == "succeeded"


def test_an_open_stream_is_told_what_a_resumed_attempt_rewrites(
    served: Served, sessions: Sessions, lease: Lease
) -> None:
    append(sessions, lease, 1, 5)
    with served.events(lease.job_id) as events:
        next(events), next(events)
        _points(events, 5)
        second = resume(sessions, lease, 3)
        append(sessions, second, 4, 6, share=0.9)
        seen = []
        while not seen or seen[-1].data.get("step") != 60:
            event = next(events)
            seen += [event] if event.kind in {"rewind", "point"} else []
    assert (seen[0].kind, seen[0].data, seen[0].id) == (
        "rewind",
        {"to_step": 30, "epoch": 2},
        "2.5",
    )
    assert _steps(seen[1:]) == [40, 50, 60]


def test_a_reader_that_comes_back_gets_what_it_has_not(
    served: Served, sessions: Sessions, lease: Lease
) -> None:
    append(sessions, lease, 1, 4)
    with served.events(lease.job_id) as events:
        next(events), next(events)
        last = _points(events, 3)[-1].id
    assert last == "1.3"
    second = resume(sessions, lease, 2)
    append(sessions, second, 3, 4)
    with served.events(lease.job_id, last) as events:
        kinds = [event for event in (next(events) for _ in range(5)) if event.kind != "retry"]
    assert [event.kind for event in kinds] == ["rewind", "state", "point", "point"]
    assert (kinds[0].data["to_step"], _steps(kinds[2:])) == (20, [30, 40])
    # Cut off just after the rewind, before any point of the new attempt.
    with served.events(lease.job_id, kinds[0].id) as events:
        assert [next(events).kind for _ in range(4)] == ["retry", "state", "point", "point"]


def test_a_reader_who_has_all_of_a_job_that_is_over_is_sent_away(
    served: Served, sessions: Sessions, lease: Lease
) -> None:
    append(sessions, lease, 1, 2)
    with unit_of_work(sessions) as work:
        leases.finish_succeeded(work.session, lease, result_record())
    path = f"/v1/jobs/{lease.job_id}/trajectory/stream"
    with served.client() as client:
        assert client.get(path, headers={"Last-Event-ID": "1.2"}).status_code == 204
        assert "event: point" in client.get(path, headers={"Last-Event-ID": "1.1"}).text


@pytest.mark.parametrize("given", ["7", "1.x", "-1.2", "1.2.3", "9" * 30 + ".1"])
def test_an_event_id_that_the_service_never_gave_is_refused(
    served: Served, lease: Lease, given: str
) -> None:
    path = f"/v1/jobs/{lease.job_id}/trajectory/stream"
    with served.client() as client:
        answer = client.get(path, headers={"Last-Event-ID": given})
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")


def test_idle_readers_hold_no_connection_and_no_thread_and_are_forgotten_when_they_leave(
    served: Served, sessions: Sessions, lease: Lease
) -> None:
    context, watcher = served.app.state.context, served.app.state.watcher
    path = f"/v1/jobs/{lease.job_id}/trajectory"
    count = 50  # more than there are threads, and more than twice the pool
    threads = threading.active_count()
    with ExitStack() as stack, ThreadPoolExecutor(count) as pool, served.client() as client:
        streams = [stack.enter_context(served.events(lease.job_id)) for _ in range(count)]
        polls = [pool.submit(client.get, path, headers={"Prefer": "wait=20"}) for _ in range(count)]
        _until(lambda: watcher.waiters == 2 * count)
        _until(lambda: context.engine.pool.checkedout() == 0)
        # The threads of the pollers here, and those that answered, of which there are 40 at most.
        assert threading.active_count() - threads <= count + 45
        started = time.monotonic()
        assert client.get(f"/v1/jobs/{lease.job_id}").status_code == 200
        assert time.monotonic() - started < 2
        append(sessions, lease, 1, 1)
        for events in streams:
            assert next(event.kind for event in events if event.kind == "point") == "point"
        for poll in polls:
            answer = poll.result()
            assert answer.json()["columns"]["step"] == [10]
            assert answer.headers["Preference-Applied"] == "wait=20"
    _until(lambda: watcher.waiters == 0)


def test_an_answer_waits_for_news_and_no_longer(
    served: Served, sessions: Sessions, lease: Lease
) -> None:
    append(sessions, lease, 1, 1)
    path = f"/v1/jobs/{lease.job_id}/trajectory?after_seq=1&epoch=1"
    with served.client() as client:
        started = time.monotonic()
        empty = client.get(path, headers={"Prefer": "wait=1"})
        assert (empty.json()["columns"]["step"], empty.json()["next_seq"]) == ([], 1)
        again = {"Prefer": "wait=1", "If-None-Match": empty.headers["ETag"]}
        assert client.get(path, headers=again).status_code == 304
        assert 2 <= time.monotonic() - started < 10
        # What there is comes at once, and nobody waits longer than half a minute.
        started = time.monotonic()
        answer = client.get(path.replace("seq=1", "seq=0"), headers={"Prefer": "wait=999"})
        assert answer.headers["Preference-Applied"] == "wait=30"
        timer = threading.Timer(0.5, append, (sessions, lease, 2, 2))
        timer.start()
        again["Prefer"] = "wait=30"
        assert client.get(path, headers=again).json()["columns"]["step"] == [20]
        assert time.monotonic() - started < 10
        timer.join()
        with unit_of_work(sessions) as work:
            leases.finish_succeeded(work.session, lease, result_record())
        over = client.get(path.replace("seq=1", "seq=2"), headers={"Prefer": "wait=30"})
        assert (over.json()["job_state"], over.json()["poll_after_ms"]) == ("succeeded", None)


def test_the_client_follows_a_job_without_polling(
    served: Served, sessions: Sessions, lease: Lease
) -> None:
    append(sessions, lease, 1, 2)

    def work() -> None:
        second = resume(sessions, lease, 1)
        append(sessions, second, 2, 3, share=0.9)
        with unit_of_work(sessions) as work:
            leases.finish_succeeded(work.session, second, result_record())

    naps: list[float] = []
    timer = threading.Timer(0.5, work)
    timer.start()
    with TandemClient(served.url, served.key, sleep=naps.append) as client:
        points = {point["step"]: point for point in client.iter_trajectory(lease.job_id)}
        assert len(client.trajectory_csv(lease.job_id).splitlines()) == 4
    timer.join()
    assert [point["alpha"]["code"] for point in points.values()] == [0.5, 0.9, 0.9]
    assert naps == []


def test_a_quiet_stream_says_that_it_lives_and_ends_after_its_time(
    sessions: Sessions, lease: Lease
) -> None:
    async def collect() -> list[bytes]:
        watcher = Watcher(sessions)
        watcher.start()
        caller = Caller(tenant_id=TENANT, key_prefix="x")
        stream = Stream(
            sessions, watcher, caller, lease.job_id, keep_alive_seconds=0.05, longest_seconds=0.5
        )
        found = [event async for event in stream.events(None)]
        await watcher.stop()
        return found

    found = asyncio.run(collect())
    assert found[2:] == [b": keep-alive\n\n"] * len(found[2:])
    assert 3 <= len(found[2:]) <= 10


def test_a_service_that_is_told_to_end_ends_its_streams(
    settings: Settings, lease: Lease, key: str
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "TANDEM_DATABASE_URL": settings.database_url,
        "TANDEM_REDIS_URL": settings.redis_url,
        "TANDEM_DATA_DIR": str(settings.data_dir),
        "TANDEM_KEY_PEPPER": PEPPER,
    }
    command = [sys.executable, "-m", "service.main", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "Uvicorn running" in line)
        path = f"http://127.0.0.1:{port}/v1/jobs/{lease.job_id}/trajectory/stream"
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.stream("GET", path, headers=headers, trust_env=False, timeout=30) as answer:
            events = parse_events(answer.iter_lines())
            assert [next(events).kind for _ in range(2)] == ["retry", "state"]
            started = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert list(events) == []  # the answer ends whole, it is not cut
        rest = process.communicate(timeout=30)[1]
    assert time.monotonic() - started < 5
    assert process.returncode in {0, -signal.SIGTERM}, rest
    assert "service_stopped" in rest
