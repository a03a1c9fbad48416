"""`GET /metrics`: no part of the interface, and not there unless the operator asks for it."""

import asyncio
import secrets
from typing import Annotated

from fastapi import APIRouter, Header, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.dependencies import ContextDep
from service.errors import UnauthorizedError
from service.metrics.registry import Metrics

router = APIRouter(include_in_schema=False)

_SCHEME = "bearer "


@router.get("/metrics")
async def metrics(
    request: Request, context: ContextDep, authorization: Annotated[str, Header()] = ""
) -> Response:
    """Return all metrics as text; `TANDEM_METRICS_TOKEN` is the key."""
    token = context.settings.metrics_token.get_secret_value()
    if not token:
        raise HTTPException(404)  # the answer to any unknown path
    given = authorization[len(_SCHEME) :] if authorization.lower().startswith(_SCHEME) else ""
    if not secrets.compare_digest(given.encode(), token.encode()):
        raise UnauthorizedError(
            "send `Authorization: Bearer` and the value of TANDEM_METRICS_TOKEN",
            headers={"WWW-Authenticate": "Bearer"},
        )
    # Not in the threads of the other endpoints: when these are all taken, the numbers are needed.
    text = await asyncio.to_thread(generate_latest, _metrics_of(request).registry)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _metrics_of(request: Request) -> Metrics:
    found = request.app.state.metrics
    if not isinstance(found, Metrics):
        raise TypeError("the application was not started: its lifespan makes the metrics")
    return found
