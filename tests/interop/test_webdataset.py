"""webdataset: RandomMix of shards gives the learned shares of tokens."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType

import pytest
from interop.shares import Check, Mixture, bounds_of_draws, sources, within

webdataset = pytest.importorskip("webdataset", reason="webdataset is in its own environment")

DRAWS = 20_000


@pytest.fixture
def shards(inside: Path, texts: Mixture) -> Path:
    """Every domain as a tar file of documents, where the export looks for it."""
    for domain in texts.domains:
        place = inside / "domains" / domain.slug / "documents.tar"
        with webdataset.TarWriter(str(place)) as writer:
            for number, record in enumerate(sources(inside, "texts", domain.name)):
                writer.write({"__key__": f"{number:06d}", "txt": record["text"]})
    return inside


def _drawn(script: ModuleType) -> Iterator[str]:
    return (sample["txt"].decode() for sample in islice(script.mixture(), DRAWS))


def test_random_draws_come_near_the_learned_shares(
    shards: Path, texts: Mixture, check: Check, exported: Callable[..., ModuleType]
) -> None:
    assert shards.is_dir()
    drawn = texts.tokens_of(_drawn(exported("webdataset", "mixture.py")))
    check("webdataset", texts, drawn, bounds_of_draws(texts, DRAWS))


def test_equal_workers_draw_the_same_and_others_do_not(
    shards: Path, exported: Callable[..., ModuleType]
) -> None:
    assert shards.is_dir()
    script = exported("webdataset", "mixture.py")
    first, again, other = (
        [sample["txt"] for sample in islice(script.mixture(worker), 50)] for worker in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_probabilities_of_tokens_would_fail_the_bound(
    shards: Path, texts: Mixture, exported: Callable[..., ModuleType]
) -> None:
    assert shards.is_dir()
    script = exported("webdataset", "mixture.py")
    script.PLAN = [[name, places, texts.shares[name]] for name, places, _ in script.PLAN]
    drawn = texts.tokens_of(_drawn(script))
    assert not within(drawn, texts.shares, bounds_of_draws(texts, DRAWS))
