"""The trajectory of a job as a stream of server-sent events."""

from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from service.db.session import unit_of_work
from service.dependencies import CallerDep, ContextDep
from service.errors import (
    DatabaseUnavailableError,
    NotFoundError,
    UnauthorizedError,
    ValidationFailedError,
)
from service.jobs import service
from service.jobs.paths import JobIdPath
from service.jobs.trajectory_stream import CURSOR_PATTERN, Cursor, Stream, is_at_the_end
from service.jobs.watching import WatcherDep
from service.problems import documented

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_EVENTS = """retry: 3000

event: state
data: {"state":"running","epoch":1,"last_step":10,"last_seq":1,"domains":["code","manuals"],\
"targets":[]}

event: point
id: 1.1
data: {"episode":1,"step":10,"alpha":{"code":0.55,"manuals":0.45}}

event: rewind
id: 2.1
data: {"to_step":0,"epoch":2}

: keep-alive

event: end
data: {"state":"succeeded","last_step":400}

"""


@router.get(
    "/{job_id}/trajectory/stream",
    response_class=StreamingResponse,
    summary="Follow the trajectory",
    responses={
        200: {
            "description": "Events until the job ends; see docs/trajectory.md.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EVENTS}},
        },
        204: {"description": "The job is over and `Last-Event-ID` was its last point."},
        **documented(
            NotFoundError, UnauthorizedError, ValidationFailedError, DatabaseUnavailableError
        ),
    },
)
async def stream(
    context: ContextDep,
    watcher: WatcherDep,
    caller: CallerDep,
    job_id: JobIdPath,
    last_event_id: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            pattern=CURSOR_PATTERN,
            description="`id` of the last event that came; also `epoch` and `next_seq` of a page "
            "with a dot between. Without it the stream begins with the first point.",
            examples=["1.40"],
        ),
    ] = None,
) -> Response:
    """Follow alpha and its diagnostics as server-sent events.

    `point` is a point, with lists as objects by name; `rewind` says after which step to forget
    all points, because a resumed attempt writes them again; `state` comes first and with each
    change of state; `end` comes last. Comments keep the connection alive. After a break, go on
    with `Last-Event-ID`: no point that counts is missed.
    """
    cursor = None if last_event_id is None else Cursor.parse(last_event_id)

    def check() -> bool:
        with unit_of_work(context.sessions) as work:
            job = service.get_job(work.session, caller, job_id)
            return cursor is not None and is_at_the_end(job, cursor)

    if await run_in_threadpool(check):
        return Response(status_code=204)
    following = Stream(context.sessions, watcher, caller, job_id)
    return StreamingResponse(
        following.events(cursor),
        media_type="text/event-stream",
        headers={"Cache-Control": "private, no-store", "X-Accel-Buffering": "no"},
    )
