"""A source's documents, streamed from JSON lines, Parquet or plain text files.

Files are read in the bytewise order of their URIs, so that the order of a request changes nothing.
A document's index is its 0-based place in its file: the line number of JSON lines (blank lines
count), the row of Parquet, 0 for a text file. Records whose text is only whitespace are skipped
and keep their number. Line and record numbers in messages start at 1.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from tandem_engine.contracts.conversations import (
    RECORD_FIELDS,
    Message,
    RecordError,
    conversation_of,
)
from tandem_engine.contracts.formats import FileFormat, format_of
from tandem_engine.contracts.sources import RecordKind, SourceSpec
from tandem_engine.errors import (
    DatasetEmptyError,
    DatasetMalformedError,
    DatasetUnreadableError,
)

_PARQUET_ROWS = 512
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Document:
    """One text that is not blank; `index` is its 0-based record number in the file `uri`."""

    uri: str
    index: int
    text: str
    """The text; of a conversation its contents, one after the other."""
    messages: tuple[Message, ...] = ()
    """Turns of a conversation; empty for a text."""
    choices: tuple[str, ...] = ()
    """Completions that a multiple-choice record offers."""

    @property
    def identity(self) -> str:
        """What makes two documents equal: the text, or the turns with their roles."""
        if not self.messages:
            return self.text
        return json.dumps([[message.role, message.content] for message in self.messages])


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source; `field` names it in errors."""

    section: str
    name: str
    uri: str
    path: Path
    format: FileFormat
    text_field: str
    records: RecordKind = "text"

    @property
    def field(self) -> str:
        """Where in the specification the file stands."""
        return f"{self.section}.{self.name}.uris"

    def malformed(self, what: str, hint: str) -> DatasetMalformedError:
        """Return the error that says `what` is wrong in this file."""
        return DatasetMalformedError(
            f"{self.path}: {what}", field=self.field, value=self.uri, hint=hint
        )

    def unreadable(self, what: str, hint: str) -> DatasetUnreadableError:
        """Return the error that says why this file cannot be opened."""
        return DatasetUnreadableError(
            f"{self.path}: {what}", field=self.field, value=self.uri, hint=hint
        )

    def open(self) -> BinaryIO:
        """Open the file.

        Raises:
            DatasetUnreadableError: it is missing, is no regular file, or may not be read.
        """
        try:
            if self.path.is_dir():
                raise self.unreadable(
                    "is a directory", "list the files in it one by one; a folder is not read"
                )
            if self.path.exists() and not self.path.is_file():
                raise self.unreadable("is not a regular file", "give the path of a regular file")
            return self.path.open("rb")
        except FileNotFoundError as error:
            raise self.unreadable(
                "does not exist",
                "correct the path; it must exist on the machine that runs the job",
            ) from error
        except PermissionError as error:
            raise self.unreadable(
                "may not be read", "give the user that runs the job read permission"
            ) from error
        except OSError as error:
            raise self.unreadable(
                f"cannot be read: {error.strerror or error}", "check the path and the disk"
            ) from error


def local_path(uri: str) -> Path:
    """Return the path of an absolute path or `file://` URI (whose %XX are decoded)."""
    if uri.startswith("file://"):
        return Path(unquote(uri.removeprefix("file://")))
    return Path(uri)


def source_files(source: SourceSpec) -> list[SourceFile]:
    """Return the source's files in the order in which they are read.

    Raises:
        InvalidSpecError: the format is `auto` and a file's ending says nothing.
    """
    return [
        SourceFile(
            source.section,
            source.name,
            uri,
            local_path(uri),
            format_of(source, local_path(uri)),
            source.text_field,
            source.records,
        )
        for uri in sorted(source.uris)
    ]


def iterate_documents(source: SourceSpec) -> Iterator[Document]:
    """Yield the documents of `source`.

    Raises:
        DatasetUnreadableError: a file is missing, is no file, or may not be read.
        DatasetMalformedError: a record is not what the format says; names file and line or record.
        DatasetEmptyError: no file holds a text that is not blank.
        InvalidSpecError: the format is `auto` and a file's ending says nothing.
    """
    found = False
    for file in source_files(source):
        for document in iterate_file(file):
            found = True
            yield document
    if not found:
        raise DatasetEmptyError(
            f"{source.section}.{source.name} holds no text: every record of its files is blank",
            field=f"{source.section}.{source.name}.uris",
            value=", ".join(sorted(source.uris)),
            hint="add documents to its files, or remove it",
        )


def iterate_file(file: SourceFile) -> Iterator[Document]:
    """Yield the documents of one file; raises as `iterate_documents`, but may yield nothing."""
    with file.open() as stream:
        if file.format == "text":
            yield from _texts(file, [(0, {file.text_field: _whole_text(file, stream)})])
            return
        rows = {"jsonl": _json_lines, "parquet": _parquet_rows}[file.format](file, stream)
        yield from (_texts if file.records == "text" else _conversations)(file, rows)


def _texts(file: SourceFile, rows: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[Document]:
    for index, row in rows:
        text = _checked(file, row[file.text_field], _where(file, index))
        if text.strip():
            yield Document(file.uri, index, text)


def _conversations(
    file: SourceFile, rows: Iterable[tuple[int, Mapping[str, Any]]]
) -> Iterator[Document]:
    for index, row in rows:
        try:
            found = conversation_of(row, file.records)
        except RecordError as error:
            raise file.malformed(f"{_where(file, index)}: {error}", error.hint) from error
        text = "\n".join(message.content for message in found.messages)
        if text.strip():
            yield Document(file.uri, index, text, found.messages, found.choices)


def _where(file: SourceFile, index: int) -> str:
    return f"{'line' if file.format == 'jsonl' else 'record'} {index + 1}"


def _json_lines(file: SourceFile, stream: BinaryIO) -> Iterator[tuple[int, dict[str, Any]]]:
    # Bytes, because str iteration would also split lines at a lone carriage return.
    for index, raw in enumerate(stream):
        where = _where(file, index)
        line = _decode(file, raw.removeprefix(_BYTE_ORDER_MARK) if index == 0 else raw, where)
        if not line.strip():
            continue
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
        if file.records == "text" and file.text_field not in record:
            raise file.malformed(
                f"{where} has no field {file.text_field!r}; it has {_listed(record)}",
                "set text_field to the field that holds the text, or add it to the record",
            )
        yield index, record


def _parquet_rows(file: SourceFile, stream: BinaryIO) -> Iterator[tuple[int, dict[str, Any]]]:
    wanted = [file.text_field] if file.records == "text" else [*RECORD_FIELDS[file.records]]
    try:
        parquet = pq.ParquetFile(stream)
        names = parquet.schema_arrow.names
        if file.records == "text" and file.text_field not in names:
            raise file.malformed(
                f"has no column {file.text_field!r}; it has {_listed(names)}",
                "set text_field to the column that holds the text",
            )
        columns = [name for name in wanted if name in names]
        index = 0
        for batch in parquet.iter_batches(_PARQUET_ROWS, columns=columns):
            for row in batch.to_pylist():
                yield index, row
                index += 1
    except UnicodeDecodeError as error:
        raise file.malformed(
            f"column {' or '.join(map(repr, wanted))} is not UTF-8: {error}",
            "write the text as UTF-8",
        ) from error
    except (pa.ArrowException, OSError) as error:
        raise file.malformed(f"is not a whole Parquet file: {error}", "write it again") from error


def _whole_text(file: SourceFile, stream: BinaryIO) -> str:
    return _decode(file, stream.read().removeprefix(_BYTE_ORDER_MARK), "the text")


def _decode(file: SourceFile, raw: bytes, where: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise file.malformed(
            f"{where} is not UTF-8 (byte {error.start + 1} of it)", "convert the file to UTF-8"
        ) from error


def _checked(file: SourceFile, text: object, where: str) -> str:
    if not isinstance(text, str):
        raise file.malformed(
            f"{where}: {file.text_field!r} is {_kind(text)}, not a string",
            "set text_field to a field of strings, or remove the record",
        )
    try:
        text.encode("utf-8")  # JSON may hold half of a surrogate pair, which is no text
    except UnicodeEncodeError as error:
        raise file.malformed(
            f"{where}: {file.text_field!r} holds a lone surrogate, which UTF-8 cannot write",
            "replace the escape \\udXXX by the character that was meant",
        ) from error
    return text


def _kind(value: object) -> str:
    return "null" if value is None else f"of type {type(value).__name__}"


def _listed(names: object) -> str:
    shown = [repr(name) for name in names][:10] if isinstance(names, (dict, list)) else []
    return ", ".join(shown) or "none"
