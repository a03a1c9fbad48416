"""The trajectory of a job: read while it is written."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header
from fastapi import Query as QueryParameter
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from service.context import Context
from service.db.session import unit_of_work
from service.dependencies import Caller, CallerDep, ContextDep, IfNoneMatchDep
from service.errors import (
    DatabaseUnavailableError,
    FieldProblem,
    NotFoundError,
    UnauthorizedError,
    ValidationFailedError,
)
from service.etags import is_current, not_modified
from service.jobs import service, trajectory
from service.jobs.lifecycle import TERMINAL, JobState
from service.jobs.paths import NOT_MODIFIED, JobIdPath, json_example
from service.jobs.repository.trajectory import JobMark, mark_of
from service.jobs.trajectory import DEFAULT_LIMIT, MAX_LIMIT, Page, Query
from service.jobs.trajectory_columns import Layout
from service.jobs.trajectory_formats import MEDIA_TYPES, Format, chosen_format
from service.jobs.trajectory_schemas import Trajectory
from service.jobs.trajectory_text import csv_pieces, ndjson_pieces
from service.jobs.watching import WatcherDep
from service.preferences import PreferDep, wait_seconds
from service.problems import documented

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_RESPONSE = json_example(Trajectory, "Points after the cursor, one column per quantity.")
_RESPONSE["content"] |= {
    MEDIA_TYPES[Format.CSV]: {
        "schema": {"type": "string"},
        "example": "episode,step,alpha:code,alpha:manuals\n1,10,0.55,0.45\n",
    },
    MEDIA_TYPES[Format.NDJSON]: {
        "schema": {"type": "string"},
        "example": '{"episode":1,"step":10,"alpha":{"code":0.55,"manuals":0.45}}\n',
    },
    MEDIA_TYPES[Format.ARROW]: {"schema": {"type": "string", "format": "binary"}},
    MEDIA_TYPES[Format.PARQUET]: {"schema": {"type": "string", "format": "binary"}},
}


def asked(
    *,
    after_step: Annotated[
        int,
        QueryParameter(
            ge=0,
            le=2**62,
            description="Only points after this step of u: `last_step` of the answer before.",
            examples=[100],
        ),
    ] = 0,
    after_seq: Annotated[
        int | None,
        QueryParameter(
            ge=0,
            le=2**62,
            description="Instead of `after_step`: points in the order in which they were written, "
            "after `next_seq` of the answer before; above 0 it needs `epoch`.",
            examples=[40],
        ),
    ] = None,
    limit: Annotated[
        int | None,
        QueryParameter(
            ge=1,
            description=f"Points at most. JSON: {DEFAULT_LIMIT} without it, and above {MAX_LIMIT} "
            "is that. The other formats: all without it.",
            examples=[1000],
        ),
    ] = None,
    max_points: Annotated[
        int | None,
        QueryParameter(
            ge=2,
            description="Of all points after the cursor send this many at most: the first, the "
            f"last, and where alpha moved most; above {MAX_LIMIT} is that. `limit` is ignored.",
            examples=[500],
        ),
    ] = None,
    epoch: Annotated[
        int | None,
        QueryParameter(
            ge=1,
            le=2**31 - 1,
            description="`epoch` of the answer before: then `rewind` says which points were "
            "written again since.",
            examples=[1],
        ),
    ] = None,
    format_: Annotated[
        Literal["json", "csv", "ndjson", "arrow", "parquet"] | None,
        QueryParameter(alias="format", description="Wins over `Accept`.", examples=["json"]),
    ] = None,
    accept: Annotated[
        str,
        Header(
            description="Media type of one of the formats; JSON if none is known.",
            examples=["application/json"],
        ),
    ] = "",
) -> Query:
    """Return what a request asks for.

    Raises:
        ValidationFailedError: the cursor is not whole, or there are two.
    """
    if after_seq is not None and after_step:
        raise _wrong("after_step", "give after_step or after_seq, not both")
    if after_seq and epoch is None:
        raise _wrong("epoch", "after_seq needs the `epoch` of the same answer")
    format_chosen = chosen_format(format_, accept)
    if format_chosen == Format.JSON:
        limit = min(limit or DEFAULT_LIMIT, MAX_LIMIT)
    return Query(
        order="step" if after_seq is None else "seq",
        after=after_step if after_seq is None else after_seq,
        # What is above is all of it, for the database too.
        limit=limit if limit is None or limit < 2**31 else None,
        epoch=epoch,
        format=format_chosen,
        max_points=None if max_points is None else min(max_points, MAX_LIMIT),
    )


QueryDep = Annotated[Query, Depends(asked)]


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
async def read(
    *,
    context: ContextDep,
    watcher: WatcherDep,
    caller: CallerDep,
    job_id: JobIdPath,
    query: QueryDep,
    prefer: PreferDep = "",
    if_none_match: IfNoneMatchDep = None,
) -> Response:
    """Read alpha and its diagnostics step by step, while the job runs.

    Give `last_step` and `epoch` of one answer back as `after_step` and `epoch` of the next, or
    `next_seq` as `after_seq`. A job that lost its worker resumes from a checkpoint and writes later
    steps again; `rewind.to_step` then says what to forget. The trajectory is complete when
    `job_state` is final and `has_more` is false. With `Prefer: wait=N` the answer waits for
    something new. The other formats have the same quantities; `X-Epoch`, `X-Last-Step`,
    `X-Next-Seq`, `X-Has-More` and `X-Rewind-To-Step` say the rest.
    """
    answering = partial(_answer, context, caller, job_id, query, if_none_match)
    answer = await run_in_threadpool(answering)
    seconds = wait_seconds(prefer)
    if seconds is not None:
        # Neither a connection nor a thread waits; the job may be anything afterwards.
        if not answer.is_news and await watcher.changed(job_id, answer.mark, seconds):
            answer = await run_in_threadpool(answering)
        answer.response.headers["Preference-Applied"] = f"wait={seconds}"
    return answer.response


@dataclass(frozen=True)
class _Answer:
    response: Response
    mark: JobMark
    is_news: bool


def _answer(
    context: Context, caller: Caller, job_id: str, query: Query, if_none_match: str | None
) -> _Answer:
    with unit_of_work(context.sessions) as work:
        job = service.get_job(work.session, caller, job_id)
        etag = trajectory.etag(job, query)
        headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Accept, Prefer"}
        if is_current(etag, if_none_match):
            response = not_modified(etag)
            response.headers.update(headers)
            return _Answer(response, mark_of(job), is_news=JobState(job.state) in TERMINAL)
        find = trajectory.read_page if query.format == Format.JSON else trajectory.open_page
        page = find(work.session, job, query)
    kind = MEDIA_TYPES[query.format]
    if query.format == Format.JSON:
        response = Response(trajectory.as_json(page), headers=headers, media_type=kind)
    else:
        content = _content(context, page, query.format)
        response = StreamingResponse(content, headers=headers | _said(page), media_type=kind)
    return _Answer(response, mark_of(job), page.is_news)


def _content(context: Context, page: Page, format_: Format) -> Iterator[bytes]:
    layout, points = Layout.of(page.job), trajectory.pieces(context.sessions, page)
    if format_ == Format.CSV:
        return csv_pieces(points, layout)
    if format_ == Format.NDJSON:
        return ndjson_pieces(points, layout)
    # Arrow takes memory that an idle service need not have.
    from service.jobs.trajectory_arrow import arrow_pieces, parquet_pieces  # noqa: PLC0415

    return (arrow_pieces if format_ == Format.ARROW else parquet_pieces)(points, layout)


def _said(page: Page) -> dict[str, str]:
    said = {
        "X-Epoch": page.job.epoch,
        "X-Last-Step": page.last_step,
        "X-Next-Seq": page.next_seq,
        "X-Rewind-To-Step": page.rewind_to,
        "X-Has-More": str(page.has_more).lower(),
    }
    return {name: str(value) for name, value in said.items() if value is not None}


def _wrong(parameter: str, message: str) -> ValidationFailedError:
    problem = FieldProblem(f"query:{parameter}", "invalid_cursor", message)
    return ValidationFailedError("the cursor is not valid; see `errors`", errors=[problem])
