"""Files on other machines, by fsspec and its backends; credentials are the process's own.

Each filesystem is made with its defaults, which read the usual variables and files
(`AWS_ENDPOINT_URL`, `AWS_PROFILE`, `GOOGLE_APPLICATION_CREDENTIALS`,
`AZURE_STORAGE_CONNECTION_STRING`, `HF_TOKEN`, ...): what a user writes into a job can name a place,
and never how to get in.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, BinaryIO, cast

import fsspec

from tandem_engine.contracts.uris import Location, Scheme
from tandem_engine.errors import (
    DatasetUnavailableError,
    DatasetUnreadableError,
    MissingLibraryError,
    TandemError,
)
from tandem_engine.inputs.access import Access

_LIBRARIES: Mapping[Scheme, str] = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "az": "adlfs",
    "https": "aiohttp",
    "http": "aiohttp",
    "hf": "huggingface_hub",
}
_BUFFER_BYTES = 1 << 20
_GONE = frozenset({404, 410})
_DEEPEST = 20
_TAGS = ("ETag", "etag", "blob_id", "generation", "md5Hash", "Content-MD5", "Digest")
"""Fields of an entry that change with its content, the best first."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a listing says about a file or folder."""

    location: Location
    is_folder: bool
    size: int | None
    tag: str | None
    """Changes with the content; None where the server gives none."""


def describe(location: Location, access: Access) -> Entry:
    """Return what is at `location`.

    Raises:
        UriNotAllowedError: it leads where no data may come from.
        DatasetUnreadableError: nothing, or it may not be read.
        DatasetUnavailableError: the server does not answer.
        MissingLibraryError: the scheme's library is not installed.
    """
    with _translated(location):
        return _entry(location, _filesystem(location, access).info(_full(location)))


def find(location: Location, access: Access) -> list[Entry]:
    """Return the files that match the pattern of `location`; raises as `describe`."""
    with _translated(location):
        found = _filesystem(location, access).glob(_full(location), detail=True)
        entries = (_entry(_named(location, name), info) for name, info in found.items())
        return [entry for entry in entries if not entry.is_folder]


def open_remote(location: Location, access: Access) -> BinaryIO:
    """Open a file for reading in parts; raises as `describe`."""
    with _translated(location):
        raw = _filesystem(location, access).open(_full(location), "rb")
        return cast("BinaryIO", io.BufferedReader(raw, _BUFFER_BYTES))


@contextmanager
def _translated(location: Location) -> Iterator[None]:
    try:
        yield
    except TandemError:
        raise
    except ImportError as error:
        library = _LIBRARIES[location.scheme]
        raise MissingLibraryError(
            f"{location.uri} needs {library}, which is not installed",
            value=location.uri,
            hint="pip install 'tandem-mix[remote]' on the machines that run service and jobs",
        ) from error
    # The libraries below raise whatever theirs raise: connection, time-out, no credentials.
    except Exception as error:
        raise remote_error(location, error) from error


def remote_error(location: Location, error: Exception) -> TandemError:
    """Return our error for one of a library that reads other machines' files."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, TandemError):
            return type(cause)(f"{location.uri}: {cause.message}", hint=cause.hint)
    # fsspec says of whatever goes wrong over HTTP that the file is not found; what it came from
    # tells why.
    is_web = location.scheme in {"http", "https"}
    first = causes[-1] if is_web else error
    if isinstance(first, FileNotFoundError) or getattr(first, "status", None) in _GONE:
        return DatasetUnreadableError(
            f"{location.uri}: does not exist",
            value=location.uri,
            hint="correct the address, or upload the file",
        )
    if isinstance(first, PermissionError) or (is_web and _web().is_lasting(first)):
        return DatasetUnreadableError(
            f"{location.uri}: may not be read: {first}",
            value=location.uri,
            hint="give the credentials of service and workers access to it",
        )
    return _unavailable(location, first)


def _causes(error: BaseException) -> Iterator[Exception]:
    seen: BaseException | None = error
    for _ in range(_DEEPEST):
        if not isinstance(seen, Exception):
            return
        yield seen
        seen = seen.__cause__


def _unavailable(location: Location, error: Exception) -> DatasetUnavailableError:
    return DatasetUnavailableError(
        f"{location.uri}: cannot be reached: {type(error).__name__}: {error}",
        value=location.uri,
        hint="check address, credentials and network of service and workers, then try again",
    )


def _filesystem(location: Location, access: Access) -> Any:
    access.require(location)
    settings: dict[str, Any] = {}
    if location.scheme in {"http", "https"}:
        settings["get_client"] = _web().GuardedClient(access.schemes, access.private_networks)
    # Nothing of an earlier listing: what a job reads is what is there when it starts.
    return fsspec.filesystem(location.scheme, use_listings_cache=False, **settings)


def _web() -> ModuleType:
    # aiohttp takes long to load, and is not always installed.
    return import_module("tandem_engine.inputs.web")


def _full(location: Location) -> str:
    return location.uri if location.scheme in {"http", "https"} else location.path


def _named(location: Location, name: str) -> Location:
    prefix = f"{location.scheme}://"
    return location.at(name.removeprefix(prefix))


def _entry(location: Location, info: Mapping[str, Any]) -> Entry:
    size = info.get("size")
    tag = next((str(info[name]) for name in _TAGS if info.get(name)), None)
    return Entry(
        location, info.get("type") == "directory", None if size is None else int(size), tag
    )
