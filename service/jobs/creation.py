"""Makes a job from a request: everything is checked before there is a row."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from service.context import Context
from service.db.session import unit_of_work
from service.dependencies import Caller
from service.error_handlers import field_problems
from service.errors import ValidationFailedError
from service.idempotency import Answer, request_sha256
from service.jobs.answers import store_answer, stored_answer
from service.jobs.checks import check_files, refuse_nul, refused
from service.jobs.repository.jobs import NewJob, add_job
from service.jobs.schemas import JobClone, JobCreate
from service.jobs.service import get_job
from service.jobs.views import job_path, read_job
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.errors import InvalidSpecError
from tandem_engine.presets import resolve

_PATH = "/v1/jobs"


def create_job(
    context: Context,
    caller: Caller,
    request: JobCreate,
    body: Any,
    key: str | None,
    *,
    parent_job_id: str | None = None,
) -> Answer:
    """Check a request, write its job and announce it.

    Args:
        context: The application's.
        caller: Whose job it will be.
        request: The validated body.
        body: The body as it was sent.
        key: The `Idempotency-Key`, if there is one.
        parent_job_id: The job that the new one is a copy of.

    Raises:
        ValidationFailedError: something in the specification or its files is wrong.
        IdempotencyKeyReusedError: the key belongs to another request.
    """
    path = _PATH if parent_job_id is None else f"{_PATH}/{parent_job_id}/clone"
    sha256 = request_sha256("POST", path, body)
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
        deadline_seconds=request.deadline_seconds,
        parent_job_id=parent_job_id,
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


def clone_job(
    context: Context, caller: Caller, job_id: str, request: JobClone, key: str | None
) -> Answer:
    """Make a copy of a job with a changed specification; raises as `create_job`.

    Raises:
        NotFoundError: the caller has no such job.
    """
    with unit_of_work(context.sessions) as work:
        parent = get_job(work.session, caller, job_id)
        name, labels, spec = parent.name, parent.labels, parent.spec
    # What an older release wrote may lack fields; those come from the preset again.
    body = {
        "name": request.name if request.name is not None else name,
        "labels": labels if request.labels is None else request.labels,
        "deadline_seconds": request.deadline_seconds,
        "spec": merged(spec, request.overrides),
    }
    try:
        copy = JobCreate.model_validate(body)
    except ValidationError as error:
        found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise ValidationFailedError(
            "the changed specification is not valid; pointers lead into it",
            errors=field_problems(found),
        ) from error
    return create_job(context, caller, copy, body, key, parent_job_id=job_id)


def merged(document: Any, patch: Any) -> Any:
    """Return `document` with a JSON merge patch applied (RFC 7396): null removes, lists replace."""
    if not isinstance(patch, Mapping):
        return patch
    kept = dict(document) if isinstance(document, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = merged(kept.get(name), value)
    return kept
