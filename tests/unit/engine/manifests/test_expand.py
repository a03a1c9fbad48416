"""Expanding: any range of any file by the rule alone, and the same as the rows that are listed."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.corpora import Progress, domain, texts, write_jsonl
from support.manifests import listed_documents
from support.materialised import SHARES, readings_of, texts_planned

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import load_corpus
from tandem_engine.manifests.expand import FileRecords, MemberRule, first_records, readings
from tandem_engine.manifests.inventory import FileCounts
from tandem_engine.manifests.write import write_manifest

NOTHING = np.empty(0, dtype=np.int64)


def several_files(folder: Path) -> Path:
    """Two domains, one of three files with blank records, duplicates and held-out documents."""
    lines = [*texts("one", 40), " ", *texts("two", 25)]
    paths = [
        write_jsonl(folder / f"many-{number}.jsonl", records)
        for number, records in enumerate([lines[:20], lines[20:50], [*lines[50:], *lines[:5]]])
    ]
    single = write_jsonl(folder / "single.jsonl", texts("three", 30))
    domains = [domain("many", *paths), domain("single", single)]
    spec = JobSpec.model_validate(
        {
            "domains": [one.model_dump(exclude_unset=True) for one in domains],
            "training": {"context_length": 16},
            "manifest": {"target_tokens": 5000},
        }
    )
    corpus = load_corpus(spec, folder / "cache", Progress())
    write_manifest(folder / "manifest", corpus, [0.7, 0.3], spec)
    return folder / "manifest"


def counted(rows: list[dict[str, Any]]) -> dict[tuple[str, str, int], int]:
    return {
        (row["domain"], row["source_uri"], row["document_index"]): row["repeat_count"]
        for row in rows
    }


@pytest.mark.parametrize("chunk", [3, 1 << 20])
def test_the_rule_gives_the_rows_that_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    folder = several_files(tmp_path)
    monkeypatch.setattr("tandem_engine.manifests.expand._CHUNK", chunk)
    rows = listed_documents(folder)
    assert len({row["source_uri"] for row in rows}) == 4
    assert readings_of(folder) == counted(rows)


def test_a_manifest_below_a_folder_named_like_a_partition_is_read(tmp_path: Path) -> None:
    (tmp_path / "domain=x").mkdir()
    folder = texts_planned(tmp_path / "domain=x")
    assert readings_of(folder) == counted(listed_documents(folder))


def test_a_larger_target_only_adds_documents(tmp_path: Path) -> None:
    plans = [
        readings_of(texts_planned(tmp_path / str(target), target=target))
        for target in (400, 3_000, 9_000)
    ]
    named = [{(d, Path(uri).name, n): c for (d, uri, n), c in plan.items()} for plan in plans]
    for smaller, larger in pairwise(named):
        assert sum(smaller.values()) < sum(larger.values())
        assert all(count <= larger[key] for key, count in smaller.items())


def test_a_domain_with_share_zero_has_no_readings(tmp_path: Path) -> None:
    assert {name for name, _, _ in readings_of(texts_planned(tmp_path, [0.4, 0.0, 0.6]))} == {
        "a",
        "c",
    }


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=5),
    st.integers(0, 3),
    st.data(),
)
def test_files_by_themselves_come_to_the_domain_as_a_whole(
    sizes: list[int], full_passes: int, data: st.DataObject
) -> None:
    records = sum(sizes)
    threshold = data.draw(st.integers(0, records))
    left_out = data.draw(st.sets(st.integers(0, records - 1)))
    excluded = np.array(sorted(left_out), dtype=np.int64)
    rule = MemberRule("d", records, full_passes, threshold, seed=5)
    (whole,) = list(readings(rule, FileRecords("all", 0, records), NOTHING)) or [None]
    expected = {} if whole is None else dict(zip(whole.indices, whole.counts, strict=True))
    found = {}
    firsts = first_records([FileCounts("f", size) for size in sizes])
    for first, size in zip(firsts, sizes, strict=True):
        for part in readings(rule, FileRecords("f", first, size), excluded):
            assert (np.diff(part.indices) > 0).all()
            assert part.counts.min() >= 1
            found |= dict(zip(part.indices + first, part.counts, strict=True))
    assert found == {number: n for number, n in expected.items() if number not in left_out}


def test_the_rows_name_every_planned_document(tmp_path: Path) -> None:
    folder = texts_planned(tmp_path, SHARES)
    planned = pq.read_table(folder / "domains.parquet").to_pylist()
    by_domain = {row["domain"]: 0 for row in planned}
    for (name, _, _), count in readings_of(folder).items():
        by_domain[name] += count
    assert by_domain == {row["domain"]: row["planned_documents"] for row in planned}
