"""File formats of a domain, by name and by ending; the service checks by what the engine reads."""

from pathlib import PurePath
from typing import Literal

from tandem_engine.contracts.sources import SourceSpec
from tandem_engine.errors import InvalidSpecError

FileFormat = Literal["jsonl", "parquet", "text"]

_ENDINGS: dict[str, FileFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".txt": "text",
    ".text": "text",
    ".md": "text",
}


def format_of(source: SourceSpec, path: PurePath) -> FileFormat:
    """Return the format of one of a source's files.

    Raises:
        InvalidSpecError: the format is `auto` and the ending says nothing.
    """
    if source.format != "auto":
        return source.format
    ending = path.suffix.lower()
    if ending not in _ENDINGS:
        raise InvalidSpecError(
            f"the ending {ending!r} of {path} does not tell its format",
            field=f"{source.section}.{source.name}.format",
            value=path,
            hint=f"set format to jsonl, parquet or text, or use an ending of {', '.join(_ENDINGS)}",
        )
    return _ENDINGS[ending]
