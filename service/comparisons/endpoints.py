"""Comparisons: create, list, read, report, cancel, retry."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from sqlalchemy.orm import Session
from starlette.responses import Response

from service.comparisons.creation import create_comparison, retry_cells
from service.comparisons.models import Comparison
from service.comparisons.report import CSP, report
from service.comparisons.repository import (
    filled_cells,
    find_comparison,
    list_comparisons,
    states_of,
)
from service.comparisons.resources import (
    COMPARISON_ID,
    ComparisonCreate,
    ComparisonList,
    ComparisonRead,
)
from service.comparisons.views import comparison_path, read_comparison, summarise
from service.db.session import unit_of_work
from service.dependencies import Caller, CallerDep, ContextDep, IfNoneMatchDep, SentBodyDep
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
from service.jobs.lifecycle import TERMINAL, JobState
from service.jobs.paths import NOT_MODIFIED, json_example
from service.jobs.service import cancel_job
from service.pagination import DEFAULT_LIMIT, MAX_LIMIT, decode_token, encode_token
from service.problems import documented

router = APIRouter(prefix="/v1/comparisons", tags=["comparisons"])

_ALWAYS = (UnauthorizedError, ValidationFailedError, DatabaseUnavailableError)
_READ = json_example(ComparisonRead, "The comparison. `ETag` changes when it does.")
_REPORTS: dict[str, Any] = {
    "description": "The report; the newest numbers, also while jobs run.",
    "content": {
        "application/json": {"schema": {"type": "object"}, "example": {"entries": []}},
        "text/csv": {"schema": {"type": "string"}, "example": "entry,method\ntandem,tandem\n"},
        "text/markdown": {"schema": {"type": "string"}, "example": "# Comparison\n"},
        "text/html": {"schema": {"type": "string"}, "example": "<!doctype html>"},
    },
}

ComparisonIdPath = Annotated[
    str, Path(max_length=100, description="Id of the comparison.", examples=[COMPARISON_ID])
]


@router.post(
    "",
    status_code=201,
    response_model=ComparisonRead,
    summary="Compare methods",
    responses={
        201: json_example(ComparisonRead, "The comparison; `Location` is its path."),
        **documented(
            MalformedRequestError, PayloadTooLargeError, IdempotencyKeyReusedError, *_ALWAYS
        ),
    },
)
def create(
    context: ContextDep,
    caller: CallerDep,
    request: ComparisonCreate,
    body: SentBodyDep,
    idempotency_key: IdempotencyKeyDep = None,
) -> Response:
    """Run several methods with several seeds on the same data with the same compute.

    Every cell is a job, checked like any other; a mistake in any of them and there is none. Jobs of
    yours with the same specification that are under way or have succeeded fill cells as they are,
    unless `reuse` is false or the data changed since.
    """
    return create_comparison(context, caller, request, body, idempotency_key).response()


@router.get(
    "",
    response_model=ComparisonList,
    summary="List comparisons",
    responses={
        200: json_example(ComparisonList, "A page of comparisons, newest first."),
        **documented(InvalidCursorError, *_ALWAYS),
    },
)
def list_(
    context: ContextDep,
    caller: CallerDep,
    limit: Annotated[
        int,
        Query(ge=1, description=f"Per page; above {MAX_LIMIT} is {MAX_LIMIT}.", examples=[20]),
    ] = DEFAULT_LIMIT,
    page_token: Annotated[
        str | None,
        Query(
            max_length=500,
            description="`next_page_token` of the page before; leave out for the first.",
            examples=["WyIyMDI2LTExLTIzVDA1OjU0OjU3KzAwOjAwIiwgImNtcF8wMSJd"],
        ),
    ] = None,
) -> Response:
    """List your comparisons, newest first, in pages that new ones do not shift."""
    before = None if page_token is None else decode_token(page_token)
    size = min(limit, MAX_LIMIT)
    with unit_of_work(context.sessions) as work:
        rows = list_comparisons(work.session, caller.tenant_id, before=before, limit=size + 1)
        shown = rows[:size]
        counts = states_of(work.session, [row.id for row in shown])
    last = shown[-1] if len(rows) > size else None
    page = ComparisonList(
        data=[summarise(row, counts[row.id]) for row in shown],
        next_page_token=None if last is None else encode_token((last.created_at, last.id)),
    )
    return Response(page.model_dump_json(), media_type="application/json")


@router.get(
    "/{comparison_id}",
    response_model=ComparisonRead,
    summary="Read a comparison",
    responses={200: _READ, 304: NOT_MODIFIED, **documented(NotFoundError, *_ALWAYS)},
)
def read(
    context: ContextDep,
    caller: CallerDep,
    comparison_id: ComparisonIdPath,
    if_none_match: IfNoneMatchDep = None,
) -> Response:
    """Read the cells and the table of what is finished so far."""
    with unit_of_work(context.sessions) as work:
        content = _shown(work.session, caller, comparison_id)
    return tagged_json(content, if_none_match)


@router.get(
    "/{comparison_id}/report",
    response_class=Response,
    summary="Read a comparison's report",
    responses={200: _REPORTS, **documented(NotFoundError, *_ALWAYS)},
)
def read_report(
    context: ContextDep,
    caller: CallerDep,
    comparison_id: ComparisonIdPath,
    format_: Annotated[
        Literal["json", "csv", "markdown", "html"],
        Query(alias="format", description="`html` is one page with figures.", examples=["html"]),
    ] = "json",
) -> Response:
    """Read the table as JSON, CSV or Markdown, or one self-contained page with figures."""
    with unit_of_work(context.sessions) as work:
        comparison = _find(work.session, caller, comparison_id)
        content, media_type = report(work.session, comparison, format_)
    headers = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
    if format_ == "html":
        headers["Content-Security-Policy"] = CSP
    return Response(content, headers=headers, media_type=media_type)


@router.post(
    "/{comparison_id}/cancel",
    status_code=202,
    response_model=ComparisonRead,
    summary="Cancel a comparison",
    responses={
        202: json_example(ComparisonRead, "Its own jobs that were not over are told to stop."),
        **documented(NotFoundError, *_ALWAYS),
    },
)
def cancel(context: ContextDep, caller: CallerDep, comparison_id: ComparisonIdPath) -> Response:
    """Stop the jobs that this comparison made; those it found and finished cells stay."""
    with unit_of_work(context.sessions) as work:
        comparison = _find(work.session, caller, comparison_id, for_update=True)
        for filled in filled_cells(work.session, comparison.id):
            over = JobState(filled.job.state) in TERMINAL
            if not over and not filled.cell.reused:
                cancel_job(work.session, caller, filled.job.id)
        content = _shown(work.session, caller, comparison_id)
    headers = {"Location": comparison_path(comparison_id)}
    return Response(content, 202, headers=headers, media_type="application/json")


@router.post(
    "/{comparison_id}/retry",
    status_code=202,
    response_model=ComparisonRead,
    summary="Retry a comparison",
    responses={
        202: json_example(ComparisonRead, "Failed and cancelled cells have new jobs."),
        **documented(NotFoundError, *_ALWAYS),
    },
)
def retry(context: ContextDep, caller: CallerDep, comparison_id: ComparisonIdPath) -> Response:
    """Run failed and cancelled cells again; the others stay as they are."""
    with unit_of_work(context.sessions) as work:
        comparison = _find(work.session, caller, comparison_id, for_update=True)
        made = retry_cells(work.session, context, caller, comparison.id)
        content = _shown(work.session, caller, comparison_id)
        work.after_commit.append(lambda: context.dispatcher.announce(made))
    headers = {"Location": comparison_path(comparison_id)}
    return Response(content, 202, headers=headers, media_type="application/json")


def _find(
    session: Session, caller: Caller, comparison_id: str, *, for_update: bool = False
) -> Comparison:
    # NUL cannot stand in a query, so no comparison has such an id.
    comparison = None
    if "\0" not in comparison_id:
        comparison = find_comparison(
            session, caller.tenant_id, comparison_id, for_update=for_update
        )
    if comparison is None:
        raise NotFoundError(f"there is no comparison {comparison_id[:100]!r}")
    return comparison


def _shown(session: Session, caller: Caller, comparison_id: str) -> bytes:
    comparison = _find(session, caller, comparison_id)
    shown = read_comparison(comparison, filled_cells(session, comparison.id))
    return shown.model_dump_json().encode()
