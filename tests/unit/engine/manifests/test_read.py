"""Opening a manifest: damage and other versions are told apart from what can be read."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.corpora import corpus_spec, texts
from support.materialised import TEXTS, planned, texts_planned

from tandem_engine.errors import InvalidSpecError, ManifestDamagedError
from tandem_engine.manifests.elsewhere import plan_elsewhere
from tandem_engine.manifests.read import Manifest


def change_head(folder: Path, **changes: Any) -> None:
    head = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(head | changes))


def test_files_and_rules_are_those_of_the_tables(tmp_path: Path) -> None:
    folder = texts_planned(tmp_path)
    manifest = Manifest(folder)
    assert [file.domain for file in manifest.files] == ["a", "b", "c"]
    domains = {row["domain"]: row for row in pq.read_table(folder / "domains.parquet").to_pylist()}
    for file in manifest.files:
        row = domains[file.domain]
        assert Path(file.records.uri).name == f"{file.domain}.jsonl"
        assert (file.records.first, file.records.records) == (0, len(TEXTS[file.domain]))
        assert file.measured
        assert file.planned_share == row["planned_documents"] / row["records"]
        rule = manifest.rules[file.domain]
        assert (rule.full_passes, rule.threshold) == (row["full_passes"], row["threshold"])


def test_a_file_is_read_as_the_job_read_it(tmp_path: Path) -> None:
    spec = corpus_spec(tmp_path, {"a": texts("a", 50), "b": texts("b", 50)})
    domains = [
        one.model_dump(exclude_unset=True) | {"format": "lines", "maximum_epochs": 50.0}
        for one in spec.domains
    ]
    manifest = Manifest(planned(tmp_path, spec.evolve(domains=domains), [0.5, 0.5]))
    source = manifest.source(manifest.files[0])
    assert (source.format, source.name) == ("lines", "a")


def test_only_the_excluded_records_of_a_file_are_returned(tmp_path: Path) -> None:
    manifest = Manifest(texts_planned(tmp_path, documents="all"))
    excluded = {file.domain: manifest.excluded(file).tolist() for file in manifest.files}
    # 30 is blank; the four after it stand in the file already.
    assert excluded == {"a": [], "b": [], "c": [30, 31, 32, 33, 34]}


@pytest.mark.parametrize("name", ["shards.parquet", "excluded.parquet"])
@pytest.mark.parametrize("how", ["changed", "removed"])
def test_a_damaged_table_is_refused(tmp_path: Path, name: str, how: str) -> None:
    path = texts_planned(tmp_path) / name
    if how == "removed":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with pytest.raises(ManifestDamagedError, match=f"{name} is missing or was changed"):
        Manifest(path.parent)


@pytest.mark.parametrize(
    "changes",
    [
        {"schema_version": 1},
        {"schema_version": 3},
        {"selector": {"name": "feistel6-splitmix64", "version": 2}},
        {"selector": None},
    ],
)
def test_another_version_is_refused_by_name(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = texts_planned(tmp_path)
    change_head(folder, **changes)
    with pytest.raises(InvalidSpecError, match="is a manifest of version") as raised:
        Manifest(folder)
    assert "reads version 2 with feistel6-splitmix64 1" in raised.value.hint


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '"text"'])
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(InvalidSpecError, match="holds no manifest"):
        Manifest(tmp_path)


def test_a_file_that_cannot_be_addressed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mixture.json").write_text('{"web": 1}')
    row = {"domain": "web", "source_uri": "relative.jsonl", "records": 3, "tokens": 9}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "files.parquet")
    plan_elsewhere(
        tmp_path / "mixture.json", tmp_path / "files.parquet", tmp_path / "m", target_tokens=9
    )
    manifest = Manifest(tmp_path / "m")
    with pytest.raises(InvalidSpecError, match=r"relative\.jsonl of 'web' cannot be read"):
        manifest.source(manifest.files[0])
