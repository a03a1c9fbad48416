"""Records out of lines of text, and texts that are whole files.

A few bytes of a compressed file may stand for a line of gigabytes: no record is longer than
`LONGEST_RECORD`, whoever reads.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from tandem_engine.inputs.files import SourceFile
from tandem_engine.inputs.records import Row, decoded

LONGEST_RECORD = 1 << 27
"""Bytes of a record, decompressed, after which the file is refused."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PART_BYTES = 1 << 20
_LINE_BYTES = 64
"""What a line counts for beside its content, since blank ones take time too."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where to leave off, for someone who looks at the first records only."""

    record_bytes: int
    """Bytes of a record after which the file is not read on."""
    file_bytes: int
    """Decompressed bytes after which the file is not read on."""
    on_cut: Callable[[], None] = lambda: None
    """Told that a file was not read on because of `file_bytes`."""


NO_CUT = Cut(LONGEST_RECORD + 1, sys.maxsize)


def json_lines(file: SourceFile, stream: BinaryIO, cut: Cut = NO_CUT) -> Iterator[Row]:
    """Yield a record per line that is not blank.

    Raises:
        DatasetMalformedError: a line is longer than `LONGEST_RECORD`.
    """
    for index, raw in _lines(file, stream, cut):
        where = f"line {index + 1}"
        if raw.strip():
            yield Row(index, where, lambda raw=raw, where=where: _object(file, raw, where))  # type: ignore[misc]


def plain_lines(file: SourceFile, stream: BinaryIO, cut: Cut = NO_CUT) -> Iterator[Row]:
    """Yield a text per line, without the line's end; raises as `json_lines`."""
    for index, raw in _lines(file, stream, cut):
        where = f"line {index + 1}"
        text = raw.rstrip(b"\r\n")
        yield Row(index, where, lambda text=text, where=where: decoded(file, text, where))  # type: ignore[misc]


def whole_text(file: SourceFile, stream: BinaryIO, cut: Cut = NO_CUT) -> Iterator[Row]:
    """Yield the one text of a file; raises as `json_lines`."""
    raw = read_up_to(stream, cut.record_bytes)
    _require_short(file, raw, "the text")
    # A file cut off at the limit may end inside of a character.
    errors = "ignore" if len(raw) == cut.record_bytes else "strict"
    text = raw.removeprefix(_BYTE_ORDER_MARK)
    yield Row(0, "the text", lambda: decoded(file, text, "the text", errors))


def read_up_to(stream: BinaryIO, size: int) -> bytes:
    """Return up to `size` bytes; what is not there takes no memory, as it does with `read`."""
    content = bytearray()
    while part := stream.read(min(_PART_BYTES, size - len(content))):
        content += part
    return bytes(content)


def _lines(file: SourceFile, stream: BinaryIO, cut: Cut) -> Iterator[tuple[int, bytes]]:
    # Bytes, because str iteration would also split lines at a lone carriage return.
    index = total = 0
    while raw := stream.readline(cut.record_bytes):
        total += len(raw) + _LINE_BYTES
        is_whole = len(raw) < cut.record_bytes or raw.endswith(b"\n")
        _require_short(file, raw, f"line {index + 1}")
        if total > cut.file_bytes:
            cut.on_cut()
            return
        if not is_whole:
            return
        yield index, raw.removeprefix(_BYTE_ORDER_MARK) if index == 0 else raw
        index += 1


def _require_short(file: SourceFile, raw: bytes, where: str) -> None:
    if len(raw) > LONGEST_RECORD:
        raise file.malformed(
            f"{where} is longer than {LONGEST_RECORD >> 20} MiB", "cut it into several documents"
        )


def _object(file: SourceFile, raw: bytes, where: str) -> Mapping[str, Any]:
    line = decoded(file, raw, where)
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise file.malformed(
            f"{where} is not JSON: {error}", "put one JSON object on each line"
        ) from error
    if not isinstance(record, dict):
        raise file.malformed(
            f"{where} is a JSON {type(record).__name__}, not an object",
            f'write each line as {{"{file.text_field}": "..."}}',
        )
    return record
