"""A record of a file, and the text in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tandem_engine.contracts.conversations import RECORD_FIELDS
from tandem_engine.inputs.files import SourceFile

_MISSING = object()


@dataclass(frozen=True, slots=True)
class Row:
    """One record; `value` parses it, so that a malformed one does not end the reading."""

    index: int
    where: str
    value: Callable[[], Mapping[str, Any] | str]
    """Returns the record, or the text where a record is nothing else.

    Raises `DatasetMalformedError`.
    """


def wanted_columns(file: SourceFile, names: list[str]) -> list[str]:
    """Return the columns of a table that are read.

    Raises:
        DatasetMalformedError: the column of the text is missing.
    """
    if file.records != "text":
        return [name for name in RECORD_FIELDS[file.records] if name in names]
    outer = file.text_field.split(".", 1)[0]
    for name in (file.text_field, outer):
        if name in names:
            return [name]
    raise file.malformed(
        f"has no column {file.text_field!r}; it has {listed(names)}",
        "set text_field to the column that holds the text",
    )


def text_of(file: SourceFile, record: Mapping[str, Any], where: str) -> str:
    """Return the text of a record.

    Raises:
        DatasetMalformedError: the field is missing or holds no text.
    """
    value = _field(record, file.text_field)
    if value is _MISSING:
        raise file.malformed(
            f"{where} has no field {file.text_field!r}; it has {listed(list(record))}",
            "set text_field to the field that holds the text, or add it to the record",
        )
    if not isinstance(value, str):
        kind = "null" if value is None else f"of type {type(value).__name__}"
        raise file.malformed(
            f"{where}: {file.text_field!r} is {kind}, not a string",
            "set text_field to a field of strings, or remove the record",
        )
    try:
        value.encode("utf-8")  # JSON may hold half of a surrogate pair, which is no text
    except UnicodeEncodeError as error:
        raise file.malformed(
            f"{where}: {file.text_field!r} holds a lone surrogate, which UTF-8 cannot write",
            "replace the escape \\udXXX by the character that was meant",
        ) from error
    return value


def decoded(file: SourceFile, raw: bytes, where: str, errors: str = "strict") -> str:
    """Return bytes as text.

    Raises:
        DatasetMalformedError: they are not UTF-8.
    """
    try:
        return raw.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise file.malformed(
            f"{where} is not UTF-8 (byte {error.start + 1} of it)", "convert the file to UTF-8"
        ) from error


def listed(names: list[str]) -> str:
    """Return the first names for a message."""
    return ", ".join(repr(name) for name in names[:10]) or "none"


def _field(record: Mapping[str, Any], path: str) -> object:
    if path in record:  # a name may hold a dot of its own
        return record[path]
    value: object = record
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return _MISSING
        value = value[name]
    return value
