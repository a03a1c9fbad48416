"""The mixture in trainers' formats, of a manifest as the engine writes it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.api import Api
from support.corpora import Progress, corpus_spec, texts
from support.jobs import hold_job, result_record

from service.db.session import unit_of_work
from service.jobs import leases
from tandem_engine.data.corpus import load_corpus
from tandem_engine.exports.registry import EXPORTERS
from tandem_engine.manifests.write import write_manifest

TEXTS = {"code": texts("code", 60), "manuals": texts("manual", 30, length=400)}


@pytest.fixture
def job(api: Api, tmp_path: Path) -> dict[str, Any]:
    """A job that succeeded, with a manifest of two domains of unlike documents."""
    job = api.create()
    spec = corpus_spec(tmp_path / "source", TEXTS, manifest={"target_tokens": 4000})
    corpus = load_corpus(spec, tmp_path / "cache", Progress())
    folder = api.context.store.job_folder(job["id"]) / "manifest"
    summary = write_manifest(folder, corpus, [0.25, 0.75], spec)
    lease = hold_job(api.context.sessions, job["id"])
    with unit_of_work(api.context.sessions) as work:
        leases.finish_succeeded(work.session, lease, result_record(sha256=summary.sha256))
    return job


def path(job: dict[str, Any], rest: str) -> str:
    return f"/v1/jobs/{job['id']}/{rest}"


def test_the_mixture_comes_as_the_file_that_a_trainer_loads(api: Api, job: dict[str, Any]) -> None:
    answer = api.client.get(path(job, "mixture?format=megatron&path_template=/d/{slug}"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    assert 'filename="blend.json"' in answer.headers["Content-Disposition"]
    assert answer.json()["train"] == ["0.25", "/d/code", "0.75", "/d/manuals"]
    tag = {"If-None-Match": answer.headers["ETag"]}
    again = api.client.get(answer.request.url, headers=tag)
    assert (again.status_code, again.content) == (304, b"")


def test_another_file_of_the_format_comes_by_name(api: Api, job: dict[str, Any]) -> None:
    notes = api.client.get(path(job, "mixture?format=mosaic&file=NOTES.md"))
    assert notes.headers["Content-Type"].startswith("text/markdown")
    assert "Beware" in notes.text
    missing = api.client.get(path(job, "mixture?format=mosaic&file=../manifest.json"))
    assert (missing.status_code, missing.json()["errors"][0]["pointer"]) == (422, "query:file")
    assert "train_loader.yaml, NOTES.md" in missing.json()["errors"][0]["hint"]


def test_without_a_format_the_mixture_is_what_it_was(api: Api, job: dict[str, Any]) -> None:
    answer = api.client.get(path(job, "mixture")).json()
    assert (answer["object"], list(answer["shares"])) == ("mixture", ["code", "manuals"])


@pytest.mark.parametrize("name", EXPORTERS)
def test_every_format_is_served_with_its_files_and_warnings(
    api: Api, job: dict[str, Any], name: str
) -> None:
    answer = api.client.get(path(job, f"exports/{name}?target_tokens=3000"))
    assert answer.status_code == 200, answer.text
    export = answer.json()
    assert export["files"][0]["name"] == export["primary"]
    for file in export["files"]:
        assert hashlib.sha256(file["content"].encode()).hexdigest() == file["sha256"]
    raw = api.client.get(path(job, f"mixture?format={name}&target_tokens=3000"))
    assert raw.text == export["files"][0]["content"]


def test_shares_of_documents_follow_the_lengths_of_the_job(api: Api, job: dict[str, Any]) -> None:
    export = api.client.get(path(job, "mixture?format=yaml")).text
    code, manuals = yaml.safe_load(export)["domains"]
    drawn = [d["share_of_documents"] * d["tokens_per_document"] for d in (code, manuals)]
    assert drawn[0] / sum(drawn) == pytest.approx(0.25, abs=1e-3)
    assert code["share_of_documents"] > 0.7  # documents of code are a tenth as long


def test_what_the_trainer_cannot_be_given_is_refused_with_a_reason(
    api: Api, job: dict[str, Any]
) -> None:
    answer = api.client.get(path(job, "exports/megatron?max_epochs=0.01"))
    assert (answer.status_code, answer.json()["code"]) == (409, "export_refused")
    (problem,) = answer.json()["errors"]
    assert (problem["pointer"], problem["value"]) == ("query:max_epochs", "0.01")
    flagged = api.client.get(path(job, "exports/megatron?max_epochs=0.01&above_cap=flag"))
    assert "above its cap 0.01" in flagged.json()["warnings"][0]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("exports/nobody", "query:format"),
        ("mixture?format=nobody", "query:format"),
        ("exports/json?target_tokens=0", "query:target_tokens"),
        ("exports/json?sequence=12", "query:sequence"),
        ("exports/json?counted_by=consumer", "query:counted_by"),
    ],
)
def test_a_wrong_option_is_named(api: Api, job: dict[str, Any], query: str, pointer: str) -> None:
    answer = api.client.get(path(job, query))
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_there_is_no_export_before_the_end(api: Api) -> None:
    job = api.create()
    for rest in ("exports/json", "mixture?format=json"):
        answer = api.client.get(path(job, rest))
        assert (answer.status_code, answer.json()["code"]) == (409, "manifest_not_ready")


def test_a_changed_table_is_not_exported(api: Api, job: dict[str, Any]) -> None:
    table = api.context.store.job_folder(job["id"]) / "manifest" / "lengths.parquet"
    table.write_bytes(table.read_bytes() + b" ")
    answer = api.client.get(path(job, "exports/json"))
    assert (answer.status_code, answer.json()["code"]) == (410, "artifact_gone")


def test_a_manifest_of_an_older_release_is_refused(api: Api) -> None:
    job = api.create()
    folder = api.context.store.job_folder(job["id"]) / "manifest"
    folder.mkdir(parents=True)
    head = json.dumps({"schema_version": 1, "files": []}).encode()
    (folder / "manifest.json").write_bytes(head)
    lease = hold_job(api.context.sessions, job["id"])
    with unit_of_work(api.context.sessions) as work:
        result = result_record(sha256=hashlib.sha256(head).hexdigest())
        leases.finish_succeeded(work.session, lease, result)
    answer = api.client.get(path(job, "exports/json"))
    assert (answer.status_code, answer.json()["code"]) == (409, "export_refused")
    assert "version 1" in answer.json()["detail"]


def test_the_formats_are_listed(api: Api) -> None:
    found = api.client.get("/v1/export-formats").json()["data"]
    assert {entry["name"] for entry in found} == set(EXPORTERS)
