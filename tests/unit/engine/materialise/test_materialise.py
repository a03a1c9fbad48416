"""The corpus: each document as often as the manifest says, in one order, whole or absent."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.conversations import tokenizer_folder
from support.corpora import corpus_spec
from support.materialised import (
    TEXTS,
    bytes_of,
    canonical,
    planned,
    readings_of,
    records_planned,
    records_written,
    texts_planned,
    token_documents,
)

from tandem_engine.errors import InvalidSpecError, ManifestDamagedError
from tandem_engine.materialise.executors import LocalExecutor
from tandem_engine.materialise.run import MaterialiseRequest, materialise

RECORDS = [
    ("jsonl", None),
    ("jsonl", "gzip"),
    ("jsonl", "zstd"),
    ("parquet", None),
    ("mds", None),
]
TOKENS = ["megatron", "tokens"]


def made(manifest: Path, out: Path, **settings: Any) -> dict[str, Any]:
    return materialise(MaterialiseRequest(manifest, out, **settings))


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize(("output", "compression"), RECORDS)
def test_records_are_written_as_often_as_planned(
    tmp_path: Path, output: Any, compression: str | None, parts: int
) -> None:
    manifest, out = texts_planned(tmp_path), tmp_path / "out"
    index = made(manifest, out, format=output, compression=compression, parts=parts)
    rows = records_written(out, output)
    expected = records_planned(manifest)
    assert Counter(map(canonical, rows)) == expected
    assert max(expected.values()) > 1
    assert index["documents"] == len(rows) == sum(part["documents"] for part in index["parts"])
    assert (len(index["parts"]), index["left_out"]) == (parts, 0)
    assert json.loads((out / "corpus.json").read_text()) == index
    assert not (out / ".spills").exists()


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("output", TOKENS)
def test_tokens_are_written_as_often_as_planned(tmp_path: Path, output: Any, parts: int) -> None:
    manifest, out = texts_planned(tmp_path), tmp_path / "out"
    index = made(manifest, out, format=output, parts=parts)
    expected: Counter[str] = Counter()
    for record, count in records_planned(manifest).items():
        expected[json.loads(record)["text"]] += count
    documents = token_documents(out, output)
    assert {ids[-1] for ids in documents} == {256}
    assert Counter(bytes(ids[:-1]).decode() for ids in documents) == expected
    assert index["dtype"] == "uint16"
    head = json.loads((manifest / "manifest.json").read_text())
    assert sum(part["tokens"] for part in index["parts"]) == head["planned_tokens"]


def test_megatron_files_are_as_their_specification_says(tmp_path: Path) -> None:
    out = tmp_path / "out"
    made(texts_planned(tmp_path), out, format="megatron")
    raw = (out / "part-00000.idx").read_bytes()
    assert raw[:9] == b"MMIDIDX\x00\x00"
    count, documents = np.frombuffer(raw, "<u8", 2, offset=18).tolist()
    assert (int.from_bytes(raw[9:17], "little"), raw[17], documents) == (1, 8, count + 1)
    lengths = np.frombuffer(raw, "<i4", count, offset=34)
    pointers = np.frombuffer(raw, "<i8", count, offset=34 + 4 * count)
    starts = np.frombuffer(raw, "<i8", offset=34 + 12 * count)
    assert pointers.tolist() == [0, *np.cumsum(2 * lengths.astype(int))[:-1].tolist()]
    assert starts.tolist() == list(range(count + 1))
    assert (out / "part-00000.bin").stat().st_size == 2 * lengths.sum()


@pytest.mark.parametrize("output", ["jsonl", "parquet", "mds", *TOKENS])
def test_two_processes_write_the_same_bytes_as_one(tmp_path: Path, output: Any) -> None:
    manifest = texts_planned(tmp_path)
    for workers in (1, 2):
        request = MaterialiseRequest(manifest, tmp_path / str(workers), format=output, parts=2)
        materialise(request, LocalExecutor(workers))
    assert bytes_of(tmp_path / "1") == bytes_of(tmp_path / "2")


@pytest.mark.parametrize(
    ("output", "compression"), [*RECORDS, *((output, None) for output in TOKENS)]
)
def test_batches_and_buffers_change_no_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: Any, compression: str | None
) -> None:
    manifest = texts_planned(tmp_path)
    settings: dict[str, Any] = {"format": output, "compression": compression, "parts": 2}
    made(manifest, tmp_path / "whole", **settings)
    monkeypatch.setattr("tandem_engine.materialise.spills.BUFFER_BYTES", 500)
    monkeypatch.setattr("tandem_engine.materialise.spills._STEP", 7)
    monkeypatch.setattr("tandem_engine.materialise.deal._BATCH", 3)
    made(manifest, tmp_path / "spilled", **settings)
    assert bytes_of(tmp_path / "whole") == bytes_of(tmp_path / "spilled")
    monkeypatch.setattr("tandem_engine.materialise.writers.BATCH_BYTES", 300)
    made(manifest, tmp_path / "batched", **settings)
    if output in TOKENS:
        written = [token_documents(tmp_path / name, output) for name in ("whole", "batched")]
        assert written[0] == written[1]
    else:
        assert records_written(tmp_path / "whole", output) == records_written(
            tmp_path / "batched", output
        )


def test_the_order_is_a_shuffle_of_its_seed_alone(tmp_path: Path) -> None:
    manifest = texts_planned(tmp_path)
    orders = {}
    for name, settings in {
        "one": {},
        "again": {},
        "parts": {"parts": 5},
        "other": {"order_seed": 1},
    }.items():
        made(manifest, tmp_path / name, **settings)
        orders[name] = [canonical(row) for row in records_written(tmp_path / name, "jsonl")]
    assert orders["one"] == orders["again"] == orders["parts"]
    assert orders["one"] != orders["other"]
    assert sorted(orders["one"]) == sorted(orders["other"])
    # A shuffle of 40 % b alternates between domains about every other document.
    domains = [json.loads(row)["domain"] for row in orders["one"]]
    changes = sum(one != other for one, other in pairwise(domains))
    assert changes > len(domains) / 3
    # Readings of one document lie apart.
    text = Counter(orders["one"]).most_common(1)[0][0]
    places = [place for place, row in enumerate(orders["one"]) if row == text]
    assert max(places) - min(places) > len(places)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_source_that_was_changed_is_refused(tmp_path: Path, workers: int) -> None:
    manifest = texts_planned(tmp_path)
    with (tmp_path / "b.jsonl").open("a") as file:
        file.write('{"text": "new"}\n')
    with pytest.raises(ManifestDamagedError, match=r"b\.jsonl was changed after") as raised:
        materialise(MaterialiseRequest(manifest, tmp_path / "out"), LocalExecutor(workers))
    assert "plan again" in raised.value.hint
    assert not list(tmp_path.glob("*out*"))


def test_a_folder_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    manifest = texts_planned(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("kept")
    with pytest.raises(InvalidSpecError, match="is there already"):
        made(manifest, tmp_path / "out")
    assert bytes_of(tmp_path / "out") == {"precious": b"kept"}


@pytest.mark.parametrize("output", ["jsonl", "parquet", "mds", *TOKENS])
def test_more_parts_than_documents_are_no_error(tmp_path: Path, output: Any) -> None:
    manifest = texts_planned(tmp_path, [0.0, 1.0, 0.0], 200)
    index = made(manifest, tmp_path / "out", format=output, parts=20)
    assert 0 < index["documents"] < 20
    assert {domain for domain, _, _ in readings_of(manifest)} == {"b"}
    if output not in TOKENS:
        rows = records_written(tmp_path / "out", output)
        assert Counter(map(canonical, rows)) == records_planned(manifest)
    if output == "parquet":
        schemas = {pq.read_schema(path) for path in (tmp_path / "out").glob("*.parquet")}
        assert len(schemas) == 1


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_refused(tmp_path: Path, seed: int) -> None:
    with pytest.raises(InvalidSpecError, match="seed is"):
        made(tmp_path, tmp_path / "out", order_seed=seed)


def test_a_job_whose_tokenizer_lies_elsewhere_asks_for_it(tmp_path: Path) -> None:
    folder = str(tokenizer_folder(tmp_path / "tokenizer"))
    spec = corpus_spec(tmp_path, TEXTS, tokenizer={"kind": "huggingface", "path": folder})
    manifest = planned(tmp_path, spec)
    with pytest.raises(InvalidSpecError, match="which it does not hold"):
        made(manifest, tmp_path / "out", format="tokens")
    index = made(manifest, tmp_path / "out", format="tokens", tokenizer=folder)
    head = json.loads((manifest / "manifest.json").read_text())
    assert sum(part["tokens"] for part in index["parts"]) == head["planned_tokens"]


def test_the_number_of_parts_follows_the_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = texts_planned(tmp_path)
    monkeypatch.setattr("tandem_engine.materialise.run.PART_BYTES", 3000)
    assert len(made(manifest, tmp_path / "out")["parts"]) in {3, 4, 5}
