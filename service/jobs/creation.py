"""Makes a job from a request: everything is checked before there is a row."""

from typing import Any

from service.context import Context
from service.db.session import unit_of_work
from service.dependencies import Caller
from service.idempotency import Answer, request_sha256
from service.jobs.answers import store_answer, stored_answer
from service.jobs.checks import check_files, refuse_nul, refused
from service.jobs.repository.jobs import NewJob, add_job
from service.jobs.schemas import JobCreate
from service.jobs.views import job_path, read_job
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.errors import InvalidSpecError
from tandem_engine.presets import resolve

_PATH = "/v1/jobs"


def create_job(
    context: Context, caller: Caller, request: JobCreate, body: Any, key: str | None
) -> Answer:
    """Check a request, write its job and announce it.

    Args:
        context: The application's.
        caller: Whose job it will be.
        request: The validated body.
        body: The body as it was sent.
        key: The `Idempotency-Key`, if there is one.

    Raises:
        ValidationFailedError: something in the specification or its files is wrong.
        IdempotencyKeyReusedError: the key belongs to another request.
    """
    sha256 = request_sha256("POST", _PATH, body)
    if key is not None:
        with unit_of_work(context.sessions) as work:
            if answer := stored_answer(work.session, caller, key, sha256):
                return answer
    refuse_nul(body)
    spec = _resolved(request.spec)
    # No transaction is open here: reading files may take a while.
    check_files(context, spec, body["spec"])
    new = NewJob.from_spec(
        spec,
        tenant_id=caller.tenant_id,
        max_attempts=context.settings.max_attempts,
        name=request.name,
        labels=request.labels,
    )
    with unit_of_work(context.sessions) as work:
        savepoint = work.session.begin_nested()
        job = add_job(work.session, new)
        answer = Answer(201, job_path(job.id), read_job(job).model_dump_json())
        if key is not None and not store_answer(work.session, caller, key, sha256, answer):
            # Another request with this key was faster; its job is the one.
            savepoint.rollback()
            if stored := stored_answer(work.session, caller, key, sha256):
                return stored
        work.after_commit.append(lambda: context.dispatcher.announce([job.id]))
    return answer


def _resolved(spec: JobSpec) -> JobSpec:
    try:
        return resolve(spec)
    except InvalidSpecError as error:
        raise refused(error, "spec") from error
