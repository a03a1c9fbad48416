"""`tandem manifest expand`, `tandem manifest plan` and `tandem materialise`, without a service."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.materialised import (
    canonical,
    readings_of,
    records_planned,
    records_written,
    texts_planned,
)
from typer.testing import CliRunner, Result

from client import cli
from tandem_engine.errors import TandemError
from tandem_engine.manifests.read import Manifest


def run(*arguments: object, ok: bool = True) -> Result:
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    assert (result.exit_code == 0) == ok, result.output
    return result


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return texts_planned(tmp_path)


def test_expand_writes_the_rows_of_all_files(tmp_path: Path, manifest: Path) -> None:
    out = tmp_path / "rows.parquet"
    result = run("manifest", "expand", manifest, "--out", out)
    rows = pq.read_table(out).to_pylist()
    assert result.output == f"{out}: {len(rows)} documents\n"
    found = {(r["domain"], r["source_uri"], r["document_index"]): r["repeat_count"] for r in rows}
    assert found == readings_of(manifest)


def test_expand_writes_the_rows_of_some_files(tmp_path: Path, manifest: Path) -> None:
    out = tmp_path / "rows.jsonl"
    asked = ("manifest", "expand", manifest, "--out", out, "--json")
    said = json.loads(run(*asked, "--files", "1:3").output)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert said == {"file": str(out), "rows": len(rows)}
    assert {row["domain"] for row in rows} == {"b", "c"}
    run(*asked, "--domain", "a")
    assert {json.loads(line)["domain"] for line in out.read_text().splitlines()} == {"a"}


@pytest.mark.parametrize("written", ["3", "a:b", "1:", "-1:2"])
def test_expand_refuses_what_is_no_range(tmp_path: Path, manifest: Path, written: str) -> None:
    out = tmp_path / "rows.parquet"
    result = run("manifest", "expand", manifest, "--out", out, f"--files={written}", ok=False)
    assert result.exit_code == 2
    assert "is no range" in result.output
    assert not out.exists()


def test_plan_writes_a_manifest_of_other_files(tmp_path: Path, manifest: Path) -> None:
    mixture, out = tmp_path / "mixture.json", tmp_path / "planned"
    mixture.write_text('{"a": 0.2, "b": 0.5, "c": 0.3}')
    asked = ("manifest", "plan", "--mixture", mixture, "--inventory", manifest / "shards.parquet")
    result = run(*asked, "--target-tokens", 4000, "--out", out)
    assert result.output == f"{out}\n"
    head = Manifest(out).head
    assert (head["target_tokens"], head["documents_listed"]) == (4000, True)
    said = json.loads(
        run(
            *asked,
            *("--target-tokens", 4000, "--out", tmp_path / "more", "--seed", 3),
            *("--rows", "never", "--json"),
        ).output
    )
    assert said["target_tokens"] == 4000
    head = Manifest(tmp_path / "more").head
    assert (head["seed"], head["documents_listed"]) == (3, False)


def test_plan_does_not_replace_a_folder(tmp_path: Path, manifest: Path) -> None:
    mixture = tmp_path / "mixture.json"
    mixture.write_text('{"a": 0.2, "b": 0.5, "c": 0.3}')
    result = run(
        *("manifest", "plan", "--mixture", mixture, "--inventory", manifest / "shards.parquet"),
        *("--target-tokens", 10, "--out", tmp_path),
        ok=False,
    )
    assert isinstance(result.exception, TandemError)
    assert manifest.exists()


@pytest.mark.parametrize("output", ["jsonl", "parquet", "mds"])
def test_materialise_writes_the_corpus(tmp_path: Path, manifest: Path, output: str) -> None:
    out = tmp_path / "corpus"
    asked = ("materialise", manifest, "--out", out, "--format", output, "--workers", 1)
    result = run(*asked, "--parts", 2)
    rows = records_written(out, output)
    assert Counter(map(canonical, rows)) == records_planned(manifest)
    assert result.output == f"{out}: {len(rows)} documents in 2 parts\n"


def test_materialise_prints_its_index_as_json(tmp_path: Path, manifest: Path) -> None:
    out = tmp_path / "corpus"
    asked = ("materialise", manifest, "--out", out, "--compression", "zstd", "--order-seed", 4)
    said = json.loads(run(*asked, "--json", "--workers", 1).output)
    assert said == json.loads((out / "corpus.json").read_text())
    assert (said["order_seed"], said["parts"][0]["files"]) == (4, ["part-00000.jsonl.zst"])


def test_the_command_itself_starts_workers_and_tells_errors_in_sentences(
    tmp_path: Path, manifest: Path
) -> None:
    command = [sys.executable, "-c", "from client.cli import main; main()", "materialise"]
    asked = [*command, str(manifest), "--out", str(tmp_path / "corpus"), "--workers", "2"]
    first = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    again = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert again.stderr.startswith("tandem: ")
    assert "is there already\ngive a new folder" in again.stderr
