"""Texts of one open file, as the engine will read them: JSON lines, Parquet or plain text."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from service.datasets.problems import DatasetProblem
from tandem_engine.contracts.conversations import RECORD_FIELDS, RecordError, conversation_of
from tandem_engine.contracts.formats import FileFormat
from tandem_engine.contracts.sources import RecordKind, SourceSpec
from tandem_engine.errors import DatasetMalformedError

LONGEST_RECORD = 64 * 2**20
"""Bytes of a line or a row that the inspection looks at; longer ones are left to the engine."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PARQUET_ROWS = 64
_MALFORMED = DatasetMalformedError.code


def texts(
    stream: BinaryIO, path: Path, file_format: FileFormat, source: SourceSpec
) -> Iterator[str]:
    """Yield the texts of a file, blank ones too; of a conversation what its turns say.

    Raises:
        DatasetProblem: a record is not what the format says.
    """
    if file_format == "text":
        # A file cut off at the limit may end inside of a character.
        raw = stream.read(LONGEST_RECORD)
        errors = "ignore" if len(raw) == LONGEST_RECORD else "strict"
        yield _decoded(raw.removeprefix(_BYTE_ORDER_MARK), path, "the text", errors=errors)
        return
    rows = {"jsonl": _json_lines, "parquet": _parquet_rows}[file_format]
    for where, row in rows(stream, path, source):
        if source.records == "text":
            yield _checked(row[source.text_field], path, where, source.text_field)
        else:
            yield _said(row, path, where, source.records)


def _said(row: dict[str, Any], path: Path, where: str, kind: RecordKind) -> str:
    try:
        found = conversation_of(row, kind)
    except RecordError as error:
        raise DatasetProblem(_MALFORMED, f"{path}: {where}: {error}", error.hint) from error
    return "\n".join(message.content for message in found.messages)


def _json_lines(
    stream: BinaryIO, path: Path, source: SourceSpec
) -> Iterator[tuple[str, dict[str, Any]]]:
    number = 0
    while raw := stream.readline(LONGEST_RECORD):
        number += 1
        if len(raw) == LONGEST_RECORD and not raw.endswith(b"\n"):
            return
        line = raw.removeprefix(_BYTE_ORDER_MARK) if number == 1 else raw
        if decoded := _decoded(line, path, f"line {number}").strip():
            yield f"line {number}", _object_of(decoded, path, f"line {number}", source)


def _object_of(line: str, path: Path, where: str, source: SourceSpec) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DatasetProblem(
            _MALFORMED,
            f"{path}: {where} is not JSON: {error}",
            "put one JSON object on each line",
        ) from error
    if not isinstance(record, dict):
        raise DatasetProblem(
            _MALFORMED,
            f"{path}: {where} is a JSON {type(record).__name__}, not an object",
            f'write each line as {{"{source.text_field}": "..."}}',
        )
    if source.records == "text" and source.text_field not in record:
        raise DatasetProblem(
            _MALFORMED,
            f"{path}: {where} has no field {source.text_field!r}; it has {_listed(list(record))}",
            "set text_field to the field that holds the text, or add it to the record",
        )
    return record


def _parquet_rows(
    stream: BinaryIO, path: Path, source: SourceSpec
) -> Iterator[tuple[str, dict[str, Any]]]:
    number = 0
    kind = source.records
    wanted = [source.text_field] if kind == "text" else [*RECORD_FIELDS[kind]]
    try:
        parquet = pq.ParquetFile(stream)
        names = parquet.schema_arrow.names
        if kind == "text" and source.text_field not in names:
            raise DatasetProblem(
                _MALFORMED,
                f"{path} has no column {source.text_field!r}; it has {_listed(names)}",
                "set text_field to the column that holds the text",
            )
        columns = [name for name in wanted if name in names]
        for batch in parquet.iter_batches(_PARQUET_ROWS, columns=columns):
            for row in batch.to_pylist():
                number += 1
                yield f"record {number}", row
    except UnicodeDecodeError as error:
        raise DatasetProblem(
            _MALFORMED,
            f"{path}: column {' or '.join(map(repr, wanted))} is not UTF-8: {error}",
            "write the text as UTF-8",
        ) from error
    except (pa.ArrowException, OSError) as error:
        raise DatasetProblem(
            _MALFORMED, f"{path} is not a whole Parquet file: {error}", "write it again"
        ) from error


def _decoded(raw: bytes, path: Path, where: str, *, errors: str = "strict") -> str:
    try:
        return raw.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise DatasetProblem(
            _MALFORMED,
            f"{path}: {where} is not UTF-8 (byte {error.start + 1} of it)",
            "convert the file to UTF-8",
        ) from error


def _checked(value: object, path: Path, where: str, text_field: str) -> str:
    if not isinstance(value, str):
        kind = "null" if value is None else f"of type {type(value).__name__}"
        raise DatasetProblem(
            _MALFORMED,
            f"{path}: {where}: {text_field!r} is {kind}, not a string",
            "set text_field to a field of strings, or remove the record",
        )
    try:
        value.encode("utf-8")  # JSON may hold half of a surrogate pair, which is no text
    except UnicodeEncodeError as error:
        raise DatasetProblem(
            _MALFORMED,
            f"{path}: {where}: {text_field!r} holds a lone surrogate, which is no text",
            "replace the escape \\udXXX by the character that was meant",
        ) from error
    return value


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names[:10]) or "none"
