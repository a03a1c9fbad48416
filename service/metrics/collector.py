"""Asks the database when Prometheus asks us, but never so often that it would be felt."""

import threading
import time
from collections.abc import Callable, Iterator

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from service.metrics.families import families
from service.metrics.progress import Progress
from service.metrics.repository import Snapshot

log = structlog.get_logger(__name__)

FRESH_SECONDS = 5.0
SHARE = 20.0
"""A snapshot is kept this many times as long as it took: at most 5 % of one connection's time."""
PATIENCE_SECONDS = 4.0
"""Prometheus itself waits ten seconds; a database that hangs must not cost the other metrics."""


class StateCollector(Collector):
    """Metrics of the database's state; without it `tandem_database_up` is 0 and the rest absent."""

    def __init__(
        self, read: Callable[[], Snapshot], *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Prepare; nothing is read before the first scrape.

        Args:
            read: Asks the database; raises SQLAlchemyError when it is away.
            patience_seconds: How long a scrape waits for it.
        """
        self._read = read
        self._patience_seconds = patience_seconds
        self._progress = Progress()
        self._lock = threading.Lock()
        self._reader: threading.Thread | None = None
        self._found: list[Metric] | None = None
        self._fresh_until = 0.0

    def describe(self) -> Iterator[Metric]:
        """Name the metrics without asking the database."""
        yield _up(0)
        yield from families(Snapshot(), {})

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, at most a few seconds old."""
        found = self._look()
        yield _up(found is not None)
        yield from found or ()

    def _look(self) -> list[Metric] | None:
        with self._lock:
            if self._reader is None and time.monotonic() < self._fresh_until:
                return self._found
            if self._reader is None:
                # A thread, because nothing else ends the wait for a server that hangs; one,
                # because the next scrapes must not hang after it.
                self._reader = threading.Thread(
                    target=self._refresh, name="metrics-reader", daemon=True
                )
                self._reader.start()
            reader = self._reader
        reader.join(self._patience_seconds)
        with self._lock:
            return None if self._reader is reader else self._found

    def _refresh(self) -> None:
        started = time.monotonic()
        found = None
        try:
            snapshot = self._read()
            found = list(families(snapshot, self._progress.look(snapshot.held)))
        except SQLAlchemyError as error:
            log.warning("metrics_not_read", cause=str(error).splitlines()[0])
        except Exception:
            log.exception("metrics_not_read")
        finally:
            ended = time.monotonic()
            with self._lock:
                self._found = found
                self._fresh_until = ended + max(FRESH_SECONDS, SHARE * (ended - started))
                self._reader = None


def _up(up: float) -> Metric:
    text = "1 if the numbers of jobs could be read from the database."
    return GaugeMetricFamily("tandem_database_up", text, value=float(up))
