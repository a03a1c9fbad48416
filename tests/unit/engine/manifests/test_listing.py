"""Listings: the rows of a choice of files, as Parquet or JSON lines."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.materialised import readings_of, texts_planned

from tandem_engine.errors import InvalidSpecError
from tandem_engine.manifests.listing import select_files, write_listing
from tandem_engine.manifests.read import Manifest


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Manifest(texts_planned(tmp_path))


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_a_listing_of_all_files_holds_every_reading(
    tmp_path: Path, manifest: Manifest, ending: str
) -> None:
    out = tmp_path / f"rows.{ending}"
    written = write_listing(manifest, select_files(manifest, None, None), out)
    if ending == "parquet":
        rows = pq.read_table(out).to_pylist()
    else:
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    found = {(r["domain"], r["source_uri"], r["document_index"]): r["repeat_count"] for r in rows}
    assert found == readings_of(manifest.folder)
    assert written == len(rows)


def test_files_are_chosen_by_domain_and_by_place(manifest: Manifest) -> None:
    def chosen(domain: str | None, places: tuple[int, int] | None) -> list[str]:
        return [file.domain for file in select_files(manifest, domain, places)]

    assert chosen(None, None) == ["a", "b", "c"]
    assert chosen(None, (1, 3)) == ["b", "c"]
    assert chosen(None, (2, 99)) == ["c"]
    assert chosen("b", None) == ["b"]
    assert chosen("b", (0, 1)) == ["b"]


@pytest.mark.parametrize("places", [(3, 5), (1, 1), (2, 1)])
def test_a_range_without_a_file_is_refused(manifest: Manifest, places: tuple[int, int]) -> None:
    with pytest.raises(InvalidSpecError, match="there is no file in") as raised:
        select_files(manifest, None, places)
    assert "there are 3 files" in raised.value.hint


def test_an_unknown_domain_is_refused_with_those_there_are(manifest: Manifest) -> None:
    with pytest.raises(InvalidSpecError, match="no domain 'd'") as raised:
        select_files(manifest, "d", None)
    assert raised.value.hint == "it has a, b, c"


def test_an_unknown_ending_writes_nothing(tmp_path: Path, manifest: Manifest) -> None:
    with pytest.raises(InvalidSpecError, match="does not say what to write"):
        write_listing(manifest, manifest.files, tmp_path / "rows.csv")
    assert not (tmp_path / "rows.csv").exists()


def test_equal_manifests_give_equal_listings(tmp_path: Path, manifest: Manifest) -> None:
    for name in ("one.parquet", "two.parquet"):
        write_listing(manifest, manifest.files, tmp_path / name)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
