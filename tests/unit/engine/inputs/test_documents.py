"""Reading documents, and the one clear error of each bad input."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.corpora import domain, write_jsonl

from tandem_engine.contracts.domains import DomainSpec
from tandem_engine.errors import (
    DatasetEmptyError,
    DatasetMalformedError,
    DatasetUnreadableError,
    InvalidSpecError,
    TandemError,
)
from tandem_engine.inputs.documents import iterate_documents


def read(spec: DomainSpec) -> list[tuple[str, int, str]]:
    return [(Path(doc.uri).name, doc.index, doc.text) for doc in iterate_documents(spec)]


def refused(kind: type[TandemError], spec: DomainSpec) -> TandemError:
    with pytest.raises(kind) as caught:
        list(iterate_documents(spec))
    error = caught.value
    assert type(error) is kind
    assert error.hint
    assert error.field is not None
    assert error.field.startswith(f"domains.{spec.name}.")
    return error


def test_json_lines_give_their_texts_with_line_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n\n{"text": " \\n"}\n{"text": "grüße"}', encoding="utf-8")
    assert read(domain("a", path)) == [("a.jsonl", 0, "one"), ("a.jsonl", 3, "grüße")]


def test_separators_inside_a_text_do_not_split_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes('\ufeff{"text": "a\u2028b"}\r\n{"text": "c"}\r\n'.encode())
    assert read(domain("a", path)) == [("a.jsonl", 0, "a\u2028b"), ("a.jsonl", 1, "c")]


def test_another_text_field_is_read_when_named(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", ["x"], text_field="body")
    assert read(domain("a", path, text_field="body")) == [("a.jsonl", 0, "x")]


def test_parquet_gives_its_rows_and_keeps_the_numbers_of_blank_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows = [f"row {number}" if number % 2 else "  " for number in range(1200)]
    pq.write_table(pa.table({"text": rows, "other": range(1200)}), path)
    found = read(domain("a", path))
    assert found == [("a.parquet", number, f"row {number}") for number in range(1, 1200, 2)]


def test_dictionary_encoded_parquet_is_text_too(tmp_path: Path) -> None:
    path = tmp_path / "a.pq"
    pq.write_table(pa.table({"text": pa.array(["x", "y", "x"]).dictionary_encode()}), path)
    assert [text for *_, text in read(domain("a", path))] == ["x", "y", "x"]


def test_a_text_file_is_one_document(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("first\n\nsecond\n", encoding="utf-8")
    assert read(domain("a", tmp_path / "a.txt")) == [("a.txt", 0, "first\n\nsecond\n")]


def test_files_are_read_in_the_order_of_their_uris_whatever_the_request_says(
    tmp_path: Path,
) -> None:
    paths = [write_jsonl(tmp_path / f"{name}.jsonl", [name]) for name in "bca"]
    assert [text for *_, text in read(domain("d", *paths))] == ["a", "b", "c"]


def test_a_file_uri_with_escapes_names_its_file(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a b#1.jsonl", ["x"])
    spec = DomainSpec(name="a", uris=[path.as_uri()])
    assert [doc.text for doc in iterate_documents(spec)] == ["x"]


def test_the_format_can_be_set_against_the_ending(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.data", ["x"])
    assert read(domain("a", path, format="jsonl")) == [("a.data", 0, "x")]


def test_an_ending_that_says_nothing_asks_for_the_format(tmp_path: Path) -> None:
    error = refused(InvalidSpecError, domain("a", write_jsonl(tmp_path / "a.data", ["x"])))
    assert error.field == "domains.a.format"
    assert "jsonl, parquet or text" in error.hint


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    error = refused(DatasetUnreadableError, domain("a", tmp_path / "no.jsonl"))
    assert error.value == str(tmp_path / "no.jsonl")
    assert "does not exist" in error.message


def test_a_directory_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").mkdir()
    error = refused(DatasetUnreadableError, domain("a", tmp_path / "d.jsonl"))
    assert "is a directory" in error.message


def test_a_pipe_is_unreadable_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.jsonl")
    error = refused(DatasetUnreadableError, domain("a", tmp_path / "p.jsonl"))
    assert "not a regular file" in error.message


def test_a_forbidden_file_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", ["x"])

    def refuse(place: Path, _flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(place))

    # The superuser may read files of mode 000.
    monkeypatch.setattr("tandem_engine.inputs.access.os.open", refuse)
    error = refused(DatasetUnreadableError, domain("a", path))
    assert "may not be read" in error.message


@pytest.mark.parametrize(
    ("second_line", "what"),
    [
        (b'{"text": "x"', "line 2 is not JSON"),
        (b"[" * 100_000, "line 2 is not JSON"),
        (b'["x"]', "line 2 is a JSON list, not an object"),
        (b'{"body": "x", "id": 1}', "line 2 has no field 'text'; it has 'body', 'id'"),
        (b'{"text": 7}', "line 2: 'text' is of type int, not a string"),
        (b'{"text": null}', "line 2: 'text' is null, not a string"),
        (b'{"text": "\xff"}', "line 2 is not UTF-8 (byte 11 of it)"),
        (b'{"text": "\\ud800"}', "line 2: 'text' holds a lone surrogate"),
    ],
)
def test_a_bad_line_is_named_with_its_file(tmp_path: Path, second_line: bytes, what: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "fine"}\n' + second_line + b"\n")
    error = refused(DatasetMalformedError, domain("a", path))
    assert error.message.startswith(f"{path}: {what}")
    assert error.field == "domains.a.uris"
    assert error.value == str(path)


def test_a_parquet_file_cut_short_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["x"] * 50}), path)
    path.write_bytes(path.read_bytes()[:-20])
    assert "not a whole Parquet file" in refused(DatasetMalformedError, domain("a", path)).message


def test_a_parquet_page_that_is_damaged_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"row {i}" for i in range(500)]}), path, compression="zstd")
    damaged = bytearray(path.read_bytes())
    damaged[4:200] = bytes(196)
    path.write_bytes(damaged)
    assert "not a whole Parquet file" in refused(DatasetMalformedError, domain("a", path)).message


@pytest.mark.parametrize(
    ("column", "what"),
    [
        (pa.array(["x", None]), "record 2: 'text' is null"),
        (pa.array([1, 2]), "record 1: 'text' is of type int"),
        (pa.array([b"x", b"y"]), "record 1: 'text' is of type bytes"),
        (
            pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers()),
            "column 'text' is not UTF-8",
        ),
    ],
)
def test_a_parquet_column_without_text_is_malformed(
    tmp_path: Path, column: pa.Array, what: str
) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": column}), path)
    assert what in refused(DatasetMalformedError, domain("a", path)).message


def test_a_missing_parquet_column_is_named_with_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"body": ["x"]}), path)
    error = refused(DatasetMalformedError, domain("a", path))
    assert "has no column 'text'; it has 'body'" in error.message


def test_a_text_file_that_is_not_utf8_is_malformed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("grüße".encode("latin-1"))
    error = refused(DatasetMalformedError, domain("a", tmp_path / "a.txt"))
    assert "is not UTF-8 (byte 3 of it)" in error.message


@pytest.mark.parametrize("content", ["", "\n\n", '{"text": " \\t"}\n'])
def test_a_domain_without_text_is_empty(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(content, encoding="utf-8")
    assert refused(DatasetEmptyError, domain("a", path)).value == str(path)


def test_an_empty_file_beside_a_full_one_is_no_error(tmp_path: Path) -> None:
    empty = write_jsonl(tmp_path / "a.jsonl", [])
    assert read(domain("a", empty, write_jsonl(tmp_path / "b.jsonl", ["x"]))) == [
        ("b.jsonl", 0, "x")
    ]
