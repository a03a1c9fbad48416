"""Keys of a tenant: made, listed, replaced, ended; and who did it. All need the scope `admin`."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from service.auth import keys, repository
from service.auth.api_keys import NewKey
from service.auth.models import ApiKey
from service.auth.schemas import (
    ApiKeyCreate,
    ApiKeyList,
    ApiKeyMade,
    ApiKeyRead,
    ApiKeyRotate,
    AuditEventList,
    AuditEventRead,
)
from service.db.session import unit_of_work
from service.dependencies import CallerDep, ContextDep
from service.errors import (
    DatabaseUnavailableError,
    InvalidStateError,
    MalformedRequestError,
    NotFoundError,
    UnauthorizedError,
    ValidationFailedError,
)
from service.jobs.paths import json_example
from service.problems import documented

router = APIRouter(prefix="/v1", tags=["keys"])

_SECONDS_A_DAY = 86_400
_ALWAYS = (UnauthorizedError, ValidationFailedError, DatabaseUnavailableError)
PrefixPath = Annotated[
    str, Path(max_length=100, description="The key's public part.", examples=["0123456789ab"])
]


@router.post(
    "/api-keys",
    status_code=201,
    response_model=ApiKeyMade,
    summary="Make an API key",
    responses={
        201: json_example(ApiKeyMade, "The key, shown this once."),
        **documented(MalformedRequestError, *_ALWAYS),
    },
)
def create(context: ContextDep, caller: CallerDep, request: ApiKeyCreate) -> Response:
    """Make a key of your tenant. Only its hash is kept: copy it now."""
    days = request.expires_in_days
    with unit_of_work(context.sessions) as work:
        new, row = keys.make(
            work.session,
            caller.tenant_id,
            name=request.name,
            scopes=sorted(set(request.scopes)),
            pepper=context.settings.key_pepper.get_secret_value(),
            actor=caller.key_prefix,
            expires_in_seconds=None if days is None else days * _SECONDS_A_DAY,
        )
        return _made(new, row)


@router.get(
    "/api-keys",
    response_model=ApiKeyList,
    summary="List API keys",
    responses={200: json_example(ApiKeyList, "All keys."), **documented(*_ALWAYS)},
)
def list_(context: ContextDep, caller: CallerDep) -> Response:
    """List the keys of your tenant without their secrets, ended ones included."""
    with unit_of_work(context.sessions) as work:
        rows = repository.list_keys(work.session, caller.tenant_id)
        page = ApiKeyList(data=[ApiKeyRead.model_validate(row) for row in rows])
    return Response(page.model_dump_json(), media_type="application/json")


@router.post(
    "/api-keys/{prefix}/rotate",
    status_code=201,
    response_model=ApiKeyMade,
    summary="Replace an API key",
    responses={
        201: json_example(ApiKeyMade, "The new key, shown this once."),
        **documented(NotFoundError, InvalidStateError, MalformedRequestError, *_ALWAYS),
    },
)
def rotate(
    context: ContextDep, caller: CallerDep, prefix: PrefixPath, request: ApiKeyRotate
) -> Response:
    """Make a key with the same name and scopes; the old one ends after a time of grace."""
    with unit_of_work(context.sessions) as work:
        new, row = keys.rotate(
            work.session,
            caller.tenant_id,
            prefix,
            grace_seconds=request.grace_seconds,
            pepper=context.settings.key_pepper.get_secret_value(),
            actor=caller.key_prefix,
        )
        return _made(new, row)


@router.delete(
    "/api-keys/{prefix}",
    status_code=204,
    response_class=Response,
    summary="End an API key",
    responses={
        204: {"description": "It is good for nothing any more."},
        **documented(NotFoundError, InvalidStateError, *_ALWAYS),
    },
)
def revoke(context: ContextDep, caller: CallerDep, prefix: PrefixPath) -> Response:
    """End a key at once. The last one with the scope `admin` stays."""
    with unit_of_work(context.sessions) as work:
        keys.revoke(work.session, caller.tenant_id, prefix, actor=caller.key_prefix)
    return Response(status_code=204)


@router.get(
    "/audit-events",
    response_model=AuditEventList,
    summary="Read the audit log",
    responses={
        200: json_example(AuditEventList, "A page, oldest first."),
        **documented(*_ALWAYS),
    },
)
def audit(
    context: ContextDep,
    caller: CallerDep,
    after: Annotated[
        int, Query(ge=0, le=2**62, description="Only events with a higher id.", examples=[0])
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="Per page.", examples=[100])] = 100,
) -> Response:
    """Read what was done to the keys of your tenant, and by whom."""
    with unit_of_work(context.sessions) as work:
        rows = repository.list_audit_events(
            work.session, caller.tenant_id, after=after, limit=limit + 1
        )
        shown = rows[:limit]
        page = AuditEventList(
            data=[AuditEventRead.model_validate(row) for row in shown],
            last_id=shown[-1].id if shown else after,
            has_more=len(rows) > limit,
        )
    return Response(page.model_dump_json(), media_type="application/json")


def _made(new: NewKey, row: ApiKey) -> Response:
    shown = ApiKeyRead.model_validate(row).model_dump() | {"key": new.text}
    content = ApiKeyMade.model_validate(shown).model_dump_json()
    # A secret that an intermediary keeps is none.
    headers = {"Cache-Control": "no-store", "Location": f"/v1/api-keys/{row.prefix}"}
    return Response(content, 201, headers, "application/json")
