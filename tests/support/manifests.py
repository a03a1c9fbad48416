"""Reads manifests as their users would."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def listed_documents(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of all documents with their domain, in the order of domains and numbers."""
    rows: list[dict[str, Any]] = []
    for domain in pq.read_table(folder / "domains.parquet").to_pylist():
        parts = sorted((folder / "documents" / f"domain={domain['slug']}").glob("part-*.parquet"))
        for part in parts:
            # Read as a single file: a folder's name would become a column.
            found = pq.ParquetFile(part).read().to_pylist()
            rows += [{"domain": domain["domain"], **row} for row in found]
    return rows
