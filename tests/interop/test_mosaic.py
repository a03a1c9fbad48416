"""MosaicML Streaming: streams with `choose` give the learned shares; its reader reads our MDS."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interop.shares import (
    Check,
    Mixture,
    bounds_of_counts,
    bounds_of_plan,
    naive_tokens,
    within,
)

pytest.importorskip("streaming", reason="mosaicml-streaming is in its own environment")
import yaml
from streaming import MDSWriter, Stream, StreamingDataset
from streaming.base.util import clean_stale_shared_memory

END = 256
SEQUENCE = 128


@pytest.fixture(autouse=True)
def shared_memory() -> None:
    """What another dataset left there is taken for this one's."""
    clean_stale_shared_memory()


def _loader(export: Path) -> dict[str, Any]:
    config = yaml.safe_load((export / "train_loader.yaml").read_text())
    loader: dict[str, Any] = config["train_loader"]["dataset"]
    return loader


def _samples(loader: dict[str, Any], cache: Path) -> Iterator[dict[str, Any]]:
    streams = []
    for name, described in loader["streams"].items():
        assert Path(described["remote"]).is_dir()
        streams.append(Stream(**described | {"local": str(cache / name)}))
    dataset = StreamingDataset(
        streams=streams,
        shuffle=loader["shuffle"],
        shuffle_seed=loader["shuffle_seed"],
        batch_size=1,
    )
    yield from dataset


def test_streams_of_documents_give_the_learned_shares(
    inside: Path, texts: Mixture, check: Check, tmp_path: Path
) -> None:
    loader = _loader(inside / "exports" / "mosaic")
    drawn = [sample["text"] for sample in _samples(loader, tmp_path)]
    assert len(drawn) == texts.documents["mosaic"]
    assert texts.documents_off(drawn) < 1
    check("mosaic choose", texts, texts.tokens_of(drawn), bounds_of_counts(texts))


def test_streams_of_packed_sequences_give_the_learned_shares(
    inside: Path, texts: Mixture, check: Check, tmp_path: Path
) -> None:
    loader = _loader(inside / "exports" / "mosaic_packed")
    for domain in texts.domains:
        out = inside / "domains" / domain.slug / "mds_packed"
        ids = np.fromfile(inside / "domains" / domain.slug / "tokens/part-00000.npy", np.uint16)
        columns = {"tokens": f"ndarray:uint16:{SEQUENCE}"}
        with MDSWriter(out=str(out), columns=columns, exist_ok=True) as writer:
            for begin in range(0, len(ids) - SEQUENCE + 1, SEQUENCE):
                writer.write({"tokens": ids[begin : begin + SEQUENCE]})
    drawn = dict.fromkeys(texts.shares, 0)
    for sample in _samples(loader, tmp_path):
        tokens = sample["tokens"]
        drawn[texts.domain_of(bytes(tokens[tokens < END].tolist()))] += len(tokens)
    total = round(texts.all_tokens["mosaic_packed"] / SEQUENCE)
    # Whole samples by largest remainder: no domain is a whole sample off.
    check("mosaic choose, packed", texts, drawn, dict.fromkeys(texts.shares, 1 / total))


def test_choosing_documents_by_shares_of_tokens_would_fail_the_bound(
    inside: Path, texts: Mixture, tmp_path: Path
) -> None:
    loader = _loader(inside / "exports" / "mosaic")
    for described, share in zip(loader["streams"].values(), texts.shares.values(), strict=True):
        described["choose"] = round(share * texts.documents["mosaic"])
    drawn = texts.tokens_of(sample["text"] for sample in _samples(loader, tmp_path))
    assert not within(drawn, texts.shares, bounds_of_counts(texts))
    assert not within(
        naive_tokens(texts, lambda one: one.share), texts.shares, bounds_of_counts(texts)
    )


def test_the_materialised_corpus_is_read_in_the_order_of_its_json_lines(
    inside: Path, texts: Mixture, check: Check
) -> None:
    dataset = StreamingDataset(local=str(inside / "corpus" / "mds"), shuffle=False, batch_size=1)
    read = [{"text": row["text"], "domain": row["domain"]} for row in dataset]
    lines = (inside / "corpus" / "jsonl" / "part-00000.jsonl").read_text().splitlines()
    assert read == [json.loads(line) for line in lines]
    drawn = texts.tokens_of(row["text"] for row in read)
    check("mosaic, materialised", texts, drawn, bounds_of_plan(texts))
    assert all(texts.domain_of(row["text"]) == row["domain"] for row in read)


def test_conversations_are_read_as_they_were_written(inside: Path) -> None:
    dataset = StreamingDataset(
        local=str(inside / "sft_corpus" / "mds"), shuffle=False, batch_size=1
    )
    read = [{name: row[name] for name in ("prompt", "completion", "domain")} for row in dataset]
    lines = (inside / "sft_corpus" / "jsonl" / "part-00000.jsonl").read_text().splitlines()
    assert read == [json.loads(line) for line in lines]
