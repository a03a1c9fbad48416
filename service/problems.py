"""RFC 9457 problems: their schema, how they are written, how endpoints document them."""

import json
from typing import Any

import structlog
from pydantic import BaseModel, Field
from starlette.responses import Response

from service.errors import FieldProblem, ForbiddenError, ServiceError, UnauthorizedError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:tandem:problem:"
_SHOWN_ERRORS = 1000


class ProblemField(BaseModel):
    """One thing that is wrong with a request."""

    pointer: str = Field(
        description="RFC 6901 pointer into the body, or `query:NAME`, `header:NAME`, `path:NAME`.",
        examples=["/spec/domains/2/uris/0"],
    )
    code: str = Field(description="Kind of mistake.", examples=["dataset_unreadable"])
    message: str = Field(
        description="The mistake in words.", examples=["/data/web.jsonl does not exist"]
    )
    value: str | None = Field(
        default=None,
        description="The value, shortened to 500 characters.",
        examples=["/data/web.jsonl"],
    )
    hint: str | None = Field(
        default=None,
        description="What to do about it.",
        examples=["correct the path; it must exist on the machine that runs the service"],
    )


class Problem(BaseModel):
    """Why a request did not succeed (RFC 9457)."""

    type: str = Field(
        description="URN of the kind of problem: `urn:tandem:problem:` and the code.",
        examples=["urn:tandem:problem:validation_failed"],
    )
    title: str = Field(
        description="The kind of problem in words.", examples=["The request is not valid"]
    )
    status: int = Field(description="HTTP status code.", examples=[422])
    detail: str = Field(
        description="What happened this time.",
        examples=["2 fields of the request are wrong; see `errors`"],
    )
    instance: str = Field(description="Path of the request.", examples=["/v1/jobs"])
    code: str = Field(description="Stable name for programs.", examples=["validation_failed"])
    errors: list[ProblemField] = Field(
        default=[],
        description="Every field that is wrong; empty when the problem is not about fields.",
        examples=[
            [
                {
                    "pointer": "/spec/seed",
                    "code": "greater_than_equal",
                    "message": "Input should be greater than or equal to 0",
                    "value": "-1",
                }
            ]
        ],
    )
    request_id: str = Field(
        description="Stands in the service's log and in the header `X-Request-ID`.",
        examples=["req_01jd8v5m3k2f7q9x4w6z0abcde"],
    )


def problem_response(error: ServiceError, *, instance: str) -> Response:
    """Write `error` as a problem."""
    document = {
        "type": TYPE_PREFIX + error.problem_code,
        "title": error.title,
        "status": error.status_code,
        "detail": error.detail,
        "instance": instance,
        "code": error.problem_code,
        "errors": [_field(problem) for problem in error.errors[:_SHOWN_ERRORS]],
        "request_id": request_id(),
    }
    # ASCII, because a refused value may hold half a surrogate pair that UTF-8 cannot write.
    content = json.dumps(document).encode("ascii")
    return Response(content, error.status_code, headers=error.headers, media_type=MEDIA_TYPE)


def request_id() -> str:
    """Return the id of the current request, empty outside of one."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def documented(*classes: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of the errors that an endpoint raises."""
    responses: dict[int | str, dict[str, Any]] = {}
    # What needs a key needs one of the right scope.
    forbidden = (ForbiddenError,) if UnauthorizedError in classes else ()
    for error in dict.fromkeys((*classes, *forbidden)):
        response = responses.setdefault(
            error.status_code,
            {
                "description": "",
                "content": {
                    MEDIA_TYPE: {
                        "schema": {"$ref": "#/components/schemas/Problem"},
                        "examples": {},
                    }
                },
            },
        )
        summary = (error.__doc__ or error.title).strip()
        response["description"] = f"{response['description']} `{error.code}`: {summary}".strip()
        response["content"][MEDIA_TYPE]["examples"][error.code] = {
            "summary": error.title,
            "value": {
                "type": TYPE_PREFIX + error.code,
                "title": error.title,
                "status": error.status_code,
                "detail": summary,
                "instance": "/v1/jobs",
                "code": error.code,
                "errors": [],
                "request_id": "req_01jd8v5m3k2f7q9x4w6z0abcde",
            },
        }
    return responses


def _field(problem: FieldProblem) -> dict[str, str]:
    document = {
        "pointer": problem.pointer,
        "code": problem.code,
        "message": problem.message,
        "value": problem.value,
        "hint": problem.hint,
    }
    return {name: value for name, value in document.items() if value is not None}
