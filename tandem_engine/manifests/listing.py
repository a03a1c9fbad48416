"""Writes the rows of some files of a manifest, streamed: a batch in memory, whatever the range."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tandem_engine.errors import InvalidSpecError
from tandem_engine.files import replaced_when_whole
from tandem_engine.manifests.expand import readings
from tandem_engine.manifests.read import ListedFile, Manifest
from tandem_engine.manifests.tables import open_table

_SCHEMA = pa.schema(
    [
        pa.field("domain", pa.string(), nullable=False),
        pa.field("source_uri", pa.string(), nullable=False),
        pa.field("document_index", pa.int64(), nullable=False),
        pa.field("repeat_count", pa.int32(), nullable=False),
    ]
)


def select_files(
    manifest: Manifest, domain: str | None, chosen: tuple[int, int] | None
) -> list[ListedFile]:
    """Return the files of a domain, or of all, from a position up to another (not included).

    Raises:
        InvalidSpecError: there is no such domain, or no file in the range.
    """
    if domain is not None and domain not in manifest.rules:
        raise InvalidSpecError(
            f"the manifest has no domain {domain!r}",
            field="domain",
            value=domain,
            hint=f"it has {', '.join(sorted(manifest.rules))}",
        )
    files = [file for file in manifest.files if domain in {None, file.domain}]
    begin, end = chosen or (0, len(files))
    if not files[begin:end]:
        raise InvalidSpecError(
            f"there is no file in {begin}:{end}",
            field="files",
            value=f"{begin}:{end}",
            hint=f"there are {len(files)} files, numbered from 0",
        )
    return files[begin:end]


def write_listing(manifest: Manifest, files: Sequence[ListedFile], out: Path) -> int:
    """Write a row per document that is read to `out` (.parquet or .jsonl); return how many.

    Raises:
        InvalidSpecError: the ending is another.
        DiskFullError: no space is left; nothing is written.
    """
    if out.suffix not in {".parquet", ".jsonl"}:
        raise InvalidSpecError(
            f"{out} does not say what to write",
            field="out",
            value=out,
            hint="use the ending .parquet or .jsonl",
        )
    rows = 0
    with replaced_when_whole(out) as partial:
        if out.suffix == ".parquet":
            with open_table(partial, _SCHEMA) as writer:
                for table in _tables(manifest, files):
                    writer.write_table(table)
                    rows += table.num_rows
            return rows
        with partial.open("w", encoding="utf-8") as stream:
            for table in _tables(manifest, files):
                stream.writelines(_line(row) for row in table.to_pylist())
                rows += table.num_rows
    return rows


def _tables(manifest: Manifest, files: Sequence[ListedFile]) -> Iterator[pa.Table]:
    for file in files:
        rule = manifest.rules[file.domain]
        for part in readings(rule, file.records, manifest.excluded(file)):
            count = len(part.indices)
            columns = [
                pa.repeat(file.domain, count),
                pa.repeat(part.uri, count),
                pa.array(part.indices),
                pa.array(part.counts.astype("int32")),
            ]
            yield pa.table(columns, schema=_SCHEMA)


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
