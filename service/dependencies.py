"""What endpoints ask for: the context, the caller, the body as it was sent, `If-None-Match`."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.auth.api_keys import matches, prefix_of
from service.auth.repository import LAST_USED_SECONDS, find_key, note_use
from service.auth.scopes import scope_of
from service.context import Context
from service.db.session import unit_of_work
from service.errors import ForbiddenError, UnauthorizedError
from service.query import refuse_unknown_query

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    description="`Authorization: Bearer tnd_<prefix>_<secret>`; "
    "made by `python -m service.auth.create_key --name NAME`.",
)


@dataclass(frozen=True)
class Caller:
    """Whose request it is."""

    tenant_id: str
    key_prefix: str


def get_context(request: Request) -> Context:
    """Return the application's context."""
    context = request.app.state.context
    if not isinstance(context, Context):
        raise TypeError("the application was not started: its lifespan makes the context")
    return context


ContextDep = Annotated[Context, Depends(get_context)]


def authenticate(
    request: Request,
    context: ContextDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """Return who calls.

    Raises:
        UnauthorizedError: there is no key, or it is unknown, revoked or expired.
        ForbiddenError: the key lacks the scope that the request needs.
        ValidationFailedError: the query names what the endpoint does not have.
    """
    if credentials is None:
        raise _unauthorized("send the header `Authorization: Bearer tnd_...`")
    prefix = prefix_of(credentials.credentials)
    if prefix is not None:
        with unit_of_work(context.sessions) as work:
            key = find_key(work.session, prefix)
            pepper = context.settings.key_pepper.get_secret_value()
            if key is not None and matches(credentials.credentials, pepper, key.key_hash):
                if key.last_used_at is None or _is_old(key.last_used_at):
                    note_use(work.session, prefix)
                needed = scope_of(request.method, request.url.path)
                if needed not in key.scopes:
                    raise ForbiddenError(f"the key needs the scope `{needed}` for this")
                refuse_unknown_query(request)
                return Caller(tenant_id=key.tenant_id, key_prefix=prefix)
    raise _unauthorized("the API key is unknown, revoked or expired; ask for another one")


def _is_old(used_at: datetime) -> bool:
    # Most requests need no statement for this; which minute it is, any clock says well enough.
    return (datetime.now(UTC) - used_at).total_seconds() > LAST_USED_SECONDS


def _unauthorized(detail: str) -> UnauthorizedError:
    return UnauthorizedError(detail, headers={"WWW-Authenticate": "Bearer"})


async def sent_body(request: Request) -> Any:
    """Return the JSON body as it was sent: models sort and fill in, pointers must not."""
    try:
        return json.loads(await request.body())
    except ValueError:
        return None  # the body's own validation says what is wrong with it


CallerDep = Annotated[Caller, Depends(authenticate)]
SentBodyDep = Annotated[Any, Depends(sent_body)]
IfNoneMatchDep = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        description="`ETag` of an earlier answer; 304 without a body if it still holds.",
        examples=['"0123456789abcdef0123456789abcdef"'],
    ),
]
