"""What may be asked of a job: cancel, pause, resume, retry, clone."""

from collections.abc import Callable

from fastapi import APIRouter
from sqlalchemy.orm import Session
from starlette.responses import Response

from service.context import Context
from service.db.session import unit_of_work
from service.dependencies import Caller, CallerDep, ContextDep
from service.errors import (
    DatabaseUnavailableError,
    IdempotencyKeyReusedError,
    InvalidStateError,
    MalformedRequestError,
    NotFoundError,
    PayloadTooLargeError,
    UnauthorizedError,
    ValidationFailedError,
)
from service.idempotency import IdempotencyKeyDep
from service.jobs import service
from service.jobs.creation import clone_job
from service.jobs.models import Job
from service.jobs.paths import JobIdPath, json_example
from service.jobs.schemas import JobClone, JobRead
from service.jobs.views import job_path, read_job
from service.problems import documented

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_ALWAYS = (UnauthorizedError, ValidationFailedError, DatabaseUnavailableError)
_PROBLEMS = documented(NotFoundError, InvalidStateError, *_ALWAYS)

Ask = Callable[[Session, Caller, str], tuple[Job, bool]]


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    response_model=JobRead,
    summary="Cancel a job",
    responses={
        200: json_example(JobRead, "The job was cancelled before; nothing changed."),
        202: json_example(JobRead, "The job is cancelled (queued, paused) or cancelling (held)."),
        **_PROBLEMS,
    },
)
def cancel(context: ContextDep, caller: CallerDep, job_id: JobIdPath) -> Response:
    """Ask a job to stop.

    A queued or paused job is cancelled at once. One that a worker holds stops at its next
    heartbeat; if it ends before, it keeps that end. The trajectory so far is kept. Asking twice is
    the same as once.
    """
    return _ask(context, caller, job_id, service.cancel_job)


@router.post(
    "/{job_id}/pause",
    status_code=202,
    response_model=JobRead,
    summary="Pause a job",
    responses={
        200: json_example(JobRead, "The job is paused or pausing already; nothing changed."),
        202: json_example(JobRead, "The job is paused (queued) or pausing (held)."),
        **_PROBLEMS,
    },
)
def pause(context: ContextDep, caller: CallerDep, job_id: JobIdPath) -> Response:
    """Lay a job aside: its worker writes a checkpoint and is free for others.

    No attempt is spent, and the mixture will be the same as without the pause.
    """
    return _ask(context, caller, job_id, service.pause_job)


@router.post(
    "/{job_id}/resume",
    status_code=202,
    response_model=JobRead,
    summary="Resume a paused job",
    responses={
        200: json_example(JobRead, "The job waits or runs already; nothing changed."),
        202: json_example(JobRead, "The job is queued; it goes on from its last checkpoint."),
        **_PROBLEMS,
    },
)
def resume(context: ContextDep, caller: CallerDep, job_id: JobIdPath) -> Response:
    """Queue a paused job again; it goes on from its last checkpoint."""
    return _ask(context, caller, job_id, service.resume_job)


@router.post(
    "/{job_id}/retry",
    status_code=202,
    response_model=JobRead,
    summary="Try a job again",
    responses={
        202: json_example(JobRead, "The job is queued with all of its attempts."),
        **_PROBLEMS,
    },
)
def retry(context: ContextDep, caller: CallerDep, job_id: JobIdPath) -> Response:
    """Queue a job that failed or was cancelled again.

    It goes on from its last checkpoint, with all of its attempts and without its deadline. To start
    over, or with another specification, clone it.
    """

    def ask(session: Session, asking: Caller, asked: str) -> tuple[Job, bool]:
        return service.retry_job(session, asking, asked), True

    return _ask(context, caller, job_id, ask)


@router.post(
    "/{job_id}/clone",
    status_code=201,
    response_model=JobRead,
    summary="Copy a job with changes",
    responses={
        201: json_example(JobRead, "The new job, queued. `Location` is its path."),
        **documented(
            NotFoundError,
            MalformedRequestError,
            PayloadTooLargeError,
            IdempotencyKeyReusedError,
            *_ALWAYS,
        ),
    },
)
def clone(
    context: ContextDep,
    caller: CallerDep,
    job_id: JobIdPath,
    request: JobClone,
    idempotency_key: IdempotencyKeyDep = None,
) -> Response:
    """Make a new job with the specification of another one, changed by `overrides`.

    It is checked like any new job; pointers of mistakes lead into the changed specification.
    """
    return clone_job(context, caller, job_id, request, idempotency_key).response()


def _ask(context: Context, caller: Caller, job_id: str, ask: Ask) -> Response:
    with unit_of_work(context.sessions) as work:
        job, changed = ask(work.session, caller, job_id)
        content = read_job(job).model_dump_json()
        if changed and job.state == "queued":
            work.after_commit.append(lambda: context.dispatcher.announce([job_id]))
    headers = {"Location": job_path(job_id)}
    return Response(content, 202 if changed else 200, headers, "application/json")
