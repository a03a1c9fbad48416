"""The metrics that there are, as the registry of an application names them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from service.context import Context
from service.metrics.http import HttpMetrics
from service.metrics.registry import Metrics
from service.settings import Settings

SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("_sum", "_count"),
}


class Shown(NamedTuple):
    """Type and labels of a metric."""

    type: str
    labels: tuple[str, ...]


@pytest.fixture(scope="session")
def shown() -> Mapping[str, Shown]:
    """Every metric by its name as documented: a counter's ends with `_total`."""
    settings = Settings(database_url="postgresql://x/x", redis_url="redis://x", data_dir=Path("x"))
    metrics = Metrics.create(settings, HttpMetrics(), Context.create(settings).reconciler)
    found = {}
    for collector in metrics.registry._collector_to_names:
        for metric in collector.describe():  # type: ignore[attr-defined]  # all of ours have it
            name = metric.name + ("_total" if metric.type == "counter" else "")
            described: Any = metric if hasattr(metric, "_labelnames") else collector
            found[name] = Shown(metric.type, tuple(described._labelnames))
    return found


@pytest.fixture(scope="session")
def series(shown: Mapping[str, Shown]) -> Mapping[str, tuple[str, ...]]:
    """The labels of every series that an expression may name."""
    found = {}
    for name, (kind, labels) in shown.items():
        for suffix in SUFFIXES[kind]:
            extra = ("le",) if suffix == "_bucket" else ()
            found[name.removesuffix("_total") + suffix] = (*labels, *extra)
    return found
