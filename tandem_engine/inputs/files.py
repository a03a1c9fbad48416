"""One file of a source: where it lies, how it is read, and the errors that name it."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from tandem_engine.contracts.formats import Compression
from tandem_engine.contracts.sources import FileFormat, RecordKind, TokenWidth
from tandem_engine.contracts.uris import Location
from tandem_engine.errors import (
    DatasetMalformedError,
    DatasetUnreadableError,
    TandemError,
)
from tandem_engine.inputs.access import EVERYWHERE, Access
from tandem_engine.inputs.remote import open_remote, remote_error

_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class MdsColumn:
    """A column of an MDS shard, as its index describes it; `size` is None where it varies."""

    name: str
    encoding: str
    size: int | None


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source."""

    section: str
    name: str
    uri: str
    """As it was written, or as it was found by a pattern."""
    location: Location
    format: FileFormat
    compression: Compression | None = None
    text_field: str = "text"
    records: RecordKind = "text"
    token_dtype: TokenWidth | None = None
    size: int | None = None
    tag: str | None = None
    """Of a remote file, what changes with its content."""
    columns: tuple[MdsColumn, ...] = ()
    access: Access = EVERYWHERE

    @property
    def field(self) -> str:
        """Where in the specification the file stands."""
        return f"{self.section}.{self.name}.uris"

    @property
    def shown(self) -> str:
        """The file in messages."""
        return self.location.uri

    @property
    def is_local(self) -> bool:
        """Tell if the file is in this machine's file system."""
        return self.location.scheme == "file"

    def malformed(self, what: str, hint: str) -> DatasetMalformedError:
        """Return the error that says `what` is wrong in this file."""
        return DatasetMalformedError(
            f"{self.shown}: {what}", field=self.field, value=self.uri, hint=hint
        )

    def unreadable(self, what: str, hint: str) -> DatasetUnreadableError:
        """Return the error that says why this file cannot be used."""
        return DatasetUnreadableError(
            f"{self.shown}: {what}", field=self.field, value=self.uri, hint=hint
        )

    def open(self, location: Location | None = None) -> BinaryIO:
        """Open the file's bytes as they are stored, or those of another file that belongs to it.

        Raises:
            TandemError: as `Access.open` and `remote.open_remote`, with the field that named it.
        """
        place = location or self.location
        with self.named_in_errors():
            if self.is_local:
                return self.access.open(Path(place.path))
            return open_remote(place, self.access)

    @contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Fill field and value into an error of the block that has none."""
        try:
            yield
        except TandemError as error:
            if error.field is None:
                error.field, error.value = self.field, self.uri
            raise

    @contextmanager
    def plain(self, stream: BinaryIO) -> Iterator[BinaryIO]:
        """Give the decompressed content of `stream`, the opened file.

        Raises:
            DatasetMalformedError: in the block: the compressed data is damaged or cut off.
            DatasetUnavailableError: in the block: the network failed.
        """
        try:
            with self.named_in_errors():
                yield self._decompressed(stream)
        except EOFError as error:
            raise self.malformed(
                "is cut off: the compressed data ends too early", "copy the file again"
            ) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self._not_compressed(error) from error
        except OSError as error:
            if self.compression == "zstd" and error.errno is None:
                raise self._not_compressed(error) from error
            raise self.network_error(error) or error from error
        except (TandemError, TypeError, AttributeError, LookupError):
            raise
        except Exception as error:
            # The libraries below a remote file raise whatever theirs raise.
            raise self.network_error(error) or error from error

    def _decompressed(self, stream: BinaryIO) -> BinaryIO:
        if self.compression == "gzip":
            # mypy: GzipFile is a BinaryIO in all but name.
            return cast("BinaryIO", gzip.GzipFile(fileobj=stream))
        if self.compression == "zstd":
            source = pa.PythonFile(stream, mode="r")
            raw = cast("io.RawIOBase", pa.CompressedInputStream(source, "zstd"))
            return cast("BinaryIO", io.BufferedReader(raw, _BUFFER_BYTES))
        return stream

    def network_error(self, error: Exception) -> TandemError | None:
        """Return our error if `error` came from the network, None if from this machine."""
        from_arrow = isinstance(error, pa.ArrowException | MemoryError | OverflowError) or (
            type(error) is OSError and error.errno is None
        )
        if self.is_local or from_arrow:
            return None
        found = remote_error(self.location, error)
        found.field, found.value = self.field, self.uri
        return found

    def _not_compressed(self, error: Exception) -> DatasetMalformedError:
        return self.malformed(
            f"is not whole {self.compression} data: {error}", "copy or compress the file again"
        )
