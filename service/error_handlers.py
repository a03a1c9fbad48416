"""Every error leaves as a problem: our own, the validation's, the router's and the unexpected."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.errors import (
    DatabaseUnavailableError,
    FieldProblem,
    MalformedRequestError,
    ServiceError,
    ValidationFailedError,
)
from service.problems import problem_response

log = structlog.get_logger(__name__)

_VALUE_LENGTH = 500
_RETRY_AFTER = {"Retry-After": "5"}


def add_error_handlers(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(ServiceError)
    def service_error(request: Request, error: ServiceError) -> Response:
        return problem_response(error, instance=request.url.path)

    @app.exception_handler(RequestValidationError)
    def validation_error(request: Request, error: RequestValidationError) -> Response:
        return problem_response(_validation_problem(error), instance=request.url.path)

    @app.exception_handler(HTTPException)
    def router_error(request: Request, error: HTTPException) -> Response:
        where = f"{request.method} {request.url.path}"
        return problem_response(_RouterError(error, where), instance=request.url.path)

    @app.exception_handler(SQLAlchemyError)
    def database_error(request: Request, error: SQLAlchemyError) -> Response:
        if not _is_outage(error):
            raise error
        log.warning("database_unavailable", cause=str(error).splitlines()[0])
        away = DatabaseUnavailableError("try again in a few seconds", headers=_RETRY_AFTER)
        return problem_response(away, instance=request.url.path)


def field_problems(errors: Sequence[Any]) -> list[FieldProblem]:
    """Turn pydantic's list of errors into ours."""
    return [
        FieldProblem(
            pointer=_pointer(error["loc"]),
            code=error["type"],
            message=error["msg"],
            value=_shown(error.get("input")),
        )
        for error in errors
    ]


def json_pointer(*parts: str | int) -> str:
    """Return the RFC 6901 pointer of a place in the body."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _pointer(location: tuple[str | int, ...]) -> str:
    where, *rest = location or ("body",)
    if where == "body":
        return json_pointer(*rest)
    return f"{where}:{'.'.join(str(part) for part in rest)}"


def _shown(value: object) -> str | None:
    if value is None or isinstance(value, (dict, list, bytes)):
        return None  # the pointer says where it is; a whole document helps nobody
    return str(value)[:_VALUE_LENGTH]


class _RouterError(ServiceError):
    """What the router refuses: an unknown path, a method that a path does not have."""

    _CODES = MappingProxyType(
        {400: "malformed_request", 404: "not_found", 405: "method_not_allowed"}
    )

    def __init__(self, error: HTTPException, where: str) -> None:
        super().__init__(
            f"{where}: {error.detail}",
            code=self._CODES.get(error.status_code, "http_error"),
            headers=error.headers,
        )
        self.status_code = error.status_code
        self.title = error.detail


def _validation_problem(error: RequestValidationError) -> ServiceError:
    problems = field_problems(error.errors())
    if any(problem.code == "json_invalid" for problem in problems):
        return MalformedRequestError(f"the body is not JSON: {_json_mistake(error)}")
    count = len(problems)
    what = "1 field of the request is" if count == 1 else f"{count} fields of the request are"
    return ValidationFailedError(f"{what} wrong; see `errors`", errors=problems)


def _json_mistake(error: RequestValidationError) -> str:
    first = error.errors()[0]
    reason = first.get("ctx", {}).get("error", first["msg"])
    return f"{reason} at character {first['loc'][-1]}"


def _is_outage(error: SQLAlchemyError) -> bool:
    # 57P0x: the server shuts down or ended the connection; 57014: the statement timeout.
    if isinstance(error, PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None) or ""
    no_answer = type(error.orig).__name__ == "OperationalError" and not state
    return error.connection_invalidated or no_answer or state.startswith(("08", "53", "57"))
