"""Every file format gives the same documents; damage is one clear error."""

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.corpora import domain, write_jsonl
from support.files import write_mds, write_megatron, zstd

from tandem_engine.contracts.domains import DomainSpec
from tandem_engine.errors import (
    DatasetMalformedError,
    DatasetUnreadableError,
    InvalidSpecError,
    TandemError,
)
from tandem_engine.inputs.documents import Document, iterate_documents, iterate_file
from tandem_engine.inputs.listing import source_files

TEXTS = ["one", "grüße", "three\nlines\n", "x" * 5000]


def _lines(texts: list[str] = TEXTS) -> bytes:
    return b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)


def _jsonl(path: Path) -> None:
    path.write_bytes(_lines())


def _gzip(path: Path) -> None:
    # Two members, as `cat a.gz b.gz` and some writers make them.
    path.write_bytes(gzip.compress(_lines(TEXTS[:2])) + gzip.compress(_lines(TEXTS[2:])))


def _zstd(path: Path) -> None:
    path.write_bytes(zstd(_lines(TEXTS[:2])) + zstd(_lines(TEXTS[2:])))


def _parquet(path: Path) -> None:
    pq.write_table(pa.table({"text": TEXTS, "id": range(4)}), path)


def _arrow_stream(path: Path) -> None:
    table = pa.table({"id": range(4), "text": TEXTS})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)


def _arrow_file(path: Path) -> None:
    table = pa.table({"id": range(4), "text": TEXTS})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)


WRITERS: dict[str, Callable[[Path], None]] = {
    "a.jsonl": _jsonl,
    "a.json": _jsonl,
    "a.jsonl.gz": _gzip,
    "a.jsonl.zst": _zstd,
    "a.parquet": _parquet,
    "stream.arrow": _arrow_stream,
    "file.arrow": _arrow_file,
}


def _read(spec: DomainSpec) -> list[tuple[int, str]]:
    return [(one.index, one.text) for one in iterate_documents(spec)]


def _refused(kind: type[TandemError], spec: DomainSpec) -> TandemError:
    with pytest.raises(kind) as caught:
        list(iterate_documents(spec))
    assert caught.value.hint
    assert caught.value.field
    return caught.value


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_gives_its_documents(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    assert _read(domain("d", tmp_path / name)) == list(enumerate(TEXTS))


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "a.json"])
def test_a_file_that_is_cut_off_is_an_error_and_not_a_shorter_dataset(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    path.write_bytes(path.read_bytes()[:-9])
    error = _refused(DatasetMalformedError, domain("d", path))
    assert error.value == str(path)
    assert name in error.message


@pytest.mark.parametrize("ending", ["jsonl.gz", "jsonl.zst", "parquet", "arrow", "npy", "idx"])
def test_a_file_that_is_not_what_its_ending_says_is_an_error(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(_lines() * 3)
    (file,) = source_files(domain("d", path))
    with pytest.raises(DatasetMalformedError, match=f"a.{ending}"):
        list(iterate_file(file, end_of_text=0))


def test_a_saved_dataset_of_hugging_face_is_read_from_its_folder(tmp_path: Path) -> None:
    saved = datasets.Dataset.from_dict({"text": TEXTS})
    saved.save_to_disk(tmp_path / "saved", num_shards=2)
    assert [text for _, text in _read(domain("d", tmp_path / "saved"))] == TEXTS
    datasets.DatasetDict({"train": saved}).save_to_disk(tmp_path / "splits")
    error = _refused(DatasetUnreadableError, domain("d", tmp_path / "splits"))
    assert str(tmp_path / "splits" / "train") in error.hint
    assert len(_read(domain("d", tmp_path / "splits" / "train"))) == len(TEXTS)


@pytest.mark.parametrize("compression", [None, "gz", "zstd:3"])
def test_mds_is_read_from_its_folder_and_by_its_shards(
    tmp_path: Path, compression: str | None
) -> None:
    rows = [{"id": n, "text": text} for n, text in enumerate(TEXTS)]
    write_mds(tmp_path / "mds", [rows[:3], rows[3:]], {"id": "int", "text": "str"}, compression)
    assert _read(domain("d", tmp_path / "mds")) == [
        (0, "one"),
        (1, "grüße"),
        (2, TEXTS[2]),
        (0, TEXTS[3]),
    ]
    assert len(_read(domain("d", tmp_path / "mds" / "shard.0000*", format="mds"))) == len(TEXTS)


def test_conversations_are_read_from_mds(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    write_mds(tmp_path / "mds", [[{"messages": turns}]], {"messages": "json"})
    (found,) = iterate_documents(domain("d", tmp_path / "mds", records="messages"))
    assert [message.content for message in found.messages] == ["q", "a"]


def test_a_column_of_mds_that_is_no_text_is_refused(tmp_path: Path) -> None:
    write_mds(tmp_path / "mds", [[{"text": 7}]], {"text": "int"})
    assert (
        "encoding 'int'" in _refused(DatasetMalformedError, domain("d", tmp_path / "mds")).message
    )


def test_each_line_is_a_document_where_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufefferste\r\n\nzwei\u2028te\n".encode())
    assert _read(domain("d", path, format="lines")) == [(0, "erste"), (2, "zwei\u2028te")]


def test_a_text_inside_of_another_field_is_named_by_its_path(tmp_path: Path) -> None:
    rows = [{"data": {"body": text}, "data.id": 1} for text in TEXTS]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "b.parquet")
    for path in tmp_path.iterdir():
        assert _read(domain("d", path, text_field="data.body")) == list(enumerate(TEXTS))
        missing = _refused(DatasetMalformedError, domain("d", path, text_field="data.text"))
        assert "has no field 'data.text'" in missing.message


def test_patterns_match_files_in_bytewise_order_and_each_once(tmp_path: Path) -> None:
    for place, name in enumerate(("b.jsonl", "a.jsonl", "deep/c.jsonl", "a.txt")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_jsonl(tmp_path / name, [str(place)])
    spec = DomainSpec(name="d", uris=[f"{tmp_path}/**/*.jsonl", f"{tmp_path}/a.jsonl"])
    assert [Path(file.uri).name for file in source_files(spec)] == ["a.jsonl", "b.jsonl", "c.jsonl"]
    assert [text for _, text in _read(spec)] == ["1", "0", "2"]
    nothing = domain("d", tmp_path / "*.parquet")
    assert "matches no file" in _refused(DatasetUnreadableError, nothing).message


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a[1].jsonl", ["x"])
    assert _read(domain("d", path)) == [(0, "x")]


def test_a_table_compressed_as_a_whole_is_refused(tmp_path: Path) -> None:
    error = _refused(InvalidSpecError, domain("d", tmp_path / "a.parquet.gz"))
    assert "decompress it" in error.hint


# Tokens that are there already.

IDS = [[5, 6, 0], [7, 0], [8, 9, 10]]


def _ids(path: Path, **settings: Any) -> list[list[int]]:
    (file,) = source_files(domain("d", path, **settings))
    found: list[Document] = list(iterate_file(file, end_of_text=0))
    assert [one.index for one in found] == list(range(len(found)))
    return [one.tokens.tolist() for one in found if one.tokens is not None]


@pytest.mark.parametrize("dtype", ["uint16", "int32", "int64"])
@pytest.mark.parametrize("named", ["a.idx", "a.bin", "a"])
def test_megatron_data_gives_its_documents(tmp_path: Path, dtype: str, named: str) -> None:
    write_megatron(tmp_path / "a", IDS, dtype)
    assert _ids(tmp_path / named, format="megatron") == IDS


def test_a_document_of_several_sequences_is_one(tmp_path: Path) -> None:
    write_megatron(tmp_path / "a", IDS, "uint16", documents=[0, 2, 3])
    assert _ids(tmp_path / "a.idx") == [[5, 6, 0, 7, 0], [8, 9, 10]]


def test_an_index_that_promises_more_than_there_is_is_an_error(tmp_path: Path) -> None:
    write_megatron(tmp_path / "a", IDS, "uint16")
    (tmp_path / "a.bin").write_bytes((tmp_path / "a.bin").read_bytes()[:-2])
    with pytest.raises(DatasetMalformedError, match="more tokens than its"):
        _ids(tmp_path / "a.idx")


def test_flat_tokens_end_a_document_at_each_end_of_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat = np.array([id_ for ids in IDS for id_ in ids], dtype=np.uint16)
    np.save(tmp_path / "a.npy", flat)
    flat.tofile(tmp_path / "a.bin")
    for chunk in (1, 2, 3, 100):
        monkeypatch.setattr("tandem_engine.inputs.tokens._CHUNK_TOKENS", chunk)
        assert _ids(tmp_path / "a.npy") == IDS
        assert _ids(tmp_path / "a.bin", format="tokens", token_dtype="uint16") == IDS


def test_rows_of_an_array_are_documents(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[1, 2], [3, 4]], dtype=np.int32))
    assert _ids(tmp_path / "a.npy") == [[1, 2], [3, 4]]


def test_an_array_without_a_header_says_what_it_is(tmp_path: Path) -> None:
    np.arange(10, dtype=np.uint16).tofile(tmp_path / "a.npy")
    with pytest.raises(DatasetMalformedError, match="is no NumPy array") as caught:
        _ids(tmp_path / "a.npy")
    assert "token_dtype" in caught.value.hint


def test_an_array_of_objects_is_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DatasetMalformedError):
        _ids(tmp_path / "a.npy")


def test_a_shard_of_mds_that_lies_about_its_size_is_an_error(tmp_path: Path) -> None:
    write_mds(tmp_path / "mds", [[{"text": "x"}]], {"text": "str"})
    (tmp_path / "mds" / "shard.00000.mds").write_bytes(struct.pack("<III", 1, 4, 2**31))
    assert (
        "no whole MDS shard"
        in _refused(DatasetMalformedError, domain("d", tmp_path / "mds")).message
    )
