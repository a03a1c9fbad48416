"""Documents out of a source's files, streamed: memory holds one record or one batch of rows.

A document's index is its 0-based place in its file: the line of JSON lines and of `lines` (blank
lines count), the row of a table, the document of tokens, 0 for a text file. Records whose text is
only whitespace are left out and keep their number. Line and record numbers in messages start at 1.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tandem_engine.contracts.conversations import Message, RecordError, conversation_of
from tandem_engine.contracts.formats import TOKEN_FORMATS
from tandem_engine.contracts.sources import SourceSpec
from tandem_engine.errors import DatasetEmptyError, DatasetMalformedError
from tandem_engine.inputs.access import EVERYWHERE, Access
from tandem_engine.inputs.files import SourceFile
from tandem_engine.inputs.lines import NO_CUT, Cut, json_lines, plain_lines, whole_text
from tandem_engine.inputs.listing import source_files
from tandem_engine.inputs.mds import mds_rows
from tandem_engine.inputs.records import Row, text_of
from tandem_engine.inputs.tables import arrow_rows, parquet_rows
from tandem_engine.inputs.tokens import token_documents

OnMalformed = Callable[[int, DatasetMalformedError], None]
"""Told the index of a record that is malformed; raises, or returns to leave the record out."""

_ROWS: dict[str, Callable[..., Iterator[Row]]] = {
    "jsonl": json_lines,
    "lines": plain_lines,
    "text": whole_text,
    "parquet": parquet_rows,
    "arrow": arrow_rows,
    "mds": mds_rows,
}
_OF_TEXT = frozenset({"jsonl", "lines", "text"})


@dataclass(frozen=True, slots=True)
class Document:
    """One document that is not blank; `index` is its 0-based record number in the file `uri`."""

    uri: str
    index: int
    text: str
    """The text; of a conversation its contents, one after the other; of tokens empty."""
    messages: tuple[Message, ...] = ()
    """Turns of a conversation; empty for a text."""
    choices: tuple[str, ...] = ()
    """Completions that a multiple-choice record offers."""
    record: Mapping[str, Any] | None = None
    """The whole record of a conversation, as far as it was read."""
    tokens: npt.NDArray[np.integer[Any]] | None = None
    """Ids of a document that was tokenised before, shape (n,)."""

    @property
    def digest(self) -> bytes:
        """sha256 of what makes two documents equal: text, turns with their roles, or tokens."""
        if self.tokens is not None:
            ids = self.tokens.astype("<i8")
            return hashlib.sha256(b"tandem tokens 1" + ids.tobytes()).digest()
        identity = self.text
        if self.messages:
            identity = json.dumps([[message.role, message.content] for message in self.messages])
        return hashlib.sha256(identity.encode("utf-8")).digest()

    @property
    def byte_count(self) -> int:
        """Bytes of the text in UTF-8, or of the tokens as they are stored."""
        return len(self.text.encode("utf-8")) if self.tokens is None else self.tokens.nbytes


def refuse(_: int, error: DatasetMalformedError) -> None:
    """Leave nothing out: raise what is wrong with a record."""
    raise error


def iterate_documents(source: SourceSpec, access: Access = EVERYWHERE) -> Iterator[Document]:
    """Yield the documents of `source`, none of them malformed; tokens must not be flat.

    Raises:
        TandemError: a file cannot be read or a record is not what the format says; file and line
            or record are named.
        DatasetEmptyError: no file holds a text that is not blank.
    """
    found = False
    for file in source_files(source, access):
        for document in iterate_file(file):
            found = True
            yield document
    if not found:
        raise no_text(source)


def no_text(source: SourceSpec) -> DatasetEmptyError:
    """Return the error of a source without a document."""
    return DatasetEmptyError(
        f"{source.section}.{source.name} holds no text: every record of its files is blank",
        field=f"{source.section}.{source.name}.uris",
        value=", ".join(sorted(source.uris)),
        hint="add documents to its files, or remove it",
    )


def iterate_file(
    file: SourceFile,
    *,
    end_of_text: int | None = None,
    on_malformed: OnMalformed = refuse,
    on_position: Callable[[int], None] | None = None,
    cut: Cut = NO_CUT,
) -> Iterator[Document]:
    """Yield the documents of one file.

    Args:
        file: The file.
        end_of_text: Id that ends a document of flat tokens; only those need it.
        on_malformed: Told about records that are not what the format says.
        on_position: Told, before each document, how many of the stored bytes were read.
        cut: Where files of text are not read on.

    Raises:
        TandemError: as `iterate_documents`; a file may yield nothing.
    """
    with file.open() as stored:

        def tell() -> None:
            if on_position is not None:
                on_position(stored.tell())

        if file.format in TOKEN_FORMATS:
            for index, tokens in token_documents(file, stored, end_of_text):
                tell()
                yield Document(file.uri, index, "", tokens=tokens)
            return
        with file.plain(stored) as stream:
            limits = (cut,) if file.format in _OF_TEXT else ()
            for row in _ROWS[file.format](file, stream, *limits):
                tell()
                try:
                    document = _document(file, row)
                except DatasetMalformedError as error:
                    on_malformed(row.index, error)
                    continue
                if document is not None:
                    yield document


def _document(file: SourceFile, row: Row) -> Document | None:
    record = row.value()
    if isinstance(record, str):
        return Document(file.uri, row.index, record) if record.strip() else None
    if file.records == "text":
        text = text_of(file, record, row.where)
        return Document(file.uri, row.index, text) if text.strip() else None
    try:
        found = conversation_of(record, file.records)
    except RecordError as error:
        raise file.malformed(f"{row.where}: {error}", error.hint) from error
    text = "\n".join(message.content for message in found.messages)
    if not text.strip():
        return None
    return Document(file.uri, row.index, text, found.messages, found.choices, record)
