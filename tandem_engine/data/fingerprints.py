"""What a file holds, before it is parsed: content hash, number of records, and a stamp.

The stamp (size and modification time) tells later if the file was changed while it was read.
"""

import hashlib
import os
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from tandem_engine.data.sources import SourceFile

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class FileFacts:
    """`records` counts lines, rows or the one text, blank ones included."""

    sha256: str
    records: int
    stamp: tuple[int, int]


def inspect_file(file: SourceFile) -> FileFacts:
    """Read `file` once and return what it holds.

    Raises:
        DatasetUnreadableError: it is missing, is no file, or may not be read.
        DatasetMalformedError: it is to be Parquet and has no Parquet footer.
    """
    digest = hashlib.sha256()
    newlines = 0
    last = b""
    with file.open() as stream:
        stamp = _stamp(stream.fileno())
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            newlines += chunk.count(b"\n")
            last = chunk[-1:]
        records = newlines + (last not in {b"", b"\n"})
        if file.format == "text":
            records = 1
        elif file.format == "parquet":
            stream.seek(0)
            try:
                records = int(pq.ParquetFile(stream).metadata.num_rows)
            except (pa.ArrowException, OSError) as error:
                raise file.malformed(
                    f"is not a whole Parquet file: {error}", "write it again, or set format"
                ) from error
    return FileFacts(digest.hexdigest(), records, stamp)


def require_unchanged(file: SourceFile, facts: FileFacts) -> None:
    """Check that `file` is as it was when `facts` were taken.

    Raises:
        DatasetUnreadableError: it was changed meanwhile.
    """
    with file.open() as stream:
        if _stamp(stream.fileno()) != facts.stamp:
            raise file.unreadable(
                "was changed while the job read it", "let the writer finish, then run the job again"
            )


def _stamp(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_size, status.st_mtime_ns
