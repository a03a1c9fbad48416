"""Croissant: the manifest's description loads without complaint, and its records are the tables."""

import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is in its own environment")

RECOMMENDED = re.compile(r"(citeAs|datePublished|license)\" is recommended")


@pytest.mark.parametrize("manifest", ["manifest", "sft_manifest"])
def test_the_records_of_the_description_are_the_tables_of_the_manifest(
    data: Path, manifest: str
) -> None:
    described = mlcroissant.Dataset(str(data / manifest / "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    # Who is to be cited, and under which licence, only the owner of the data can say.
    said = described.metadata.ctx.issues.warnings
    assert {warning for warning in said if not RECOMMENDED.search(warning)} == set()
    for table in ("domains", "shards"):
        records = [_plain(table, record) for record in described.records(table)]
        assert records
        columns = list(records[0])
        rows = pq.read_table(data / manifest / f"{table}.parquet", columns=columns).to_pylist()
        assert records == rows


def test_a_changed_table_is_refused(data: Path, tmp_path: Path) -> None:
    for path in (data / "manifest").glob("*.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    other = (data / "sft_manifest" / "domains.parquet").read_bytes()
    (tmp_path / "domains.parquet").write_bytes(other)
    described = mlcroissant.Dataset(str(tmp_path / "croissant.json"))
    with pytest.raises(mlcroissant.GenerationError) as raised:
        list(described.records("domains"))
    assert "is not identical with the reference" in str(raised.value.__cause__)


def _plain(table: str, record: dict[str, Any]) -> dict[str, Any]:
    """Return a record by column; mlcroissant returns texts as bytes."""
    return {
        name.removeprefix(f"{table}/"): value.decode() if isinstance(value, bytes) else value
        for name, value in record.items()
    }
