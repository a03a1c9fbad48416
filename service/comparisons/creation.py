"""Makes a comparison from a request, with a job for every cell, or none of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from service.comparisons.repository import (
    FilledCell,
    NewCell,
    add_comparison,
    filled_cells,
    new_comparison_id,
    replace_job,
    reusable_jobs,
)
from service.comparisons.resources import ComparisonCreate
from service.comparisons.views import comparison_path, read_comparison
from service.context import Context
from service.datasets.models import inspect_model
from service.db.session import unit_of_work
from service.dependencies import Caller
from service.errors import FieldProblem, ValidationFailedError
from service.idempotency import Answer, request_sha256
from service.jobs.answers import store_answer, stored_answer
from service.jobs.checks import check_files, refuse_nul, refused
from service.jobs.lifecycle import JobState
from service.jobs.models import Job
from service.jobs.repository.jobs import NewJob, add_job
from tandem_engine.contracts.comparisons import Cell, ComparisonSpec, cells
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.errors import InvalidSpecError, TandemError
from tandem_engine.inputs.access import Access
from tandem_engine.inputs.listing import source_files

MOST_CELLS = 512
_PATH = "/v1/comparisons"
_NAME_LENGTH = 200


def create_comparison(
    context: Context, caller: Caller, request: ComparisonCreate, body: Any, key: str | None
) -> Answer:
    """Check a request, write comparison and jobs in one transaction, and announce the jobs.

    Args:
        context: The application's.
        caller: Whose comparison it will be.
        request: The validated body.
        body: The body as it was sent.
        key: The `Idempotency-Key`, if there is one.

    Raises:
        ValidationFailedError: an entry, the base or a file is wrong.
        IdempotencyKeyReusedError: the key belongs to another request.
    """
    sha256 = request_sha256("POST", _PATH, body)
    if key is not None:
        with unit_of_work(context.sessions) as work:
            if answer := stored_answer(work.session, caller, key, sha256):
                return answer
    refuse_nul(body)
    planned = _cells(request.spec)
    # No transaction is open here. All cells read the same files; rows may differ in length.
    longest = max((cell.spec for cell in planned), key=lambda spec: spec.training.context_length)
    check_files(context, longest, body["spec"]["base"], place="/spec/base")
    _check_models(context, request.spec, planned)
    with unit_of_work(context.sessions) as work:
        savepoint = work.session.begin_nested()
        comparison_id = new_comparison_id()
        wanted = _jobs(context, caller, request, planned, comparison_id)
        new_cells = _fill(
            work.session, wanted, planned, reuse=request.reuse, access=context.settings.access
        )
        comparison = add_comparison(
            work.session,
            caller.tenant_id,
            comparison_id=comparison_id,
            name=request.name,
            labels=request.labels,
            # What was not set stays open: filled in here, it would win over the base's preset.
            spec=request.spec.model_dump(mode="json", exclude_unset=True),
            cells=new_cells,
        )
        shown = read_comparison(comparison, filled_cells(work.session, comparison_id))
        answer = Answer(201, comparison_path(comparison_id), shown.model_dump_json())
        if key is not None and not store_answer(work.session, caller, key, sha256, answer):
            # Another request with this key was faster; its comparison is the one.
            savepoint.rollback()
            if stored := stored_answer(work.session, caller, key, sha256):
                return stored
        made = [cell.job_id for cell in new_cells if not cell.reused]
        work.after_commit.append(lambda: context.dispatcher.announce(made))
    return answer


def retry_cells(
    session: Session, context: Context, caller: Caller, comparison_id: str
) -> list[str]:
    """Give every cell whose job failed or was cancelled a new one; return the new jobs' ids."""
    made = []
    for filled in filled_cells(session, comparison_id):
        if JobState(filled.job.state) in {JobState.FAILED, JobState.CANCELLED}:
            job = add_job(session, _again(context, caller, filled))
            replace_job(session, filled.cell, job.id)
            made.append(job.id)
    return made


def _again(context: Context, caller: Caller, filled: FilledCell) -> NewJob:
    return NewJob(
        tenant_id=caller.tenant_id,
        spec=filled.job.spec,
        spec_sha256=filled.job.spec_sha256,
        max_attempts=context.settings.max_attempts,
        name=filled.job.name,
        labels=filled.job.labels,
    )


def _cells(spec: ComparisonSpec) -> list[Cell]:
    count = len(spec.entries) * spec.seeds
    if count > MOST_CELLS:
        message = f"{len(spec.entries)} entries with {spec.seeds} seeds are {count} cells"
        hint = f"{MOST_CELLS} are the most; compare fewer entries, or with fewer seeds"
        problem = FieldProblem("/spec/seeds", "too_many_cells", message, str(spec.seeds), hint)
        raise ValidationFailedError(message, errors=[problem])
    try:
        return cells(spec)
    except InvalidSpecError as error:
        raise refused(error, "spec") from error


def _check_models(context: Context, spec: ComparisonSpec, planned: Sequence[Cell]) -> None:
    """Check the models that entries name in place of the base's: they are files, too."""
    places = {entry.title: f"/spec/entries/{i}" for i, entry in enumerate(spec.entries)}
    problems = []
    for cell in planned[: len(spec.entries)]:
        problems += inspect_model(cell.spec.model, context.settings.access, places[cell.entry])
    if problems:
        raise ValidationFailedError("; ".join(p.message for p in problems), errors=problems)


def _jobs(
    context: Context, caller: Caller, request: ComparisonCreate, planned: Sequence[Cell], id_: str
) -> list[NewJob]:
    """Return what the row of each cell's job needs."""
    title = request.name or id_
    return [
        NewJob.from_spec(
            cell.spec,
            tenant_id=caller.tenant_id,
            max_attempts=context.settings.max_attempts,
            name=f"{title}: {cell.entry}, seed {cell.seed}"[:_NAME_LENGTH],
            labels={"comparison": id_, "entry": cell.entry, "seed": str(cell.seed)},
        )
        for cell in planned
    ]


def _fill(
    session: Session,
    wanted: Sequence[NewJob],
    planned: Sequence[Cell],
    *,
    reuse: bool,
    access: Access,
) -> list[NewCell]:
    """Return a cell for each planned one, with a job that was there or is new."""
    there: dict[str, Job] = {}
    if reuse:
        there = reusable_jobs(
            session,
            wanted[0].tenant_id,
            [new.spec_sha256 for new in wanted],
            newer_than=_last_change(access, planned[0].spec),
        )
    filled = []
    for cell, new in zip(planned, wanted, strict=True):
        found = there.get(new.spec_sha256)
        job = found or add_job(session, new)
        filled.append(
            NewCell(
                entry=cell.entry,
                method=cell.spec.method.kind,
                seed=cell.seed,
                job_id=job.id,
                reused=found is not None,
            )
        )
    return filled


def _last_change(access: Access, spec: JobSpec) -> datetime:
    """Return when a file of the data was last written, now where that cannot be told."""
    newest = 0.0
    try:
        for source in (*spec.domains, *spec.targets):
            for file in source_files(source, access):
                if not file.is_local:
                    return datetime.now(UTC)
                newest = max(newest, Path(file.location.path).stat().st_mtime)
    except (OSError, TandemError):
        return datetime.now(UTC)  # gone this moment: no earlier job read what is there now
    return datetime.fromtimestamp(newest, UTC)
