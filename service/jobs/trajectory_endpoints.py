"""The trajectory of a job: read while it is written."""

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from service.db.session import unit_of_work
from service.dependencies import CallerDep, ContextDep, IfNoneMatchDep
from service.errors import (
    DatabaseUnavailableError,
    NotFoundError,
    UnauthorizedError,
    ValidationFailedError,
)
from service.etags import is_current, not_modified
from service.jobs import service, trajectory
from service.jobs.paths import NOT_MODIFIED, JobIdPath, json_example
from service.jobs.trajectory import DEFAULT_LIMIT, MAX_LIMIT
from service.jobs.trajectory_schemas import Trajectory
from service.problems import documented

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_CSV = "text/csv"
_RESPONSE = json_example(Trajectory, "Points after the step, one column per quantity.")
_RESPONSE["content"][_CSV] = {
    "schema": {"type": "string"},
    "example": "episode,step,alpha:code,alpha:manuals\n1,10,0.55,0.45\n",
}


@router.get(
    "/{job_id}/trajectory",
    response_model=Trajectory,
    summary="Read the trajectory",
    responses={
        200: _RESPONSE,
        304: NOT_MODIFIED,
        **documented(
            NotFoundError, UnauthorizedError, ValidationFailedError, DatabaseUnavailableError
        ),
    },
)
def read(
    *,
    context: ContextDep,
    caller: CallerDep,
    job_id: JobIdPath,
    after_step: Annotated[
        int,
        Query(
            ge=0,
            le=2**62,
            description="Only points after this step of u: `last_step` of the answer before.",
            examples=[100],
        ),
    ] = 0,
    limit: Annotated[
        int,
        Query(ge=1, description=f"Points at most; above {MAX_LIMIT} is that.", examples=[1000]),
    ] = DEFAULT_LIMIT,
    epoch: Annotated[
        int | None,
        Query(
            ge=1,
            le=2**31 - 1,
            description="`epoch` of the answer before: then `rewind` says which points were "
            "written again since.",
            examples=[1],
        ),
    ] = None,
    format_: Annotated[
        Literal["json", "csv"] | None,
        Query(alias="format", description="Wins over `Accept`.", examples=["json"]),
    ] = None,
    accept: Annotated[
        str, Header(description="`text/csv` for CSV.", examples=["application/json"])
    ] = "",
    if_none_match: IfNoneMatchDep = None,
) -> Response:
    """Read alpha and its diagnostics step by step, while the job runs.

    Give `last_step` and `epoch` of one answer back as `after_step` and `epoch` of the next. A job
    that lost its worker resumes from a checkpoint and writes later steps again; `rewind.to_step`
    then says what to forget. The trajectory is complete when `job_state` is final and `has_more`
    is false. CSV has the same columns; `X-Epoch`, `X-Last-Step` and `X-Has-More` say the rest.
    """
    as_csv = format_ == "csv" or (format_ is None and _prefers_csv(accept))
    query = trajectory.Query(after_step, min(limit, MAX_LIMIT), epoch, as_csv)
    with unit_of_work(context.sessions) as work:
        job = service.get_job(work.session, caller, job_id)
        etag = trajectory.etag(job, query)
        if is_current(etag, if_none_match):
            return not_modified(etag)
        page = trajectory.read_page(work.session, job, query)
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Accept"}
    if not as_csv:
        return Response(trajectory.as_json(page), headers=headers, media_type="application/json")
    headers |= {
        "X-Epoch": str(job.epoch),
        "X-Last-Step": str(page.last_step),
        "X-Has-More": str(page.has_more).lower(),
    }
    return Response(trajectory.as_csv(page), headers=headers, media_type=_CSV)


def _prefers_csv(accept: str) -> bool:
    kinds = [part.split(";")[0].strip().lower() for part in accept.split(",")]
    return _CSV in kinds and "application/json" not in kinds
