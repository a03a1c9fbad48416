"""The database is asked seldom, and what happens to it does not reach the other metrics."""

import threading
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import OperationalError

from service.metrics import collector as module
from service.metrics.collector import StateCollector
from service.metrics.repository import Queue, Snapshot

UP = "tandem_database_up"
OLDEST = "tandem_oldest_queued_seconds"
AWAY = OperationalError("select 1", {}, Exception("connection refused"))


class Database:
    """Answers with the number of times that it was asked, or as it is told."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Callable[[], object] = lambda: None

    def read(self) -> Snapshot:
        self.asked += 1
        self.answer()
        return Snapshot(queue=Queue(oldest_seconds=self.asked))

    def fail(self, error: Exception) -> None:
        def answer() -> None:
            raise error

        self.answer = answer


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def registry(database: Database) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(StateCollector(database.read, patience_seconds=0.2))
    return registry


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every scrape ask."""
    monkeypatch.setattr(module, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(module, "SHARE", 0.0)


def _scrape(registry: CollectorRegistry) -> dict[str, float]:
    samples = (sample for metric in registry.collect() for sample in metric.samples)
    return {sample.name: sample.value for sample in samples if not sample.labels}


def test_nothing_is_asked_before_the_first_scrape(
    registry: CollectorRegistry, database: Database
) -> None:
    assert database.asked == 0
    assert _scrape(registry)[UP] == 1
    assert database.asked == 1


def test_scrapes_in_quick_succession_share_one_look(
    registry: CollectorRegistry, database: Database
) -> None:
    assert {_scrape(registry)[OLDEST] for _ in range(20)} == {1}
    assert database.asked == 1


def test_a_look_that_took_long_is_kept_longer(
    registry: CollectorRegistry, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(module, "SHARE", 1000.0)
    database.answer = lambda: threading.Event().wait(0.02)
    assert {_scrape(registry)[OLDEST] for _ in range(5)} == {1}


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("error", [AWAY, RuntimeError("unforeseen")])
def test_a_database_that_is_away_leaves_one_metric_and_is_found_again(
    registry: CollectorRegistry, database: Database, error: Exception
) -> None:
    assert _scrape(registry)[OLDEST] == 1
    database.fail(error)
    assert _scrape(registry) == {UP: 0}
    database.answer = lambda: None
    assert _scrape(registry)[OLDEST] == 3


def test_a_failure_is_kept_too_so_that_scrapes_do_not_wait_for_each_attempt(
    registry: CollectorRegistry, database: Database
) -> None:
    database.fail(AWAY)
    assert [_scrape(registry) for _ in range(3)] == [{UP: 0}] * 3
    assert database.asked == 1


@pytest.mark.usefixtures("at_once")
def test_a_database_that_hangs_costs_a_scrape_its_patience_and_one_thread(
    registry: CollectorRegistry, database: Database
) -> None:
    goes_on = threading.Event()
    database.answer = lambda: goes_on.wait(30)
    assert [_scrape(registry) for _ in range(2)] == [{UP: 0}] * 2
    assert database.asked == 1
    readers = [thread for thread in threading.enumerate() if thread.name == "metrics-reader"]
    assert len(readers) == 1
    goes_on.set()
    readers[0].join(10)
    assert _scrape(registry)[UP] == 1


def test_what_is_described_is_what_is_collected(database: Database) -> None:
    collector = StateCollector(database.read)
    described = [(metric.name, metric.type) for metric in collector.describe()]
    assert database.asked == 0
    assert described == [(metric.name, metric.type) for metric in collector.collect()]
