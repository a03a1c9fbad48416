"""File formats by name and by ending; the service checks by what the engine reads."""

from pathlib import PurePosixPath
from typing import Literal

from tandem_engine.contracts.sources import FileFormat, SourceSpec
from tandem_engine.errors import InvalidSpecError

Compression = Literal["gzip", "zstd"]

TOKEN_FORMATS: frozenset[FileFormat] = frozenset({"megatron", "npy", "tokens"})
"""Formats that hold tokens and no text."""

_ENDINGS: dict[str, FileFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".mds": "mds",
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".idx": "megatron",
    ".npy": "npy",
}
_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
_COMPRESSED_FORMATS = frozenset({"jsonl", "text", "lines", "mds"})


def format_of(source: SourceSpec, path: str) -> tuple[FileFormat, Compression | None]:
    """Return format and compression of one of a source's files.

    Raises:
        InvalidSpecError: the format is `auto` and the ending says nothing, or the format is not
            read when compressed as a whole.
    """
    name = PurePosixPath(path)
    compression = _COMPRESSIONS.get(name.suffix.lower())
    if compression is not None:
        name = name.with_suffix("")
    ending = name.suffix.lower()
    found = _ENDINGS.get(ending) if source.format == "auto" else source.format
    if found is None:
        raise InvalidSpecError(
            f"the ending {ending!r} of {path} does not tell its format",
            field=f"{source.section}.{source.name}.format",
            value=path,
            hint="set format to jsonl, parquet or text (or another of its values), or use an "
            f"ending of {', '.join(_ENDINGS)}",
        )
    if compression is not None and found not in _COMPRESSED_FORMATS:
        raise InvalidSpecError(
            f"{path} is {found} compressed as a whole, which cannot be read in parts",
            field=f"{source.section}.{source.name}.uris",
            value=path,
            hint=f"decompress it; only {', '.join(sorted(_COMPRESSED_FORMATS))} may be compressed",
        )
    return found, compression
