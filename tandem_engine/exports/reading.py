"""Reads of a manifest what exporters need; its checksums are the caller's to check."""

import json
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from tandem_engine.errors import ExportRefusedError
from tandem_engine.manifests.tables import HEAD_FILE, LENGTHS_FILE, SCHEMA_VERSION, SHARDS_FILE

__all__ = ["HEAD_FILE", "LENGTHS_FILE", "SHARDS_FILE", "parse_head", "read_lengths", "read_shards"]


def parse_head(content: bytes) -> dict[str, Any]:
    """Return a manifest's head.

    Raises:
        ExportRefusedError: it is of a version that this release does not export.
    """
    head: dict[str, Any] = json.loads(content)
    version = head.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ExportRefusedError(
            f"the manifest is of version {version}, and this release exports {SCHEMA_VERSION}",
            field="schema_version",
            value=version,
            hint="run the job again",
        )
    return head


def read_lengths(table: Path | BinaryIO) -> dict[str, dict[str, list[tuple[int, int, int]]]]:
    """Return `lengths.parquet` by who counted and by domain."""
    found: dict[str, dict[str, list[tuple[int, int, int]]]] = {}
    for row in pq.read_table(table).to_pylist():
        lengths = found.setdefault(row["counted_by"], {}).setdefault(row["domain"], [])
        lengths.append((row["tokens"], row["loss_tokens"], row["documents"]))
    return found


def read_shards(table: Path | BinaryIO) -> list[dict[str, Any]]:
    """Return the rows of `shards.parquet`, those columns that exporters read."""
    columns = ["domain", "source_uri", "format", "tokens"]
    rows: list[dict[str, Any]] = pq.read_table(table, columns=columns).to_pylist()
    return rows
