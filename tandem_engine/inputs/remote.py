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
from typing import Any, BinaryIO, cast

import fsspec

from tandem_engine.contracts.uris import Location, Scheme
from tandem_engine.errors import (
    DatasetUnavailableError,
    DatasetUnreadableError,
    MissingLibraryError,
    TandemError,
)

_LIBRARIES: Mapping[Scheme, str] = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "az": "adlfs",
    "https": "aiohttp",
    "http": "aiohttp",
    "hf": "huggingface_hub",
}
_BUFFER_BYTES = 1 << 20
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


def describe(location: Location) -> Entry:
    """Return what is at `location`.

    Raises:
        DatasetUnreadableError: nothing, or it may not be read.
        DatasetUnavailableError: the server does not answer.
        MissingLibraryError: the scheme's library is not installed.
    """
    with _translated(location):
        return _entry(location, _filesystem(location.scheme).info(_full(location)))


def find(location: Location) -> list[Entry]:
    """Return the files that match the pattern of `location`; raises as `describe`."""
    with _translated(location):
        found = _filesystem(location.scheme).glob(_full(location), detail=True)
        entries = (_entry(_named(location, name), info) for name, info in found.items())
        return [entry for entry in entries if not entry.is_folder]


def open_remote(location: Location) -> BinaryIO:
    """Open a file for reading in parts; raises as `describe`."""
    with _translated(location):
        raw = _filesystem(location.scheme).open(_full(location), "rb")
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
    except FileNotFoundError as error:
        raise DatasetUnreadableError(
            f"{location.uri}: does not exist",
            value=location.uri,
            hint="correct the address, or upload the file",
        ) from error
    except PermissionError as error:
        raise DatasetUnreadableError(
            f"{location.uri}: may not be read: {error}",
            value=location.uri,
            hint="give the credentials of service and workers access to it",
        ) from error
    # The libraries below raise whatever theirs raise: connection, time-out, no credentials.
    except Exception as error:
        raise unavailable(location, error) from error


def unavailable(location: Location, error: Exception) -> DatasetUnavailableError:
    """Return our error for one of the network."""
    return DatasetUnavailableError(
        f"{location.uri}: cannot be reached: {type(error).__name__}: {error}",
        value=location.uri,
        hint="check address, credentials and network of service and workers, then try again",
    )


def _filesystem(scheme: Scheme) -> Any:
    # Nothing of an earlier listing: what a job reads is what is there when it starts.
    return fsspec.filesystem(scheme, use_listings_cache=False)


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
