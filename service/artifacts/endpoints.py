"""The manifest of a job: its head and its Parquet files."""

import json
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import FileResponse, Response

from service.artifacts.manifests import find_job_manifest
from service.context import Context
from service.db.session import unit_of_work
from service.dependencies import CallerDep, ContextDep, IfNoneMatchDep
from service.errors import (
    ArtifactGoneError,
    DatabaseUnavailableError,
    ManifestNotReadyError,
    NotFoundError,
    UnauthorizedError,
    ValidationFailedError,
)
from service.etags import is_current, not_modified
from service.jobs.models import Manifest
from service.jobs.paths import NOT_MODIFIED, JobIdPath
from service.problems import documented
from tandem_engine.exports.reading import HEAD_FILE

router = APIRouter(prefix="/v1/jobs", tags=["manifest"])

_PARQUET = "application/vnd.apache.parquet"
# It never changes once it is there.
_CACHE = "private, max-age=31536000, immutable"
_PROBLEMS = documented(
    NotFoundError,
    ManifestNotReadyError,
    ArtifactGoneError,
    UnauthorizedError,
    ValidationFailedError,
    DatabaseUnavailableError,
)
_EXAMPLE = {
    "schema_version": 2,
    "method": "tandem",
    "unit": "tokens",
    "target_tokens": 1_000_000,
    "planned_tokens": 999_871,
    "documents": "train",
    "seed": 0,
    "domains": [{"domain": "code", "share": 0.6, "epochs": 1.2}],
    "files": [{"path": "domains.parquet", "sha256": "2c26b46b...", "rows": 4177, "bytes": 51234}],
}


@router.get(
    "/{job_id}/manifest",
    response_class=Response,
    summary="Read the manifest",
    responses={
        200: {
            "description": "manifest.json, byte for byte; `ETag` is its sha256.",
            "content": {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}},
        },
        304: NOT_MODIFIED,
        **_PROBLEMS,
    },
)
def head(
    context: ContextDep, caller: CallerDep, job_id: JobIdPath, if_none_match: IfNoneMatchDep = None
) -> Response:
    """Read the head of the resampling plan: share, tokens and passes per domain, and its files.

    `files` lists the Parquet files; read them at `manifest/files/{name}`.
    """
    with unit_of_work(context.sessions) as work:
        manifest = find_job_manifest(work.session, caller, job_id)
    etag = f'"{manifest.sha256}"'
    if is_current(etag, if_none_match):
        return not_modified(etag)
    content = _read_head(context, manifest)
    headers = {"ETag": etag, "Cache-Control": _CACHE}
    return Response(content, headers=headers, media_type="application/json")


@router.get(
    "/{job_id}/manifest/files/{name:path}",
    response_class=Response,
    summary="Read a file of the manifest",
    responses={
        200: {
            "description": "The file, most of them Parquet; `ETag` is its sha256.",
            "content": {_PARQUET: {"schema": {"type": "string", "format": "binary"}}},
        },
        304: NOT_MODIFIED,
        **_PROBLEMS,
    },
)
def file(
    context: ContextDep,
    caller: CallerDep,
    job_id: JobIdPath,
    name: Annotated[
        str,
        Path(
            max_length=200,
            description="`path` of an entry of the manifest's `files`.",
            examples=["domains.parquet"],
        ),
    ],
    if_none_match: IfNoneMatchDep = None,
) -> Response:
    """Read a file of the manifest: domains, source files, documents, Croissant, dataset card."""
    with unit_of_work(context.sessions) as work:
        manifest = find_job_manifest(work.session, caller, job_id)
    files = {entry["path"]: entry for entry in json.loads(_read_head(context, manifest))["files"]}
    # Only what the manifest lists is served, so a name cannot lead anywhere else.
    if name not in files:
        raise NotFoundError(f"the manifest has no file {name!r}; it has {', '.join(files)}")
    etag = f'"{files[name]["sha256"]}"'
    if is_current(etag, if_none_match):
        return not_modified(etag)
    path = context.store.path(job_id, manifest.path, name)
    headers = {"ETag": etag, "Cache-Control": _CACHE}
    return FileResponse(
        path, headers=headers, media_type=_media_type(name), filename=PurePosixPath(name).name
    )


def _media_type(name: str) -> str:
    kinds = {".parquet": _PARQUET, ".json": "application/json", ".md": "text/markdown"}
    return kinds.get(PurePosixPath(name).suffix, "application/octet-stream")


def _read_head(context: Context, manifest: Manifest) -> bytes:
    return context.store.read(manifest.job_id, manifest.path, HEAD_FILE, sha256=manifest.sha256)
