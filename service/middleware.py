"""Around every request: an id, a limit on the body, one log line, and a problem for a crash."""

import re
import time
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import PayloadTooLargeError, ServiceError
from service.ids import new_id
from service.metrics.http import HttpMetrics
from service.problems import problem_response

log = structlog.get_logger(__name__)

REQUEST_ID_HEADER = "X-Request-ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class RequestMiddleware:
    """Pure ASGI, so that it costs nothing per chunk of a response."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, metrics: HttpMetrics) -> None:
        """Wrap `app`; larger bodies are refused before it sees them."""
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        started = time.perf_counter()
        with (
            structlog.contextvars.bound_contextvars(request_id=request_id),
            self._metrics.observed(scope) as observed,
        ):

            async def send_with_id(message: Message) -> None:
                if message["type"] == "http.response.start":
                    observed.status = message["status"]
                    MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
                await send(message)

            try:
                await self._handle(scope, receive, send_with_id)
            except Exception:
                log.exception("request_crashed", method=scope["method"], path=scope["path"])
                if observed.status is not None:
                    raise  # half an answer is out; the server has to cut the connection
                error = ServiceError("an unexpected error; the service's log has the request id")
                response = problem_response(error, instance=scope["path"])
                await response(scope, receive, send_with_id)
            finally:
                log.info(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=observed.status,
                    milliseconds=round((time.perf_counter() - started) * 1000, 1),
                )

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        if _declared_length(Headers(scope=scope)) <= self._max_body_bytes:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body += message.get("body", b"")
                if not message.get("more_body") or len(body) > self._max_body_bytes:
                    break
            if len(body) <= self._max_body_bytes:
                await self._app(scope, _replayed(bytes(body), receive), send)
                return
        error = PayloadTooLargeError(f"a body may have {self._max_body_bytes} bytes at most")
        await problem_response(error, instance=scope["path"])(scope, receive, send)


def _request_id(headers: Headers) -> str:
    # A caller's own id joins its log with ours; anything that could forge a log line does not.
    given = headers.get(REQUEST_ID_HEADER, "")
    return given if _REQUEST_ID.fullmatch(given) else new_id("req")


def _declared_length(headers: Headers) -> int:
    length = headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else 0


def _replayed(body: bytes, receive: Receive) -> Receive:
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
