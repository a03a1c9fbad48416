"""Writes files of other tools' formats, by their specifications."""

import gzip
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

_CODES = {"uint8": 1, "int32": 4, "int64": 5, "uint16": 8}


def zstd(content: bytes) -> bytes:
    """Compress to one Zstandard frame."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())


def write_megatron(
    prefix: Path,
    sequences: Sequence[Sequence[int]],
    dtype: str,
    documents: Sequence[int] | None = None,
) -> None:
    """Write `prefix`.bin and .idx; `documents` are the sequences that documents start with."""
    arrays = [np.array(ids, dtype=dtype) for ids in sequences]
    starts = list(range(len(arrays) + 1)) if documents is None else list(documents)
    lengths = np.array([len(ids) for ids in arrays], dtype=np.int32)
    sizes = lengths.astype(np.int64) * np.dtype(dtype).itemsize
    pointers = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    Path(f"{prefix}.bin").write_bytes(b"".join(ids.tobytes() for ids in arrays))
    head = struct.pack("<9sQBQQ", b"MMIDIDX\x00\x00", 1, _CODES[dtype], len(arrays), len(starts))
    tail = lengths.tobytes() + pointers.tobytes() + np.array(starts, dtype=np.int64).tobytes()
    Path(f"{prefix}.idx").write_bytes(head + tail)


def write_mds(
    folder: Path,
    shards: Sequence[Sequence[Mapping[str, Any]]],
    columns: Mapping[str, str],
    compression: str | None = None,
) -> None:
    """Write shards of rows; columns are `str`, `json` or `int`."""
    folder.mkdir(parents=True)
    names = sorted(columns)
    described = []
    for number, rows in enumerate(shards):
        samples = [_mds_sample(row, names, columns) for row in rows]
        config = json.dumps({"format": "mds"}).encode()
        offset = 4 * (len(samples) + 2) + len(config)
        offsets = np.cumsum([offset, *map(len, samples)]).astype("<u4")
        raw = struct.pack("<I", len(samples)) + offsets.tobytes() + config + b"".join(samples)
        name = f"shard.{number:05d}.mds"
        entry = {
            "format": "mds",
            "version": 2,
            "samples": len(samples),
            "column_names": names,
            "column_encodings": [columns[name] for name in names],
            "column_sizes": [8 if columns[name] == "int" else None for name in names],
            "compression": compression,
            "raw_data": {"basename": name, "bytes": len(raw), "hashes": {}},
            "zip_data": None,
        }
        if compression:
            algorithm = compression.split(":")[0]
            packed = gzip.compress(raw) if algorithm == "gz" else zstd(raw)
            name = f"{name}.{algorithm}"
            entry["zip_data"] = {"basename": name, "bytes": len(packed), "hashes": {}}
            raw = packed
        (folder / name).write_bytes(raw)
        described.append(entry)
    (folder / "index.json").write_text(json.dumps({"version": 2, "shards": described}))


def _mds_sample(row: Mapping[str, Any], names: Sequence[str], columns: Mapping[str, str]) -> bytes:
    sizes, values = [], []
    for name in names:
        value = row[name]
        if columns[name] == "int":
            values.append(struct.pack("<q", value))
            continue
        raw = (value if columns[name] == "str" else json.dumps(value)).encode()
        sizes.append(len(raw))
        values.append(raw)
    return struct.pack(f"<{len(sizes)}I", *sizes) + b"".join(values)
