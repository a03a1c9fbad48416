"""Is the process alive, and can it serve? Neither needs a key."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from service.context import Context
from service.db.migrate import current_revision, head_revision
from service.dependencies import ContextDep
from service.jobs.paths import json_example, model_example

router = APIRouter(tags=["health"])

_REDIS_SECONDS = 1.0


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = Field(
        default="ok", description="Always `ok`: no answer is the other case.", examples=["ok"]
    )


class Readiness(BaseModel):
    """Whether requests can be served."""

    status: Literal["ok", "degraded", "unavailable"] = Field(
        description="`degraded`: jobs are taken, but start only when Redis is back.",
        examples=["ok"],
    )
    database: Literal["ok", "unavailable"] = Field(
        description="PostgreSQL answers.", examples=["ok"]
    )
    migrations: Literal["ok", "pending", "unknown"] = Field(
        description="The schema is the one of this release.", examples=["ok"]
    )
    redis: Literal["ok", "unavailable"] = Field(
        description="The workers' queue answers.", examples=["ok"]
    )


@router.get(
    "/healthz",
    summary="Is the process alive",
    responses={200: json_example(Health, "It is.")},
)
def healthz() -> Health:
    """Answer without touching anything else; for a liveness check."""
    return Health()


@router.get(
    "/readyz",
    response_model=Readiness,
    summary="Can requests be served",
    responses={
        200: json_example(Readiness, "Yes; `degraded` when Redis does not answer."),
        503: {
            "model": Readiness,
            "description": "No: the database is away or not migrated.",
            "content": {
                "application/json": {
                    "example": model_example(Readiness)
                    | {"status": "unavailable", "database": "unavailable", "migrations": "unknown"}
                }
            },
        },
    },
)
def readyz(context: ContextDep) -> Response:
    """Look at the database, its revision and Redis; for a readiness check.

    Redis down is not an outage: jobs are stored and announced again when it is back.
    """
    found = _look(context)
    status = 503 if found.status == "unavailable" else 200
    return Response(found.model_dump_json(), status, media_type="application/json")


def _look(context: Context) -> Readiness:
    redis = "ok" if _redis_answers(context.settings.redis_url) else "unavailable"
    try:
        with context.engine.connect() as connection:
            migrated = current_revision(connection) == head_revision()
    except SQLAlchemyError:
        return Readiness(
            status="unavailable", database="unavailable", migrations="unknown", redis=redis
        )
    if not migrated:
        return Readiness(status="unavailable", database="ok", migrations="pending", redis=redis)
    status = "ok" if redis == "ok" else "degraded"
    return Readiness(status=status, database="ok", migrations="ok", redis=redis)


def _redis_answers(url: str) -> bool:
    # Without NoBackoff redis-py tries a refused connection again for four seconds.
    client = Redis.from_url(
        url,
        socket_connect_timeout=_REDIS_SECONDS,
        socket_timeout=_REDIS_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        return bool(client.ping())
    except RedisError:
        return False
    finally:
        client.close()
