"""How a format is chosen and written, and how `Prefer` is read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pytest
from support.jobs import point

from service.jobs.repository.trajectory import PointRow
from service.jobs.trajectory_arrow import arrow_pieces, parquet_pieces
from service.jobs.trajectory_columns import Layout
from service.jobs.trajectory_formats import chosen_format
from service.jobs.trajectory_text import csv_pieces, ndjson_pieces, safe_cell
from service.preferences import wait_seconds

WRITERS: list[Callable[..., Iterator[bytes]]] = [
    *(csv_pieces, ndjson_pieces, arrow_pieces, parquet_pieces),
]
LAYOUT = Layout(("=code", "manuals"), ())


def _row(episode: int) -> PointRow:
    made = point(episode).model_dump()
    own = {name: made.pop(name) for name in PointRow._fields if name in made}
    return PointRow(**own, extra=made)


@pytest.mark.parametrize(
    ("format_", "accept", "chosen"),
    [
        (None, "", "json"),
        (None, "*/*", "json"),
        (None, "text/csv", "csv"),
        (None, "text/*", "csv"),
        (None, "text/csv, application/json", "json"),
        (None, "text/csv, application/json;q=0.5", "csv"),
        (None, "application/json;q=0, */*;q=0.1", "csv"),
        (None, "TEXT/CSV; charset=utf-8; Q=0.3, image/png", "csv"),
        (None, "application/vnd.apache.arrow.stream, */*;q=0.5", "arrow"),
        (None, "application/vnd.apache.parquet", "parquet"),
        (None, "application/x-ndjson;q=0.9, text/csv;q=nonsense", "csv"),
        (None, "image/png", "json"),
        ("ndjson", "text/csv", "ndjson"),
    ],
)
def test_the_format_is_the_one_that_the_caller_likes_best(
    format_: str | None, accept: str, chosen: str
) -> None:
    assert chosen_format(format_, accept) == chosen


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("", None),
        ("wait=20", 20),
        ("respond-async, Wait = 5", 5),
        ('wait="7"; foo=bar, return=minimal', 7),
        ("wait=0", 0),
        ("wait=86400", 30),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("await=3", None),
        ("wait=4, wait=9", 4),
    ],
)
def test_only_a_number_of_seconds_is_a_wish_to_wait(prefer: str, seconds: int | None) -> None:
    assert wait_seconds(prefer) == seconds


@pytest.mark.parametrize("write", WRITERS)
def test_points_are_written_while_they_are_read(write: Callable[..., Iterator[bytes]]) -> None:
    read = 0

    def chunks() -> Iterator[Sequence[PointRow]]:
        nonlocal read
        for start in range(0, 100, 10):
            read += 1
            yield [_row(episode) for episode in range(start + 1, start + 11)]

    written = write(chunks(), LAYOUT)
    next(written), next(written)
    assert read <= 2
    # The end of a Parquet file describes all of it, so it is longer.
    assert all(len(piece) < 40_000 for piece in list(written)[:-1])
    assert read == 10


def test_what_a_user_typed_in_is_no_formula_and_numbers_stay_numbers() -> None:
    for name in ("=1+1", "+1", "-1", "@x", "\tx", "\rx"):
        assert safe_cell(name) == f"'{name}"
    assert safe_cell("alpha:=code") == "alpha:=code"
    assert safe_cell(-0.5) == -0.5
    content = b"".join(csv_pieces([[_row(1)]], LAYOUT)).decode()
    header, row = content.splitlines()
    assert not any(cell.startswith(("=", "+", "@")) for cell in header.split(","))
    assert "-0.125" in row.split(",")


def test_columns_of_arrow_have_the_kinds_of_the_contract() -> None:
    def kinds(chunks: Iterable[Sequence[PointRow]]) -> dict[str, Any]:
        reader = pa.ipc.open_stream(b"".join(arrow_pieces(chunks, LAYOUT)))
        return {field.name: field.type for field in reader.schema}

    found = kinds([[_row(1)]])
    assert (found["step"], found["bounded"]) == (pa.int64(), pa.bool_())
    assert found["alpha:=code"] == found["delta_cosine"] == pa.float64()
    assert kinds([]) == found


def test_a_point_of_an_older_release_has_empty_cells() -> None:
    old = _row(1)._replace(extra={"tokens": 5})
    row = b"".join(csv_pieces([[old]], LAYOUT)).decode().splitlines()[1].split(",")
    assert len(row) == len(LAYOUT.header)
    assert row[LAYOUT.header.index("train_loss:manuals")] == ""
