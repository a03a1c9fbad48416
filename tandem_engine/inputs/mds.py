"""Records out of MDS shards, as MosaicML Streaming writes them.

A shard is `uint32 samples`, `uint32 offsets[samples + 1]`, some JSON, and at each offset a sample:
`uint32` sizes of the columns whose size varies, then the columns one after the other
(mosaicml/streaming `streaming/base/format/mds/reader.py`). Texts and JSON are read; what else a
sample holds is passed over.
"""

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from tandem_engine.inputs.files import SourceFile
from tandem_engine.inputs.lines import LONGEST_RECORD, read_up_to
from tandem_engine.inputs.records import Row, decoded, wanted_columns

_READERS: dict[str, Callable[[str], Any]] = {"str": str, "json": json.loads}
_WORD = 4


def mds_rows(file: SourceFile, stream: BinaryIO) -> Iterator[Row]:
    """Yield a record per sample.

    Raises:
        DatasetMalformedError: the shard is cut off, or the text's column is no text.
    """
    wanted = set(wanted_columns(file, [column.name for column in file.columns]))
    for column in file.columns:
        if column.name in wanted and column.encoding not in _READERS:
            raise file.malformed(
                f"column {column.name!r} has the encoding {column.encoding!r}",
                f"write it as one of {', '.join(_READERS)}",
            )
    (samples,) = struct.unpack("<I", _read(file, stream, _WORD))
    raw = _read(file, stream, (samples + 1) * _WORD)
    offsets = struct.unpack(f"<{samples + 1}I", raw)
    _read(file, stream, offsets[0] - (samples + 2) * _WORD)  # the writer's settings
    for index in range(samples):
        where = f"record {index + 1}"
        sample = _read(file, stream, offsets[index + 1] - offsets[index])
        yield Row(index, where, lambda s=sample, w=where: _record(file, s, wanted, w))  # type: ignore[misc]


def _record(file: SourceFile, sample: bytes, wanted: set[str], where: str) -> Mapping[str, Any]:
    varying = sum(column.size is None for column in file.columns)
    place = varying * _WORD
    if len(sample) < place:
        raise file.malformed(f"{where} is too short for its columns", "copy the file again")
    sizes = iter(struct.unpack_from(f"<{varying}I", sample))
    record: dict[str, Any] = {}
    for column in file.columns:
        size = next(sizes) if column.size is None else column.size
        if column.name in wanted:
            text = decoded(file, sample[place : place + size], f"{where}, {column.name!r},")
            try:
                record[column.name] = _READERS[column.encoding](text)
            except (ValueError, RecursionError) as error:
                raise file.malformed(
                    f"{where}: {column.name!r} is not JSON: {error}", "write the shard again"
                ) from error
        place += size
    return record


def _read(file: SourceFile, stream: BinaryIO, size: int) -> bytes:
    content = read_up_to(stream, size) if 0 <= size <= LONGEST_RECORD else b""
    if len(content) != size:
        raise file.malformed("is no whole MDS shard", "copy the file again")
    return content
