"""The mixture for trainers: raw, and in the formats of others."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from service.artifacts.manifests import find_job_manifest
from service.context import Context
from service.db.session import unit_of_work
from service.dependencies import CallerDep, ContextDep, IfNoneMatchDep
from service.errors import (
    ArtifactGoneError,
    DatabaseUnavailableError,
    ExportRefusedError,
    FieldProblem,
    ManifestNotReadyError,
    MixtureNotReadyError,
    NotFoundError,
    UnauthorizedError,
    ValidationFailedError,
)
from service.etags import tagged, tagged_json
from service.exports.making import make_export
from service.exports.schemas import (
    ExportFormatList,
    ExportRead,
    MixtureQuery,
    all_formats,
    media_type,
    read_export,
)
from service.jobs import service
from service.jobs.mixture_schemas import MixtureRead, read_mixture
from service.jobs.paths import NOT_MODIFIED, JobIdPath, json_example
from service.problems import documented
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.registry import WrittenExport

router = APIRouter(prefix="/v1", tags=["mixture"])

_ALWAYS = (UnauthorizedError, ValidationFailedError, DatabaseUnavailableError)
_EXPORT_PROBLEMS = (ManifestNotReadyError, ExportRefusedError, ArtifactGoneError)


@router.get(
    "/jobs/{job_id}/mixture",
    response_model=MixtureRead,
    summary="Read the learned mixture",
    responses={
        200: json_example(
            MixtureRead, "Shares of tokens per domain; with `format`, the trainer's file."
        ),
        304: NOT_MODIFIED,
        **documented(NotFoundError, MixtureNotReadyError, *_EXPORT_PROBLEMS, *_ALWAYS),
    },
)
def mixture(
    context: ContextDep,
    caller: CallerDep,
    job_id: JobIdPath,
    query: Annotated[MixtureQuery, Query()],
    if_none_match: IfNoneMatchDep = None,
) -> Response:
    """Read the result by domain name, with the verdict on whether it beats the free rules.

    With `format` the answer is the file that a trainer loads, its shares in the trainer's unit.
    """
    if query.format is None:
        with unit_of_work(context.sessions) as work:
            job = service.get_job(work.session, caller, job_id)
        found = read_mixture(job.id, job.spec, service.get_result(job))
        return tagged_json(found.model_dump_json().encode(), if_none_match)
    with unit_of_work(context.sessions) as work:
        manifest = find_job_manifest(work.session, caller, job_id)
    made = make_export(context.store, manifest, query.format, query)
    name = query.file or made.primary
    if name not in made.files:
        raise ValidationFailedError(
            f"format {query.format} has no file {name!r}",
            errors=[
                FieldProblem(
                    pointer="query:file",
                    code="unknown_file",
                    message=f"there is no file {name!r}",
                    value=name,
                    hint=f"one of {', '.join(made.files)}",
                )
            ],
        )
    _tell(context, job_id, made)
    return tagged(made.files[name].encode(), if_none_match, media_type(name), filename=name)


@router.get(
    "/jobs/{job_id}/exports/{format}",
    response_model=ExportRead,
    summary="Export the mixture for a trainer",
    responses={
        200: json_example(ExportRead, "All files of the format, and what to beware of."),
        304: NOT_MODIFIED,
        **documented(NotFoundError, *_EXPORT_PROBLEMS, *_ALWAYS),
    },
)
def export(
    *,
    context: ContextDep,
    caller: CallerDep,
    job_id: JobIdPath,
    format_: Annotated[
        str, Path(alias="format", max_length=40, description="The format.", examples=["megatron"])
    ],
    options: Annotated[ExportOptions, Query()],
    if_none_match: IfNoneMatchDep = None,
) -> Response:
    """Write the mixture in a trainer's format and unit, with notes on how the trainer reads it.

    A domain that needs more passes than its cap is refused (409) unless `above_cap=flag`.
    """
    with unit_of_work(context.sessions) as work:
        manifest = find_job_manifest(work.session, caller, job_id)
    made = make_export(context.store, manifest, format_, options)
    _tell(context, job_id, made)
    shown = read_export(job_id, made)
    return tagged_json(shown.model_dump_json().encode(), if_none_match)


@router.get(
    "/export-formats",
    summary="List the formats of exports",
    responses={
        200: json_example(ExportFormatList, "All formats."),
        **documented(UnauthorizedError, DatabaseUnavailableError),
    },
)
def formats(caller: CallerDep) -> ExportFormatList:
    """List the trainers whose formats the mixture is written in, and what each of them counts."""
    del caller
    return all_formats()


def _tell(context: Context, job_id: str, made: WrittenExport) -> None:
    """Tell data platforms that listen; nobody else's business depends on it."""
    context.notifications.record_export(
        job_id, made.exporter.name, mixture_id=made.plan.mixture_id, files=made.files
    )
