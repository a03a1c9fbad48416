"""Writes to a trajectory as workers make them, and a served application to follow it."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.db.session import Sessions, unit_of_work
from service.jobs import leases
from service.jobs.leases import Lease
from service.settings import Settings
from support.jobs import hold_job, points


def append(sessions: Sessions, lease: Lease, first: int, last: int, share: float = 0.5) -> None:
    """Write the points of episodes `first` to `last`."""
    with unit_of_work(sessions) as work:
        leases.append_points(work.session, lease, points(first, last, share=share))


def resume(sessions: Sessions, lease: Lease, episode: int) -> Lease:
    """Let another worker go on from the checkpoint of `episode`."""
    with unit_of_work(sessions) as work:
        leases.release(work.session, lease, reason="drained", spends_budget=False)
    second = hold_job(sessions, lease.job_id, "worker-b")
    with unit_of_work(sessions) as work:
        leases.rewind(work.session, second, episode)
    return second


@dataclass(frozen=True)
class Event:
    """One server-sent event; of a comment only the kind."""

    kind: str
    id: str | None = None
    data: Any = None


def parse_events(lines: Iterator[str]) -> Iterator[Event]:
    """Yield the events of a stream, comments and `retry` among them."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            yield Event("comment")
        elif line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "retry" in fields:
            yield Event("retry", data=int(fields.pop("retry")))
        elif fields:
            yield Event(fields["event"], fields.get("id"), json.loads(fields["data"]))
            fields = {}


@dataclass(frozen=True)
class Served:
    """An application behind a real socket."""

    app: FastAPI
    url: str
    key: str

    def client(self) -> httpx.Client:
        """Return a client that sends the key."""
        headers = {"Authorization": f"Bearer {self.key}"}
        limits = httpx.Limits(max_connections=None)
        return httpx.Client(
            base_url=self.url, headers=headers, timeout=40, trust_env=False, limits=limits
        )

    @contextmanager
    def events(self, job_id: str, last: str | None = None) -> Iterator[Iterator[Event]]:
        """Open a stream; yields its events."""
        headers = {} if last is None else {"Last-Event-ID": last}
        path = f"/v1/jobs/{job_id}/trajectory/stream"
        with self.client() as client, client.stream("GET", path, headers=headers) as answer:
            assert answer.status_code == 200
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            yield parse_events(answer.iter_lines())


@contextmanager
def serve(settings: Settings, key: str) -> Iterator[Served]:
    """Serve the application in a thread."""
    app = create_app(settings)
    config = uvicorn.Config(
        app, port=0, log_config=None, ws="none", access_log=False, timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="served")
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Served(app, f"http://127.0.0.1:{port}", key)
    finally:
        server.should_exit = True
        thread.join()
