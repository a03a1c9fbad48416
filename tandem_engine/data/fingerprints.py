"""What a file holds, before it is parsed: a fingerprint and a stamp.

A local file's fingerprint is the sha256 of its bytes; a remote one's is what its server gives for
that (ETag, generation, blob id) with address and size, and the sha256 where the server gives
nothing. The stamp tells later if the file was changed while it was read.
"""

import hashlib
import os
from dataclasses import dataclass
from typing import Any, BinaryIO

from tandem_engine.contracts.uris import Location
from tandem_engine.inputs.files import SourceFile
from tandem_engine.inputs.remote import describe
from tandem_engine.inputs.tokens import bin_of


@dataclass(frozen=True, slots=True)
class FileFacts:
    """`fingerprint` is `sha256:...` or `tag:...`; `size` in bytes, None where unknown."""

    fingerprint: str
    size: int | None
    stamp: tuple[Any, ...]


def inspect_file(file: SourceFile) -> FileFacts:
    """Return what `file` holds; a local file is read once.

    Raises:
        TandemError: it is missing, is no file, may not be read, or its server does not answer.
    """
    facts = [_facts(file, place) for place in _places(file)]
    sizes = [one.size for one in facts]
    return FileFacts(
        "+".join(one.fingerprint for one in facts),
        None if None in sizes else sum(size or 0 for size in sizes),
        tuple(one.stamp for one in facts),
    )


def require_unchanged(file: SourceFile, facts: FileFacts) -> None:
    """Check that `file` is as it was when `facts` were taken.

    Raises:
        DatasetUnreadableError: it was changed meanwhile.
    """
    stamp = tuple(_stamp(file, place) for place in _places(file))
    if stamp != facts.stamp:
        raise file.unreadable(
            "was changed while the job read it", "let the writer finish, then run the job again"
        )


def _places(file: SourceFile) -> list[Location]:
    return [file.location, bin_of(file)] if file.format == "megatron" else [file.location]


def _facts(file: SourceFile, place: Location) -> FileFacts:
    if not file.is_local:
        with file.named_in_errors():
            entry = describe(place, file.access)
        if entry.tag is not None:
            described = f"{place.uri}:{entry.size}:{entry.tag}".encode()
            fingerprint = f"tag:{hashlib.sha256(described).hexdigest()}"
            return FileFacts(fingerprint, entry.size, (entry.tag, entry.size))
    with file.open(place) as stream:
        # Before the content: a change during the reading must not pass.
        stamp = _stamp_of(stream, file, place)
        digest = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
        return FileFacts(f"sha256:{digest}", stream.tell(), stamp)


def _stamp(file: SourceFile, place: Location) -> tuple[Any, ...]:
    if file.is_local:
        with file.open(place) as stream:
            return _stamp_of(stream, file, place)
    with file.named_in_errors():
        entry = describe(place, file.access)
    return (entry.tag, entry.size)


def _stamp_of(stream: BinaryIO, file: SourceFile, place: Location) -> tuple[Any, ...]:
    if not file.is_local:
        entry = describe(place, file.access)
        return (entry.tag, entry.size)
    status = os.fstat(stream.fileno())
    return (status.st_size, status.st_mtime_ns)
