"""Points as text, piece by piece: CSV and one JSON object per line."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from pydantic_core import to_json

from service.jobs.repository.trajectory import PointRow
from service.jobs.trajectory_columns import Layout, as_objects, table

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_pieces(chunks: Iterable[Sequence[PointRow]], layout: Layout) -> Iterator[bytes]:
    """Yield one row per episode, after the header; unknown values are empty cells."""
    yield _csv([[safe_cell(name) for name in layout.header]])
    for points in chunks:
        columns = table(points, layout)
        yield _csv(zip(*columns, strict=True))


def ndjson_pieces(chunks: Iterable[Sequence[PointRow]], layout: Layout) -> Iterator[bytes]:
    """Yield one object per line and episode, with lists as objects by name."""
    for points in chunks:
        lines = (to_json(row, inf_nan_mode="null") for row in as_objects(points, layout))
        yield b"".join(line + b"\n" for line in lines)


def safe_cell(value: object) -> object:
    """Keep what a user typed in from being a formula; numbers may begin with a minus."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _csv(rows: Iterable[Iterable[object]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()
