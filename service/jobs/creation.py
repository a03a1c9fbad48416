"""Makes a job from a request: everything is checked before there is a row."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy.orm import Session

from service.context import Context
from service.datasets.inspection import inspect
from service.db.session import unit_of_work
from service.dependencies import Caller
from service.error_handlers import json_pointer
from service.errors import FieldProblem, ValidationFailedError
from service.idempotency import Answer, replay, request_sha256
from service.jobs.repository.idempotency import add_answer, find_answer
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
            if answer := _stored(work.session, caller, key, sha256):
                return answer
    _refuse_nul(body)
    spec = _resolved(request.spec)
    # No transaction is open here: reading files may take a while.
    _check_files(context, spec, body)
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
        if key is not None and not _store(work.session, caller, key, sha256, answer):
            # Another request with this key was faster; its job is the one.
            savepoint.rollback()
            if stored := _stored(work.session, caller, key, sha256):
                return stored
        work.after_commit.append(lambda: context.dispatcher.announce([job.id]))
    return answer


def _stored(session: Session, caller: Caller, key: str, sha256: bytes) -> Answer | None:
    row = find_answer(session, caller.tenant_id, key)
    if row is None:
        return None
    stored = Answer(row.status_code, row.location, row.body)
    return replay(stored, stored_sha256=row.request_sha256, sha256=sha256)


def _store(session: Session, caller: Caller, key: str, sha256: bytes, answer: Answer) -> bool:
    return add_answer(
        session,
        caller.tenant_id,
        key,
        request_sha256=sha256,
        status_code=answer.status_code,
        location=answer.location,
        body=answer.body,
    )


def _refuse_nul(body: Any) -> None:
    problems = [
        FieldProblem(
            pointer, "nul_character", "the text holds a NUL character", hint="remove the NUL"
        )
        for pointer in _with_nul(body, ())
    ]
    if problems:
        raise ValidationFailedError("text with NUL cannot be stored", errors=problems)


def _with_nul(value: Any, place: tuple[str | int, ...]) -> Iterator[str]:
    if isinstance(value, str) and "\0" in value:
        yield json_pointer(*place)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _with_nul(item, (*place, index))
    elif isinstance(value, dict):
        for name, item in value.items():
            if "\0" in name:
                yield json_pointer(*place, name)
            yield from _with_nul(item, (*place, name))


def _resolved(spec: JobSpec) -> JobSpec:
    try:
        return resolve(spec)
    except InvalidSpecError as error:
        parts = error.field.split(".") if error.field else []
        problem = FieldProblem(
            json_pointer("spec", *parts), error.code, error.message, error.value, error.hint
        )
        raise ValidationFailedError(error.message, errors=[problem]) from error


def _check_files(context: Context, spec: JobSpec, body: Any) -> None:
    positions = {
        source["name"]: index
        for section in ("domains", "targets")
        for index, source in enumerate(body["spec"].get(section) or [])
    }
    problems = inspect(spec, positions, context.settings.roots)
    if not problems:
        return
    codes = {problem.code for problem in problems}
    raise ValidationFailedError(
        "; ".join(problem.message for problem in problems[:3])
        + (f"; and {len(problems) - 3} more in `errors`" if len(problems) > 3 else ""),  # noqa: PLR2004
        # One kind of mistake gets its own code; of several, the list tells.
        code=codes.pop() if len(codes) == 1 else "datasets_invalid",
        errors=problems,
    )
