"""Writes one part of a corpus in a trainer's format.

JSON lines (plain, `.gz`, `.zst`) and Parquet hold `text` or the fields of conversations, and
`domain`. MDS (`mosaicml/streaming`, version 2) holds the same columns, one folder for all parts.
Megatron (`.bin` with `.idx`) holds a document per sequence with its end-of-text; `tokens` are flat
integers without a header, as OLMo reads them under the ending `.npy`.
"""

import gzip
import json
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tandem_engine.materialise.contents import OutputFormat
from tandem_engine.materialise.spills import Reading

MDS_INDEX = "index.json"

_MEGATRON_CODES = {"uint8": 1, "int32": 4, "int64": 5, "uint16": 8}
_MDS_CONFIG = b"{}"


def write_part(
    folder: Path,
    part: int,
    readings: Sequence[Reading],
    *,
    output: OutputFormat,
    compression: str | None,
    dtype: str | None,
) -> dict[str, Any]:
    """Write a part; returns what the index of the corpus says of it.

    Args:
        folder: The corpus's.
        part: Number of the part.
        readings: In their order.
        output: Format.
        compression: `gzip`, `zstd` or None; of `jsonl` only, Parquet is always Zstandard.
        dtype: Type of tokens; None for records.
    """
    name = f"part-{part:05d}"
    contents = [reading.content for reading in readings]
    if output == "jsonl":
        files = [_write_lines(folder, name, contents, compression)]
    elif output == "parquet":
        files = [_write_parquet(folder, name, contents)]
    elif output == "mds":
        files = [_write_mds(folder, part, contents)]
    elif output == "megatron":
        files = _write_megatron(folder, name, contents, _megatron_dtype(str(dtype)), str(dtype))
    else:
        (folder / f"{name}.npy").write_bytes(b"".join(contents))
        files = [f"{name}.npy"]
    described: dict[str, Any] = {"files": files, "documents": len(contents)}
    if dtype is not None:
        described["tokens"] = sum(map(len, contents)) // np.dtype(dtype).itemsize
    return described


def write_mds_index(folder: Path, parts: Iterable[dict[str, Any]]) -> None:
    """Write the index of an MDS folder from what its parts said of themselves."""
    shards = [
        json.loads((folder / f"{file}.json").read_text())
        for part in parts
        for file in part["files"]
    ]
    index = {"version": 2, "shards": shards}
    (folder / MDS_INDEX).write_text(json.dumps(index), encoding="utf-8")
    for part in parts:
        for file in part["files"]:
            (folder / f"{file}.json").unlink()


def _write_lines(
    folder: Path, name: str, contents: Sequence[bytes], compression: str | None
) -> str:
    raw = b"".join(content + b"\n" for content in contents)
    if compression == "gzip":
        path = folder / f"{name}.jsonl.gz"
        path.write_bytes(gzip.compress(raw, mtime=0))
    elif compression == "zstd":
        path = folder / f"{name}.jsonl.zst"
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(raw)
    else:
        path = folder / f"{name}.jsonl"
        path.write_bytes(raw)
    return path.name


def _write_parquet(folder: Path, name: str, contents: Sequence[bytes]) -> str:
    rows = [json.loads(content) for content in contents]
    table = pa.Table.from_pylist(rows) if rows else pa.table({"text": [], "domain": []})
    pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    return f"{name}.parquet"


def _write_mds(folder: Path, part: int, contents: Sequence[bytes]) -> str:
    rows = [json.loads(content) for content in contents]
    columns = sorted({name for row in rows for name in row}) or ["domain", "text"]
    # Streaming wants equal columns in all shards: what is no text everywhere is JSON.
    kinds = {name: "str" if name in {"text", "domain"} else "json" for name in columns}
    samples = [_mds_sample(row, kinds) for row in rows]
    start = 4 * (len(samples) + 2) + len(_MDS_CONFIG)
    offsets = np.cumsum([start, *map(len, samples)]).astype("<u4")
    raw = struct.pack("<I", len(samples)) + offsets.tobytes() + _MDS_CONFIG + b"".join(samples)
    name = f"shard.{part:05d}.mds"
    (folder / name).write_bytes(raw)
    entry = {
        "column_encodings": list(kinds.values()),
        "column_names": list(kinds),
        "column_sizes": [None] * len(kinds),
        "compression": None,
        "format": "mds",
        "hashes": [],
        "raw_data": {"basename": name, "bytes": len(raw), "hashes": {}},
        "samples": len(samples),
        "size_limit": None,
        "version": 2,
        "zip_data": None,
    }
    (folder / f"{name}.json").write_text(json.dumps(entry), encoding="utf-8")
    return name


def _mds_sample(row: dict[str, Any], kinds: dict[str, str]) -> bytes:
    values = [
        (row[name] if kind == "str" else json.dumps(row.get(name))).encode("utf-8")
        for name, kind in kinds.items()
    ]
    return struct.pack(f"<{len(values)}I", *map(len, values)) + b"".join(values)


def _megatron_dtype(dtype: str) -> str:
    # Megatron has no unsigned 32-bit integers.
    return "int32" if dtype == "uint32" else dtype


def _write_megatron(
    folder: Path, name: str, contents: Sequence[bytes], stored: str, dtype: str
) -> list[str]:
    size = np.dtype(dtype).itemsize
    lengths = np.array([len(content) // size for content in contents], dtype="<i4")
    ends = np.cumsum(lengths, dtype=np.int64) * np.dtype(stored).itemsize
    pointers = np.concatenate([[0], ends[:-1]]).astype("<i8") if len(ends) else ends
    with (folder / f"{name}.bin").open("wb") as file:
        for content in contents:
            file.write(np.frombuffer(content, dtype).astype(stored).tobytes())
    count = len(contents)
    head = struct.pack("<9sQBQQ", b"MMIDIDX\x00\x00", 1, _MEGATRON_CODES[stored], count, count + 1)
    documents = np.arange(count + 1, dtype="<i8")
    tail = lengths.tobytes() + pointers.tobytes() + documents.tobytes()
    (folder / f"{name}.idx").write_bytes(head + tail)
    return [f"{name}.bin", f"{name}.idx"]
