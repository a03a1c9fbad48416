"""Damaged and malicious files: the right result or one clear error, in bounded memory and time."""

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import hostile_reader
from support.files import write_mds, write_megatron, zstd

from service.datasets import inspection
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.inputs.access import Access

TEXTS = [f"some words number {number} " * 5 for number in range(40)]
LINES = b"".join(json.dumps({"text": text}).encode() + b"\n" for text in TEXTS)
MIB = 2**20


def _child(uri: Path, rounds: int = 0, **settings: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, hostile_reader.__file__, str(uri), json.dumps(settings), str(rounds)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _packed(path: Path, parts: list[bytes]) -> Path:
    """Write parts, compressed as the ending says, without holding them together."""
    if path.suffix == ".zst":
        with pa.OSFile(str(path), "wb") as file, pa.CompressedOutputStream(file, "zstd") as stream:
            for part in parts:
                stream.write(part)
        return path
    with gzip.open(path, "wb", compresslevel=1) if path.suffix == ".gz" else path.open("wb") as out:
        for part in parts:
            out.write(part)
    return path


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_a_line_of_a_hundred_megabytes_is_a_document(tmp_path: Path, ending: str) -> None:
    body = [b"a" * MIB] * 100
    path = _packed(tmp_path / f"a.jsonl{ending}", [b'{"text": "', *body, b'"}\n'])
    found = _child(path)
    assert found["read"] == [1, 100 * MIB]
    assert found["peak"] < 1200 * MIB


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
@pytest.mark.parametrize("form", ["jsonl", "lines", "text"])
def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, form: str, ending: str
) -> None:
    path = _packed(tmp_path / f"a.txt{ending}", [b"a" * MIB] * (1500 if ending else 200))
    found = _child(path, format=form)
    assert found["code"] == "dataset_malformed"
    assert "longer than 128 MiB" in found["message"]
    assert found["peak"] < 600 * MIB


def _spec(path: Path) -> JobSpec:
    domains = [{"name": name, "uris": [str(path)]} for name in ("a", "b")]
    return JobSpec.model_validate({"domains": domains})


def test_the_service_leaves_off_reading_blank_lines(tmp_path: Path) -> None:
    path = _packed(tmp_path / "a.jsonl.gz", [b"\n" * MIB] * 500)
    assert path.stat().st_size < 4 * MIB
    started = time.perf_counter()
    problems = inspection.inspect(_spec(path), {"a": 0, "b": 1}, Access())
    assert time.perf_counter() - started < 30
    assert problems == []  # what comes after is the engine's to find


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b'{"text": ' + b"[" * 500_000 + b"]" * 500_000 + b"}\n", "line 1 is not JSON"),
        (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "line 1 is not JSON"),
        (b'{"text": ' + b"9" * 5000 + b"}\n", "line 1 is not JSON"),
        (b'{"text": "\x00"}\n', "line 1 is not JSON"),
        (b"\x00" * 1000, "line 1 is not JSON"),
        ('{"text": "x"}\n'.encode("utf-16"), "line 1 is not UTF-8"),
        ('{"text": "é"}\n'.encode("latin-1"), "line 1 is not UTF-8"),
        (b'{"text": "x"}\n{"text": "y', "line 2 is not JSON"),
        (b'{"text": NaN}\n', "line 1: 'text' is of type float"),
        (b'{"text": {"__class__": "os.system"}}\n', "line 1: 'text' is of type dict"),
    ],
)
def test_a_hostile_line_is_one_error(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    found = _child(path)
    assert found["code"] == "dataset_malformed"
    assert f"{path}: {what}" in found["message"]


def test_a_nul_that_json_escapes_is_a_character_like_others(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a\\u0000b"}\n')
    assert _child(path)["read"] == [1, 3]


def test_arrays_of_objects_are_never_unpickled(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "pwned",))

    np.save(tmp_path / "a.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    found = _child(tmp_path / "a.npy")
    assert found["code"] == "dataset_malformed"
    assert "object" in found["message"]
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("shape", ["(4611686018427387904,)", "(-1, 2)", "(2, -1)", "(3, 99999999)"])
def test_a_shape_that_the_file_does_not_hold_is_one_error(tmp_path: Path, shape: str) -> None:
    head = f"{{'descr': '<i4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    head = head.ljust(117) + b"\n"
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(64))
    assert _child(path)["code"] == "dataset_malformed"


def test_a_dictionary_that_stands_for_gigabytes_is_read_in_small_batches(tmp_path: Path) -> None:
    text = "x" * (16 * MIB)
    table = pa.table({"text": pa.DictionaryArray.from_arrays([0] * 400, [text])})
    pq.write_table(table, tmp_path / "a.parquet", dictionary_pagesize_limit=64 * MIB)
    assert (tmp_path / "a.parquet").stat().st_size < MIB
    found = _child(tmp_path / "a.parquet")
    assert found["read"] == [400, 400 * 16 * MIB]
    assert found["peak"] < 2500 * MIB


@pytest.mark.parametrize(
    "content", ['{"shards": 1}', '{"shards": [1]}', "[" * 99_999, "{}", "\xff"]
)
def test_a_hostile_index_is_one_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "index.json").write_text(content, encoding="latin-1")
    found = _child(tmp_path / "d")
    assert found.get("code") == "dataset_malformed" or found["read"] == [0, 0]


@pytest.mark.parametrize("name", ["../a.mds", "/etc/passwd", "x/../../a.mds", ""])
@pytest.mark.parametrize("index", ["state.json", "index.json"])
def test_an_index_names_files_of_its_own_folder_only(tmp_path: Path, index: str, name: str) -> None:
    (tmp_path / "d").mkdir()
    content = {
        "_data_files": [{"filename": name}],
        "shards": [{"raw_data": {"basename": name}, "zip_data": None}],
    }
    (tmp_path / "d" / index).write_text(json.dumps(content))
    found = _child(tmp_path / "d")
    assert found["code"] == "dataset_malformed"
    assert "names the file" in found["message"]


def _jsonl(folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(LINES)


def _gz(folder: Path) -> None:
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(LINES))


def _zst(folder: Path) -> None:
    (folder / "a.jsonl.zst").write_bytes(zstd(LINES))


def _parquet(compression: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        table = pa.table({"text": TEXTS, "id": range(len(TEXTS))})
        pq.write_table(table, folder / "a.parquet", compression=compression, row_group_size=16)

    return write


def _arrow(open_new: Callable[..., Any], compression: str | None) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        kind = pa.dictionary(pa.int32(), pa.string()) if compression else pa.string()
        table = pa.table({"text": pa.array(TEXTS, pa.string()).cast(kind), "id": range(len(TEXTS))})
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with (
            pa.OSFile(str(folder / "a.arrow"), "wb") as sink,
            open_new(sink, table.schema, options=options) as writer,
        ):
            writer.write_table(table, max_chunksize=16)

    return write


def _npy(folder: Path) -> None:
    np.save(folder / "a.npy", np.arange(500, dtype=np.int32) % 50)


def _megatron(folder: Path) -> None:
    write_megatron(folder / "a", [[1, 2, 3], [4, 5], [6] * 30], "int32")


def _mds(folder: Path) -> None:
    folder.rmdir()
    rows = [{"text": text, "id": 7} for text in TEXTS]
    write_mds(folder, [rows[:20], rows[20:]], {"text": "str", "id": "int"}, "zstd")


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(_jsonl, id="jsonl"),
        pytest.param(_gz, id="gzip"),
        pytest.param(_zst, id="zstd"),
        pytest.param(_parquet("none"), id="parquet"),
        pytest.param(_parquet("zstd"), id="parquet-zstd"),
        pytest.param(_arrow(pa.ipc.new_stream, None), id="arrow-stream"),
        pytest.param(_arrow(pa.ipc.new_file, "zstd"), id="arrow-file-zstd"),
        pytest.param(_npy, id="npy"),
        pytest.param(_megatron, id="megatron"),
        pytest.param(_mds, id="mds"),
    ],
)
def test_damage_anywhere_is_one_clear_error_or_none(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    good = tmp_path / "good"
    good.mkdir()
    write(good)
    found = _child(good, rounds=400)
    assert found["faults"][:3] == []
    assert sum(found["outcomes"].values()) == 400
    assert set(found["outcomes"]) <= {
        "read",
        "dataset_malformed",
        "dataset_unreadable",
        "invalid_spec",
    }
    assert found["peak"] < 1200 * MIB
