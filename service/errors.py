"""Errors of the interface: each class has a status, a code and a title; instances have details."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FieldProblem:
    """One thing that is wrong with a request.

    Attributes:
        pointer: RFC 6901 pointer into the body, or `query:NAME`, `header:NAME`, `path:NAME`.
        code: What kind of mistake.
        message: The mistake in words, with the value.
        value: The value, shortened.
        hint: What to do.
    """

    pointer: str
    code: str
    message: str
    value: str | None = None
    hint: str | None = None


class ServiceError(Exception):
    """Something that the caller is told as an RFC 9457 problem."""

    status_code = 500
    code = "internal"
    title = "The service failed"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Say what happened this time; `code` narrows the class's own."""
        super().__init__(detail)
        self.detail = detail
        self.problem_code = code or self.code
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class MalformedRequestError(ServiceError):
    """The body is not JSON, or not text that can be stored."""

    status_code = 400
    code = "malformed_request"
    title = "The request cannot be read"


class InvalidCursorError(ServiceError):
    """A page token was not given out by this service."""

    status_code = 400
    code = "invalid_cursor"
    title = "The page token is not valid"


class UnauthorizedError(ServiceError):
    """No API key, or one that is unknown or revoked."""

    status_code = 401
    code = "unauthorized"
    title = "A valid API key is needed"


class ForbiddenError(ServiceError):
    """The key is valid and may not do this."""

    status_code = 403
    code = "scope_missing"
    title = "The API key lacks a scope"


class NotFoundError(ServiceError):
    """There is no such thing, or it belongs to somebody else."""

    status_code = 404
    code = "not_found"
    title = "Not found"


class InvalidStateError(ServiceError):
    """The job is not in a state that allows this."""

    status_code = 409
    code = "invalid_state"
    title = "The job's state does not allow this"


class MixtureNotReadyError(ServiceError):
    """The job has no result yet."""

    status_code = 409
    code = "mixture_not_ready"
    title = "The mixture is not ready"


class ManifestNotReadyError(ServiceError):
    """The job has no manifest yet."""

    status_code = 409
    code = "manifest_not_ready"
    title = "The manifest is not ready"


class ExportRefusedError(ServiceError):
    """A trainer cannot be given the mixture in a way that keeps it."""

    status_code = 409
    code = "export_refused"
    title = "The mixture cannot be exported so"


class ArtifactGoneError(ServiceError):
    """A file that the job wrote is no longer there, or is not the one it wrote."""

    status_code = 410
    code = "artifact_gone"
    title = "The file is gone"


class PayloadTooLargeError(ServiceError):
    """The body is larger than the limit."""

    status_code = 413
    code = "payload_too_large"
    title = "The body is too large"


class ValidationFailedError(ServiceError):
    """Fields of the request are wrong; all of them are listed."""

    status_code = 422
    code = "validation_failed"
    title = "The request is not valid"


class IdempotencyKeyReusedError(ServiceError):
    """The key was used before, for another request."""

    status_code = 422
    code = "idempotency_key_reused"
    title = "The Idempotency-Key belongs to another request"


class DatabaseUnavailableError(ServiceError):
    """The database does not answer."""

    status_code = 503
    code = "database_unavailable"
    title = "The database does not answer"
