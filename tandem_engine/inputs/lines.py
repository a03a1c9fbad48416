"""Records out of lines of text, and texts that are whole files."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from tandem_engine.inputs.files import SourceFile
from tandem_engine.inputs.records import Row, decoded

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def json_lines(file: SourceFile, stream: BinaryIO, longest: int | None) -> Iterator[Row]:
    """Yield a record per line that is not blank."""
    for index, raw in _lines(stream, longest):
        where = f"line {index + 1}"
        if raw.strip():
            yield Row(index, where, lambda raw=raw, where=where: _object(file, raw, where))  # type: ignore[misc]


def plain_lines(file: SourceFile, stream: BinaryIO, longest: int | None) -> Iterator[Row]:
    """Yield a text per line, without the line's end."""
    for index, raw in _lines(stream, longest):
        where = f"line {index + 1}"
        text = raw.rstrip(b"\r\n")
        yield Row(index, where, lambda text=text, where=where: decoded(file, text, where))  # type: ignore[misc]


def whole_text(file: SourceFile, stream: BinaryIO, longest: int | None) -> Iterator[Row]:
    """Yield the one text of a file."""
    raw = stream.read(-1 if longest is None else longest)
    # A file cut off at the limit may end inside of a character.
    errors = "ignore" if len(raw) == longest else "strict"
    text = raw.removeprefix(_BYTE_ORDER_MARK)
    yield Row(0, "the text", lambda: decoded(file, text, "the text", errors))


def _lines(stream: BinaryIO, longest: int | None) -> Iterator[tuple[int, bytes]]:
    # Bytes, because str iteration would also split lines at a lone carriage return.
    index = 0
    while raw := stream.readline(-1 if longest is None else longest):
        if len(raw) == longest and not raw.endswith(b"\n"):
            return
        yield index, raw.removeprefix(_BYTE_ORDER_MARK) if index == 0 else raw
        index += 1


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
