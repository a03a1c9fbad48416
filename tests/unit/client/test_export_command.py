"""`tandem export`, of a folder and of a job."""

import json
from pathlib import Path
from typing import Any, Self

import pytest
from support.corpora import Progress, corpus_spec, texts
from typer.testing import CliRunner

from client import cli, export_command
from tandem_engine.data.corpus import load_corpus
from tandem_engine.exports.registry import EXPORTERS
from tandem_engine.manifests.write import write_manifest


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    spec = corpus_spec(tmp_path / "source", {"a": texts("x", 60), "b": texts("y", 9, length=500)})
    corpus = load_corpus(spec, tmp_path / "cache", Progress())
    write_manifest(tmp_path / "manifest", corpus, [0.5, 0.5], spec)
    return tmp_path / "manifest"


def run(*arguments: object) -> Any:
    return CliRunner().invoke(cli.app, ["export", *map(str, arguments)])


def test_a_folder_is_exported_without_a_service(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(manifest, "-f", "megatron", "--out", out, "--path-template", "/d/{slug}")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        str(out / name) for name in ("blend.json", "blend.txt", "NOTES.md")
    ]
    assert json.loads((out / "blend.json").read_text())["train"] == ["0.5", "/d/a", "0.5", "/d/b"]
    assert "--train-samples" in result.stderr


def test_documents_are_counted_with_another_tokenizer_on_request(
    manifest: Path, tmp_path: Path
) -> None:
    result = run(manifest, "-f", "json", "--out", tmp_path / "o", "--tokenizer", "bytes", "--json")
    assert result.exit_code == 0, result.output
    mixture = json.loads((tmp_path / "o" / "mixture.json").read_text())
    assert mixture["documents_counted_by"] == "consumer"


def test_a_refused_export_writes_nothing(
    manifest: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    arguments = ["tandem", "export", str(manifest), "-f", "trl", "--max-epochs", "0.1"]
    monkeypatch.setattr("sys.argv", [*arguments, "--out", str(out)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    assert "above its cap 0.1" in capsys.readouterr().err
    assert not out.exists()


def test_a_job_is_exported_by_its_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class Client:
        def __init__(self, *_: object) -> None:
            pass

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def export(self, *arguments: Any) -> dict[str, Any]:
            asked.append(arguments)
            files = [{"name": "mixture.csv", "content": "domain\n"}]
            return {"files": files, "usage": ["read it"], "warnings": ["beware"]}

    monkeypatch.setenv("TANDEM_API_KEY", "tnd_a_b")
    monkeypatch.setattr(export_command, "TandemClient", Client)
    result = run("job_1", "-f", "csv", "--out", tmp_path, "--target-tokens", 5, "--packed")
    assert result.exit_code == 0, result.output
    assert asked == [("job_1", "csv", {"target_tokens": 5, "packed": True})]
    assert (tmp_path / "mixture.csv").read_text() == "domain\n"
    assert "warning: beware" in result.stderr


def test_the_formats_are_listed_with_what_they_count() -> None:
    lines = run("--list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(EXPORTERS)
    assert run().exit_code == 2
    assert run("job_1", "-f", "csv", "--tokenizer", "bytes").exit_code == 2
