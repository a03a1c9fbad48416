"""Writes one part of a corpus in a trainer's format, some documents at a time.

JSON lines (plain, `.gz`, `.zst`) and Parquet hold `text` or the fields of conversations, and
`domain`. MDS (`mosaicml/streaming`, version 2) holds the same columns, one folder for all parts.
Megatron (`.bin` with `.idx`) holds a document per sequence with its end-of-text; `tokens` are flat
integers without a header, as OLMo reads them under the ending `.npy`.
"""

import gzip
import json
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tandem_engine.materialise.columns import Columns, schema_of, table_of
from tandem_engine.materialise.request import OutputFormat
from tandem_engine.materialise.spills import PartReadings

MDS_INDEX = "index.json"
BATCH_BYTES = 1 << 25
"""Contents that are held at a time: of a group of Parquet's rows, of an MDS shard."""

_MEGATRON_CODES = {"uint8": 1, "int32": 4, "int64": 5, "uint16": 8}
_MDS_CONFIG = b"{}"
_GZIP_LEVEL = 6
_TEXTS = frozenset({"text", "domain"})


def write_part(
    folder: Path,
    part: int,
    readings: PartReadings,
    *,
    output: OutputFormat,
    compression: str | None,
    columns: Columns,
    dtype: str | None,
) -> dict[str, Any]:
    """Write a part; returns what the index of the corpus says of it.

    Args:
        folder: The corpus's.
        part: Number of the part.
        readings: In their order.
        output: Format.
        compression: `gzip`, `zstd` or None; of `jsonl` only, Parquet is always Zstandard.
        columns: Of records; those of the whole corpus.
        dtype: Type of tokens; None for records.
    """
    name = f"part-{part:05d}"
    if output == "jsonl":
        files = [_write_lines(folder, name, readings, compression)]
    elif output == "parquet":
        files = [_write_parquet(folder, name, readings, columns)]
    elif output == "mds":
        files = _write_mds(folder, part, readings, columns)
    elif output == "megatron":
        files = _write_megatron(folder, name, readings, str(dtype))
    else:
        with (folder / f"{name}.npy").open("wb") as file:
            file.writelines(readings)
        files = [f"{name}.npy"]
    described: dict[str, Any] = {"files": files, "documents": len(readings)}
    if dtype is not None:
        total = int(readings.sizes.sum(dtype=np.int64))
        described["tokens"] = total // np.dtype(dtype).itemsize
    return described


def write_mds_index(folder: Path, parts: Iterable[dict[str, Any]]) -> None:
    """Write the index of an MDS folder from what its shards said of themselves."""
    said = [folder / f"{file}.json" for part in parts for file in part["files"]]
    index = {"version": 2, "shards": [json.loads(path.read_text("utf-8")) for path in said]}
    (folder / MDS_INDEX).write_text(json.dumps(index), encoding="utf-8")
    for path in said:
        path.unlink()


def _batches(contents: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    held = 0
    for content in contents:
        if batch and held + len(content) > BATCH_BYTES:
            yield batch
            batch, held = [], 0
        batch.append(content)
        held += len(content)
    if batch:
        yield batch


def _write_lines(folder: Path, name: str, contents: PartReadings, compression: str | None) -> str:
    ending = {"gzip": ".gz", "zstd": ".zst"}.get(compression or "", "")
    path = folder / f"{name}.jsonl{ending}"
    with _compressed(path, compression) as stream:
        for batch in _batches(contents):
            stream.write(b"\n".join(batch) + b"\n")
    return path.name


@contextmanager
def _compressed(path: Path, compression: str | None) -> Iterator[BinaryIO]:
    if compression == "zstd":
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            yield stream
        return
    with path.open("wb") as file:
        if compression != "gzip":
            yield file
            return
        # Without name and time: equal input gives equal bytes.
        with gzip.GzipFile("", "wb", _GZIP_LEVEL, fileobj=file, mtime=0) as packed:
            yield cast("BinaryIO", packed)


def _write_parquet(folder: Path, name: str, contents: PartReadings, columns: Columns) -> str:
    schema = schema_of(columns)
    texts = [column for column in schema.names if column == "domain"]
    path = folder / f"{name}.parquet"
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=texts) as writer:
        for batch in _batches(contents):
            writer.write_table(table_of([json.loads(content) for content in batch], schema))
    return path.name


def _write_mds(folder: Path, part: int, contents: PartReadings, columns: Columns) -> list[str]:
    # Sorted, as streaming writes them.
    kinds = {name: "str" if name in _TEXTS else "json" for name in sorted(columns)}
    names = []
    # Offsets are 32-bit integers, so that a part may take several shards.
    for number, batch in enumerate(_batches(contents)):
        name = f"shard.{part:05d}.{number:05d}.mds"
        samples = [_mds_sample(json.loads(content), kinds) for content in batch]
        start = 4 * (len(samples) + 2) + len(_MDS_CONFIG)
        offsets = np.cumsum([start, *map(len, samples)]).astype("<u4")
        with (folder / name).open("wb") as file:
            file.write(struct.pack("<I", len(samples)) + offsets.tobytes() + _MDS_CONFIG)
            file.writelines(samples)
        entry = {
            "column_encodings": list(kinds.values()),
            "column_names": list(kinds),
            "column_sizes": [None] * len(kinds),
            "compression": None,
            "format": "mds",
            "hashes": [],
            "raw_data": {"basename": name, "bytes": int(offsets[-1]), "hashes": {}},
            "samples": len(samples),
            "size_limit": None,
            "version": 2,
            "zip_data": None,
        }
        (folder / f"{name}.json").write_text(json.dumps(entry), encoding="utf-8")
        names.append(name)
    return names


def _mds_sample(row: dict[str, Any], kinds: dict[str, str]) -> bytes:
    values = [
        (row.get(name, "") if kind == "str" else json.dumps(row.get(name))).encode("utf-8")
        for name, kind in kinds.items()
    ]
    return struct.pack(f"<{len(values)}I", *map(len, values)) + b"".join(values)


def _write_megatron(folder: Path, name: str, contents: PartReadings, dtype: str) -> list[str]:
    # Megatron has no unsigned 32-bit integers; no vocabulary reaches the sign.
    stored = "int32" if dtype == "uint32" else dtype
    with (folder / f"{name}.bin").open("wb") as file:
        file.writelines(contents)
    count = len(contents)
    lengths = (contents.sizes // np.dtype(dtype).itemsize).astype("<i4")
    pointers = np.cumsum(contents.sizes, dtype="<i8") - contents.sizes
    with (folder / f"{name}.idx").open("wb") as file:
        code = _MEGATRON_CODES[stored]
        file.write(struct.pack("<9sQBQQ", b"MMIDIDX\x00\x00", 1, code, count, count + 1))
        file.writelines(
            column.astype(kind, copy=False).tobytes()
            for column, kind in ((lengths, "<i4"), (pointers, "<i8"), (np.arange(count + 1), "<i8"))
        )
    return [f"{name}.bin", f"{name}.idx"]
