"""LitData: a combined dataset of documents, or of sequences, gives the learned shares of tokens."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from interop.shares import (
    Check,
    Mixture,
    bounds_of_draws,
    naive_tokens,
    shares,
    sources,
    within,
)

pytest.importorskip("litdata", reason="litdata is in an environment of its own")
import torch
from litdata.streaming.item_loader import TokensLoader
from litdata.streaming.writer import BinaryWriter

END = 256
SEQUENCE = 128
EPOCHS = 40


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stays behind in the user's own cache."""
    monkeypatch.setenv("LITDATA_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def documents(inside: Path, texts: Mixture) -> Path:
    for domain in texts.domains:
        records = sources(inside, "texts", domain.name)
        _write(inside / "domains" / domain.slug / "litdata", [row["text"] for row in records])
    return inside


@pytest.fixture
def sequences(inside: Path, texts: Mixture) -> Path:
    for domain in texts.domains:
        ids = np.fromfile(inside / "domains" / domain.slug / "tokens/part-00000.npy", np.uint16)
        whole = torch.from_numpy(ids[: len(ids) // SEQUENCE * SEQUENCE].astype(np.int32))
        place = inside / "domains" / domain.slug / "litdata_packed"
        _write(place, list(whole.split(SEQUENCE)), item_loader=TokensLoader(SEQUENCE))
    return inside


def _bounds(chance: dict[str, float], draws: float) -> dict[str, float]:
    """Return bounds that know how an epoch ends: the draw that finds a domain exhausted is lost."""
    return {name: bound + EPOCHS / draws for name, bound in chance.items()}


def _write(place: Path, items: list[Any], **options: Any) -> None:
    # The writer below `litdata.optimize`, which would start processes for a few hundred items.
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    writer = BinaryWriter(str(place), chunk_bytes=1 << 20, **options)
    for number, item in enumerate(items):
        writer.add_item(number, item)
    writer.done()
    writer.merge()


def _epochs(script: ModuleType, epochs: int) -> Iterator[Any]:
    for epoch in range(epochs):
        yield from script.mixture(epoch)


def test_documents_come_near_the_learned_shares(
    documents: Path, texts: Mixture, check: Check, exported: Callable[..., ModuleType]
) -> None:
    assert documents.is_dir()
    drawn = list(_epochs(exported("litdata", "mixture.py"), EPOCHS))
    bounds = _bounds(bounds_of_draws(texts, len(drawn)), len(drawn))
    check("litdata documents", texts, texts.tokens_of(drawn), bounds)
    assert not within(naive_tokens(texts, lambda one: one.share), texts.shares, bounds)


def test_sequences_come_near_the_learned_shares(
    sequences: Path, texts: Mixture, check: Check, exported: Callable[..., ModuleType]
) -> None:
    assert sequences.is_dir()
    drawn: Counter[str] = Counter()
    for tokens in _epochs(exported("litdata_packed", "mixture.py"), EPOCHS):
        ids = tokens.numpy()
        drawn[texts.domain_of(bytes(ids[ids < END].tolist()))] += len(ids)
    draws = sum(drawn.values()) / SEQUENCE
    # Of equal sequences: a binomial for each domain.
    learned = texts.shares.items()
    chance = {name: 4 * (share * (1 - share) / draws) ** 0.5 for name, share in learned}
    bounds = _bounds(chance, draws)
    check("litdata packed", texts, drawn, bounds)


def test_each_epoch_ends_with_the_first_exhausted_domain_as_the_notes_say(
    documents: Path, texts: Mixture, exported: Callable[..., ModuleType]
) -> None:
    notes = (documents / "exports" / "litdata" / "NOTES.md").read_text()
    assert "LitData never repeats" in notes
    drawn = list(_epochs(exported("litdata", "mixture.py"), 1))
    read = Counter(texts.domain_of(text) for text in drawn)
    whole = [one.name for one in texts.domains if read[one.name] == len(one.lengths)]
    assert whole == ["short notes"]
    assert max(Counter(drawn).values()) == 1
    assert shares(read)["short notes"] == pytest.approx(
        texts.document_shares["short notes"], abs=0.1
    )
