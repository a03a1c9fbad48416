"""What the requests to this process cost; no label can be made up by a caller."""

import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, Histogram

Scope = MutableMapping[str, Any]

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0)
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
OTHER_METHOD = "_OTHER"
UNMATCHED = "unmatched"
ABORTED = "aborted"
"""Instead of a status: the caller went away before there was an answer."""


@dataclass
class Observed:
    """What a request's end is to be noted with."""

    status: int | None = None


class HttpMetrics:
    """Duration, number and concurrency of requests."""

    def __init__(self) -> None:
        """Make the metrics; they are in no registry before `register`."""
        self._duration = Histogram(
            "http_server_request_duration_seconds",
            "Time from a request's headers to the end of its answer; streams last for hours.",
            ("method", "route", "status"),
            buckets=BUCKETS,
            registry=None,
        )
        self._active = Gauge(
            "http_server_active_requests", "Requests that are being answered.", registry=None
        )

    def register(self, registry: CollectorRegistry) -> None:
        """Show the metrics in a registry too."""
        registry.register(self._duration)
        registry.register(self._active)

    @contextmanager
    def observed(self, scope: Scope) -> Iterator[Observed]:
        """Note one request: the block answers it and sets its status."""
        observed = Observed()
        started = time.perf_counter()
        self._active.inc()
        try:
            yield observed
        finally:
            self._active.dec()
            seconds = time.perf_counter() - started
            status = ABORTED if observed.status is None else str(observed.status)
            method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
            # Read after the router has run: it is the router that knows the template.
            self._duration.labels(method, route_of(scope), status).observe(seconds)


def route_of(scope: Scope) -> str:
    """Return the template of the route that a request came to, never its path."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) and path else UNMATCHED
