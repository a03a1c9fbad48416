"""The registry of one running application; there is none for the process."""

from dataclasses import dataclass
from typing import Self

from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import Engine

from service.db.engine import create_database_engine
from service.db.session import create_sessions, unit_of_work
from service.jobs.reconciler import Reconciler
from service.metrics.collector import StateCollector
from service.metrics.http import HttpMetrics
from service.metrics.repository import Snapshot, read_snapshot
from service.settings import Settings

STATEMENT_SECONDS = 2.0
CONNECT_SECONDS = 2


@dataclass(frozen=True)
class Metrics:
    """What `GET /metrics` shows, and the connection that it is read with."""

    registry: CollectorRegistry
    engine: Engine

    @classmethod
    def create(cls, settings: Settings, http: HttpMetrics, reconciler: Reconciler) -> Self:
        """Make the registry; nothing connects before the first scrape."""
        # A connection of its own: when requests have taken all others, the numbers are needed most.
        engine = create_database_engine(
            settings.database_url,
            application_name="tandem-metrics",
            pool_size=1,
            statement_timeout_seconds=STATEMENT_SECONDS,
            connect_timeout_seconds=CONNECT_SECONDS,
        )
        sessions = create_sessions(engine)

        def read() -> Snapshot:
            with unit_of_work(sessions) as work:
                return read_snapshot(work.session)

        registry = CollectorRegistry()
        http.register(registry)
        last_round = Gauge(
            "tandem_reconciler_last_round_timestamp_seconds",
            "When this process last ended a round of the reconciler; 0 is never.",
            registry=registry,
        )
        last_round.set_function(lambda: reconciler.last_round_at)
        registry.register(StateCollector(read))
        return cls(registry, engine)

    def close(self) -> None:
        """Close the connection."""
        self.engine.dispose()
