"""The tables of a manifest: columns, and how they are written."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA_VERSION = 2
HEAD_FILE = "manifest.json"
DOMAINS_FILE = "domains.parquet"
SHARDS_FILE = "shards.parquet"
LENGTHS_FILE = "lengths.parquet"
EXCLUDED_FILE = "excluded.parquet"
DOCUMENTS_FOLDER = "documents"
CROISSANT_FILE = "croissant.json"
CARD_FILE = "README.md"


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


DOMAINS_SCHEMA = _schema(
    domain=pa.string(),
    slug=pa.string(),
    share=pa.float64(),
    share_of_documents=pa.float64(),
    target_tokens=pa.int64(),
    available_tokens=pa.int64(),
    available_documents=pa.int64(),
    epochs=pa.float64(),
    full_passes=pa.int64(),
    threshold=pa.int64(),
    records=pa.int64(),
    extra_documents=pa.int64(),
    planned_documents=pa.int64(),
    planned_tokens=pa.int64(),
    measured=pa.bool_(),
    capped=pa.bool_(),
    source_uris=pa.list_(pa.string()),
)
SHARDS_SCHEMA = pa.schema(
    [
        pa.field("domain", pa.string(), nullable=False),
        pa.field("source_uri", pa.string(), nullable=False),
        pa.field("fingerprint", pa.string()),
        pa.field("bytes", pa.int64()),
        pa.field("format", pa.string()),
        pa.field("compression", pa.string()),
        pa.field("first_record", pa.int64(), nullable=False),
        pa.field("records", pa.int64(), nullable=False),
        pa.field("tokens", pa.int64()),
    ]
)
LENGTHS_SCHEMA = _schema(
    domain=pa.string(),
    counted_by=pa.string(),
    tokens=pa.int64(),
    loss_tokens=pa.int64(),
    documents=pa.int64(),
)
EXCLUDED_SCHEMA = _schema(domain=pa.string(), record=pa.int64())
DOCUMENTS_SCHEMA = _schema(
    source_uri=pa.string(),
    document_index=pa.int64(),
    repeat_count=pa.int32(),
    token_count=pa.int64(),
)


def open_table(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a Parquet file for writing: whole numbers as differences, names as a dictionary."""
    rising = {"record", "document_index"}
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=[field.name for field in schema if pa.types.is_string(field.type)],
        column_encoding={name: "DELTA_BINARY_PACKED" for name in schema.names if name in rising}
        or None,
    )


def write_rows(path: Path, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> None:
    """Write a small table."""
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path, compression="zstd")


def file_entry(folder: Path, name: str) -> dict[str, Any]:
    """Return what the head says of a file: path, sha256, bytes, and rows of a table."""
    path = folder / name
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    entry: dict[str, Any] = {"path": name, "sha256": digest, "bytes": path.stat().st_size}
    if path.suffix == ".parquet":
        entry["rows"] = int(pq.read_metadata(path).num_rows)
    return entry


def slugs(names: Sequence[str]) -> list[str]:
    """Return names that can stand in paths and keys: a-z, 0-9, `.`, `_`, `-`; all different."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.") or "domain"
        slug, number = plain, 2
        while slug in found:
            slug, number = f"{plain}-{number}", number + 1
        found.append(slug)
    return found
