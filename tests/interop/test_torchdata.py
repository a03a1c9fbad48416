"""torchdata: a weighted sampler of nodes gives the learned shares of tokens."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType

import pytest
from interop.shares import Check, Mixture, bounds_of_draws, sources, within

pytest.importorskip("torchdata.nodes", reason="torchdata is in an environment of its own")
from torchdata.nodes import IterableWrapper

DRAWS = 20_000


def _drawn(script: ModuleType, data: Path, texts: Mixture) -> Iterator[str]:
    nodes = {
        one.name: IterableWrapper([row["text"] for row in sources(data, "texts", one.name)])
        for one in texts.domains
    }
    return islice(script.mixture(nodes), DRAWS)


def test_random_draws_come_near_the_learned_shares(
    data: Path, texts: Mixture, check: Check, exported: Callable[..., ModuleType]
) -> None:
    drawn = texts.tokens_of(_drawn(exported("torchdata", "mixture.py"), data, texts))
    check("torchdata", texts, drawn, bounds_of_draws(texts, DRAWS))


def test_weights_of_tokens_would_fail_the_bound(
    data: Path, texts: Mixture, exported: Callable[..., ModuleType]
) -> None:
    script = exported("torchdata", "mixture.py")
    script.WEIGHTS = texts.shares
    drawn = texts.tokens_of(_drawn(script, data, texts))
    assert not within(drawn, texts.shares, bounds_of_draws(texts, DRAWS))
