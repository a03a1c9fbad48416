"""A manifest for files that were only counted: shares and an inventory are enough."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.manifests import listed_documents
from support.materialised import readings_of, texts_planned

from tandem_engine.errors import InvalidSpecError
from tandem_engine.manifests.elsewhere import plan_elsewhere
from tandem_engine.manifests.read import Manifest

FILES: list[dict[str, Any]] = [
    {"domain": "web", "source_uri": "s3://corpora/web-2.jsonl", "records": 700, "tokens": 70_000},
    {"domain": "web", "source_uri": "s3://corpora/web-1.jsonl", "records": 300, "tokens": 40_000},
    {"domain": "code", "source_uri": "/data/code.jsonl", "records": 100, "tokens": 50_000},
]
SHARES = {"code": 0.6, "web": 0.4}


def written(folder: Path, files: list[dict[str, Any]], mixture: object) -> tuple[Path, Path]:
    pq.write_table(pa.Table.from_pylist(files), folder / "files.parquet")
    (folder / "mixture.json").write_text(json.dumps(mixture))
    return folder / "mixture.json", folder / "files.parquet"


def plan(
    folder: Path,
    *,
    files: list[dict[str, Any]] = FILES,
    mixture: object = SHARES,
    target: int = 100_000,
    **settings: Any,
) -> Path:
    inputs = written(folder, files, mixture)
    plan_elsewhere(*inputs, folder / "manifest", target_tokens=target, **settings)
    return folder / "manifest"


def domains_of(folder: Path) -> dict[str, dict[str, Any]]:
    rows = pq.read_table(folder / "domains.parquet").to_pylist()
    return {row["domain"]: row for row in rows}


def test_the_plan_is_what_is_expected_of_the_counts(tmp_path: Path) -> None:
    rows = domains_of(plan(tmp_path))
    code, web = rows["code"], rows["web"]
    assert (code["target_tokens"], code["full_passes"], code["threshold"]) == (60_000, 1, 20)
    assert (code["planned_documents"], code["planned_tokens"]) == (120, 60_000)
    assert (web["target_tokens"], web["full_passes"], web["records"]) == (40_000, 0, 1000)
    assert web["threshold"] == round(1000 * 40_000 / 110_000)
    assert not code["measured"]
    assert abs(web["planned_tokens"] - 40_000) <= 110


def test_as_many_documents_are_read_as_planned(tmp_path: Path) -> None:
    folder = plan(tmp_path)
    counts = readings_of(folder)
    for name, row in domains_of(folder).items():
        own = {key: count for key, count in counts.items() if key[0] == name}
        assert sum(own.values()) == row["planned_documents"]
    assert {uri for _, uri, _ in counts} == {row["source_uri"] for row in FILES}


def test_rows_on_request_are_those_of_the_rule(tmp_path: Path) -> None:
    folder = plan(tmp_path, rows="always")
    rows = listed_documents(folder)
    found = {(r["domain"], r["source_uri"], r["document_index"]): r["repeat_count"] for r in rows}
    assert found == readings_of(folder)
    (tmp_path / "never").mkdir()
    without = plan(tmp_path / "never", rows="never")
    assert not (without / "documents").exists()
    assert readings_of(without) == found


def test_a_larger_target_only_adds_documents(tmp_path: Path) -> None:
    plans = []
    for target in (10_000, 90_000, 400_000):
        folder = tmp_path / str(target)
        folder.mkdir()
        plans.append(readings_of(plan(folder, target=target)))
    for smaller, larger in pairwise(plans):
        assert all(count <= larger[key] for key, count in smaller.items())


def test_ten_billion_documents_are_planned_without_a_list(tmp_path: Path) -> None:
    files = [
        {"domain": "web", "source_uri": f"/web/{n:04d}", "records": 10**7, "tokens": 10**10}
        for n in range(1000)
    ]
    folder = plan(tmp_path, files=files, mixture={"web": 1}, target=5 * 10**12)
    assert domains_of(folder)["web"]["planned_documents"] == 5 * 10**9
    assert not (folder / "documents").exists()


def test_the_files_of_another_manifest_are_an_inventory(tmp_path: Path) -> None:
    first = texts_planned(tmp_path)
    (tmp_path / "mixture.json").write_text('{"a": 0.2, "b": 0.5, "c": 0.3}')
    plan_elsewhere(
        tmp_path / "mixture.json", first / "shards.parquet", tmp_path / "again", target_tokens=3000
    )
    ours, theirs = Manifest(tmp_path / "again").files, Manifest(first).files
    assert [file.records for file in ours] == [file.records for file in theirs]
    assert [file.fingerprint for file in ours] == [file.fingerprint for file in theirs]


def test_what_the_mixture_command_prints_is_a_mixture(tmp_path: Path) -> None:
    printed = {"job_id": "job_1", "verdict": {"better": True}, "shares": SHARES}
    folder = plan(tmp_path, mixture=printed)
    head = json.loads((folder / "manifest.json").read_text())
    assert head["method"] == "learned"
    assert {name: row["share"] for name, row in domains_of(folder).items()} == SHARES


@pytest.mark.parametrize(
    "mixture",
    [
        [0.5, 0.5],
        {},
        {"code": 0.6, "web": 0.6},
        {"code": 1.2, "web": -0.2},
        {"code": "much", "web": 0.4},
        {"code": float("nan"), "web": 0.4},
        {"code": {"share": 0.6}, "web": 0.4},
    ],
)
def test_a_mixture_that_is_none_is_refused(tmp_path: Path, mixture: object) -> None:
    with pytest.raises(InvalidSpecError) as raised:
        plan(tmp_path, mixture=mixture)
    assert raised.value.field == "mixture"
    assert not (tmp_path / "manifest").exists()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (FILES[:2], "the mixture is of code, web, the inventory of web"),
        ([{"domain": "web", "records": 1}], "lacks the columns source_uri, tokens"),
        ([FILES[0] | {"records": 0}, FILES[2]], "no records or no tokens"),
        ([FILES[0] | {"tokens": None}, FILES[2]], "no records or no tokens"),
        ([*FILES, FILES[0]], "names a file of 'web' twice"),
    ],
)
def test_an_inventory_that_is_wrong_is_refused(
    tmp_path: Path, files: list[dict[str, Any]], said: str
) -> None:
    with pytest.raises(InvalidSpecError, match=said) as raised:
        plan(tmp_path, files=files)
    assert raised.value.field == "inventory"


@pytest.mark.parametrize("content", [None, "domain,records\nweb,3\n"])
def test_an_inventory_that_is_no_table_is_refused(tmp_path: Path, content: str | None) -> None:
    mixture, inventory = written(tmp_path, FILES, SHARES)
    inventory.unlink()
    if content is not None:
        inventory.write_text(content)
    with pytest.raises(InvalidSpecError, match="the inventory cannot be read"):
        plan_elsewhere(mixture, inventory, tmp_path / "manifest", target_tokens=10)


def test_a_folder_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "manifest").mkdir()
    (tmp_path / "manifest" / "precious").write_text("kept")
    with pytest.raises(InvalidSpecError, match="is there already"):
        plan(tmp_path)
    assert (tmp_path / "manifest" / "precious").read_text() == "kept"


def test_an_unknown_choice_of_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError, match="rows is 'some'"):
        plan(tmp_path, rows="some")
