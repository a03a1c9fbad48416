"""Errors of the engine: each has a code, a hint that says how to fix it, and says if it may pass.

The service turns them into RFC 9457 problems, the command line into one record; neither needs to
know more than this module.
"""

from typing import ClassVar


class TandemError(Exception):
    """Base of all errors that a user can act on."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, field: str | None = None, value: object = None, hint: str = ""
    ) -> None:
        """Keep what is wrong (`message`), where (`field`, `value`) and the fix (`hint`)."""
        super().__init__(message)
        self.message = message
        self.field = field
        self.value = None if value is None else str(value)[:500]
        self.hint = hint


class InvalidSpecError(TandemError):
    """The specification contradicts itself or names something that does not exist."""

    code = "invalid_spec"


class DatasetUnreadableError(TandemError):
    """A file of a domain is missing, is no file, or may not be read."""

    code = "dataset_unreadable"


class DatasetUnavailableError(TandemError):
    """A file lies on another machine that does not answer, or not now."""

    code = "dataset_unavailable"
    retryable = True


class UriNotAllowedError(TandemError):
    """A file lies where data may not come from on this machine."""

    code = "uri_not_allowed"


class DatasetMalformedError(TandemError):
    """A record of a domain is not what the format says."""

    code = "dataset_malformed"


class DatasetEmptyError(TandemError):
    """A domain holds no text."""

    code = "dataset_empty"


class ManifestDamagedError(TandemError):
    """A manifest is not what its checksums say, or its sources are not what they were."""

    code = "manifest_damaged"


class ExportRefusedError(TandemError):
    """A trainer cannot be given the mixture in a way that keeps it."""

    code = "export_refused"


class DomainTooSmallError(TandemError):
    """A domain is too small to split into train, validation and test sequences."""

    code = "domain_too_small"


class MissingLibraryError(TandemError):
    """An optional library that the job needs is not installed on this machine."""

    code = "missing_library"


class DivergedError(TandemError):
    """A loss or a parameter is no longer finite."""

    code = "diverged"


class OutOfMemoryError(TandemError):
    """The device's memory does not hold the job."""

    code = "out_of_memory"


class DiskFullError(TandemError):
    """No space is left for a checkpoint or a result; older files are kept."""

    code = "disk_full"
    retryable = True


class CheckpointError(TandemError):
    """No checkpoint of this job can be read."""

    code = "checkpoint_unreadable"


class StopRequestedError(TandemError):
    """The engine was asked to stop and wrote a checkpoint."""

    code = "stopped"
    retryable = True
