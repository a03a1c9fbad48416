"""The folder is the tier: nobody can forget a mark."""

import os
from pathlib import Path

import hypothesis
import pytest

# As the engine's command line does: spinning threads crawl on busy cores. Before torch loads.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")

# How fast a busy machine is must not decide a test.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

TIERS = ("unit", "integration", "interop", "e2e", "gpu")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    root = Path(__file__).parent
    for item in items:
        tier = item.path.relative_to(root).parts[0]
        if tier in TIERS:
            item.add_marker(getattr(pytest.mark, tier))
