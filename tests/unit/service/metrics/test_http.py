"""Requests are counted under labels that no caller can make up."""

import asyncio

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from starlette.types import Message

from service.metrics.http import HttpMetrics
from service.middleware import RequestMiddleware

COUNT = "http_server_request_duration_seconds_count"
ACTIVE = "http_server_active_requests"


class Served:
    """A small application behind the middleware, and its registry."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.registry = CollectorRegistry()
        metrics = HttpMetrics()
        metrics.register(self.registry)
        self.app.add_middleware(RequestMiddleware, max_body_bytes=1024, metrics=metrics)

        @self.app.get("/things/{thing_id}")
        def read(thing_id: str) -> dict[str, float | None]:
            if thing_id == "broken":
                raise RuntimeError(thing_id)
            return {"active": self.registry.get_sample_value(ACTIVE)}

    def counts(self) -> dict[tuple[str, str, str], float]:
        return {
            (one.labels["method"], one.labels["route"], one.labels["status"]): one.value
            for metric in self.registry.collect()
            for one in metric.samples
            if one.name == COUNT
        }


@pytest.fixture
def served() -> Served:
    return Served()


def test_the_route_is_the_template_and_never_the_path(served: Served) -> None:
    client = TestClient(served.app)
    for name in ("one", "two"):
        assert client.get(f"/things/{name}?secret=1").status_code == 200
    assert served.counts() == {("GET", "/things/{thing_id}", "200"): 2}


def test_unknown_paths_and_methods_make_no_series_of_their_own(served: Served) -> None:
    client = TestClient(served.app)
    for path in ("/a", "/b", "/c/d"):
        client.get(path)
    for method in ("BREW", "GETT", "X" * 50):
        client.request(method, "/a")
    assert served.counts() == {
        ("GET", "unmatched", "404"): 3,
        ("_OTHER", "unmatched", "404"): 3,
    }


def test_a_body_that_is_refused_is_counted(served: Served) -> None:
    TestClient(served.app).post("/things/one", content=b"x" * 2000)
    assert served.counts() == {("POST", "unmatched", "413"): 1}


def test_a_crash_counts_as_500_and_leaves_no_request_in_progress(served: Served) -> None:
    client = TestClient(served.app)
    assert client.get("/things/broken").status_code == 500
    assert served.counts() == {("GET", "/things/{thing_id}", "500"): 1}
    assert client.get("/things/one").json() == {"active": 1}
    assert served.registry.get_sample_value(ACTIVE) == 0


def test_a_caller_that_went_away_is_counted_as_such(served: Served) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope = {"type": "http", "method": "POST", "path": "/things/one", "headers": []}
    asyncio.run(served.app(scope, receive, send))
    assert served.counts() == {("POST", "unmatched", "aborted"): 1}
    assert served.registry.get_sample_value(ACTIVE) == 0


def test_two_applications_in_one_process_count_apart(served: Served) -> None:
    other = Served()
    TestClient(served.app).get("/things/one")
    assert served.counts() != {}
    assert other.counts() == {}
