"""The manifest as it lies on disk."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from support.api import Api
from support.jobs import hold_job, result_record

from service.db.session import unit_of_work
from service.jobs import leases

PARQUET = b"PAR1 the bytes of a table PAR1"


@pytest.fixture
def job(api: Api) -> dict[str, Any]:
    return api.create()


@pytest.fixture
def folder(api: Api, job: dict[str, Any]) -> Path:
    """The manifest of a job that succeeded."""
    folder = api.context.store.job_folder(job["id"]) / "manifest"
    folder.mkdir(parents=True)
    (folder / "documents.parquet").write_bytes(PARQUET)
    (folder / "secret.txt").write_text("not listed", encoding="utf-8")
    entry = {"path": "documents.parquet", "sha256": hashlib.sha256(PARQUET).hexdigest()}
    head = json.dumps({"unit": "tokens", "files": [entry]}, sort_keys=True).encode()
    (folder / "manifest.json").write_bytes(head)
    lease = hold_job(api.context.sessions, job["id"])
    result = result_record(sha256=hashlib.sha256(head).hexdigest())
    with unit_of_work(api.context.sessions) as work:
        leases.finish_succeeded(work.session, lease, result)
    return folder


@pytest.mark.parametrize("suffix", ["", "/files/documents.parquet"])
def test_there_is_no_manifest_before_the_end(api: Api, job: dict[str, Any], suffix: str) -> None:
    answer = api.client.get(job["links"]["manifest"] + suffix)
    assert (answer.status_code, answer.json()["code"]) == (409, "manifest_not_ready")


def test_the_head_comes_byte_for_byte_with_its_hash(
    api: Api, job: dict[str, Any], folder: Path
) -> None:
    answer = api.client.get(job["links"]["manifest"])
    assert answer.content == (folder / "manifest.json").read_bytes()
    assert answer.headers["ETag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
    tag = {"If-None-Match": answer.headers["ETag"]}
    assert api.client.get(job["links"]["manifest"], headers=tag).status_code == 304


@pytest.mark.usefixtures("folder")
def test_a_listed_file_comes_as_parquet(api: Api, job: dict[str, Any]) -> None:
    path = job["links"]["manifest"] + "/files/documents.parquet"
    answer = api.client.get(path)
    assert answer.content == PARQUET
    assert answer.headers["Content-Type"] == "application/vnd.apache.parquet"
    assert answer.headers["ETag"] == f'"{hashlib.sha256(PARQUET).hexdigest()}"'
    tag = {"If-None-Match": answer.headers["ETag"]}
    assert api.client.get(path, headers=tag).status_code == 304


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "name", ["secret.txt", "..%2fmanifest.json", "%2e%2e%2f%2e%2e%2fx", "manifest.json"]
)
def test_a_file_that_is_not_listed_is_not_found(api: Api, job: dict[str, Any], name: str) -> None:
    answer = api.client.get(job["links"]["manifest"] + f"/files/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_head_that_was_changed_is_not_served(api: Api, job: dict[str, Any], folder: Path) -> None:
    (folder / "manifest.json").write_text("{}", encoding="utf-8")
    answer = api.client.get(job["links"]["manifest"])
    assert (answer.status_code, answer.json()["code"]) == (410, "artifact_gone")


def test_a_file_that_was_deleted_is_gone(api: Api, job: dict[str, Any], folder: Path) -> None:
    (folder / "documents.parquet").unlink()
    answer = api.client.get(job["links"]["manifest"] + "/files/documents.parquet")
    assert (answer.status_code, answer.json()["code"]) == (410, "artifact_gone")


def test_a_link_out_of_the_job_is_not_followed(
    api: Api, job: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(PARQUET)
    (folder / "documents.parquet").unlink()
    (folder / "documents.parquet").symlink_to(outside)
    answer = api.client.get(job["links"]["manifest"] + "/files/documents.parquet")
    assert answer.status_code == 410
