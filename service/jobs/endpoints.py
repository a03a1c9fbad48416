"""Jobs: create, list, read, cancel, events."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from service.db.session import unit_of_work
from service.dependencies import CallerDep, ContextDep, IfNoneMatchDep, SentBodyDep
from service.errors import (
    DatabaseUnavailableError,
    IdempotencyKeyReusedError,
    InvalidCursorError,
    MalformedRequestError,
    NotFoundError,
    PayloadTooLargeError,
    UnauthorizedError,
    ValidationFailedError,
)
from service.etags import tagged_json
from service.idempotency import IdempotencyKeyDep
from service.jobs import service
from service.jobs.creation import create_job
from service.jobs.lifecycle import JobState
from service.jobs.paths import NOT_MODIFIED, JobIdPath, json_example
from service.jobs.repository.events import list_events
from service.jobs.repository.jobs import list_jobs
from service.jobs.schemas import EventList, EventRead, JobCreate, JobList, JobRead
from service.jobs.views import read_job
from service.pagination import DEFAULT_LIMIT, MAX_LIMIT, decode_token, encode_token
from service.problems import documented

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_EVENT_LIMIT = 100
_MAX_EVENTS = 1000
_ALWAYS = (UnauthorizedError, ValidationFailedError, DatabaseUnavailableError)


@router.post(
    "",
    status_code=201,
    response_model=JobRead,
    summary="Create a job",
    responses={
        201: json_example(JobRead, "The job, queued. `Location` is its path."),
        **documented(
            MalformedRequestError,
            PayloadTooLargeError,
            IdempotencyKeyReusedError,
            *_ALWAYS,
        ),
    },
)
def create(
    context: ContextDep,
    caller: CallerDep,
    request: JobCreate,
    body: SentBodyDep,
    idempotency_key: IdempotencyKeyDep = None,
) -> Response:
    """Check everything, then queue a job that learns a mixture.

    The specification, the preset and every file (exists, readable, first records parse, text field
    present, large enough) are checked before there is a job; all mistakes are listed at once, each
    with a pointer, the value and a hint. Fields that are not set come from the preset.
    """
    return create_job(context, caller, request, body, idempotency_key).response()


@router.get(
    "",
    response_model=JobList,
    summary="List jobs",
    responses={
        200: json_example(JobList, "A page of jobs, newest first."),
        **documented(InvalidCursorError, *_ALWAYS),
    },
)
def list_(
    context: ContextDep,
    caller: CallerDep,
    state: Annotated[
        JobState | None, Query(description="Only jobs in this state.", examples=["running"])
    ] = None,
    limit: Annotated[
        int,
        Query(ge=1, description=f"Jobs per page; above {MAX_LIMIT} is {MAX_LIMIT}.", examples=[20]),
    ] = DEFAULT_LIMIT,
    page_token: Annotated[
        str | None,
        Query(
            max_length=500,
            description="`next_page_token` of the page before; leave out for the first.",
            examples=["WyIyMDI2LTExLTIzVDA1OjU0OjU3KzAwOjAwIiwgImpvYl8wMSJd"],
        ),
    ] = None,
) -> Response:
    """List your jobs, newest first, in pages that new jobs do not shift."""
    before = None if page_token is None else decode_token(page_token)
    size = min(limit, MAX_LIMIT)
    with unit_of_work(context.sessions) as work:
        rows = list_jobs(work.session, caller.tenant_id, state=state, before=before, limit=size + 1)
    shown = rows[:size]
    more = len(rows) > size
    page = JobList(
        data=[read_job(job) for job in shown],
        next_page_token=encode_token((shown[-1].created_at, shown[-1].id)) if more else None,
    )
    return Response(page.model_dump_json(), media_type="application/json")


@router.get(
    "/{job_id}",
    response_model=JobRead,
    summary="Read a job",
    responses={
        200: json_example(JobRead, "The job. `ETag` changes when the job does."),
        304: NOT_MODIFIED,
        **documented(NotFoundError, *_ALWAYS),
    },
)
def read(
    context: ContextDep, caller: CallerDep, job_id: JobIdPath, if_none_match: IfNoneMatchDep = None
) -> Response:
    """Read a job's state, progress, newest mixture, and its result or error when it is over."""
    with unit_of_work(context.sessions) as work:
        job = service.get_job(work.session, caller, job_id)
    return tagged_json(read_job(job).model_dump_json().encode(), if_none_match)


@router.get(
    "/{job_id}/events",
    response_model=EventList,
    summary="Read a job's events",
    responses={
        200: json_example(EventList, "A page of events, oldest first."),
        **documented(NotFoundError, *_ALWAYS),
    },
)
def events(
    context: ContextDep,
    caller: CallerDep,
    job_id: JobIdPath,
    after: Annotated[
        int,
        Query(ge=0, le=2**62, description="Only events with a higher number.", examples=[3]),
    ] = 0,
    limit: Annotated[
        int,
        Query(ge=1, description=f"Events per page; above {_MAX_EVENTS} is that.", examples=[100]),
    ] = _EVENT_LIMIT,
) -> Response:
    """Read what happened: changes of state and phase, checkpoints, rewinds, stage-two models."""
    size = min(limit, _MAX_EVENTS)
    with unit_of_work(context.sessions) as work:
        job = service.get_job(work.session, caller, job_id)
        rows = list_events(work.session, job.id, after=after, limit=size + 1)
    shown = rows[:size]
    page = EventList(
        data=[EventRead.model_validate(row) for row in shown],
        last_seq=shown[-1].seq if shown else after,
        has_more=len(rows) > size,
    )
    return Response(page.model_dump_json(), media_type="application/json")
