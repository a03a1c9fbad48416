"""The inspection agrees with the engine's own reader, and does not read more than it must."""

import errno
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.datasets import inspection
from service.datasets.inspection import inspect
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.splits import (
    DistinctDocuments,
    SplitRule,
    content_digest,
    split_domain,
)
from tandem_engine.errors import TandemError
from tandem_engine.inputs.access import Access
from tandem_engine.inputs.documents import iterate_documents
from tandem_engine.presets import resolve

LONG = "word " * 60


def _lines(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def _good(count: int = 5) -> bytes:
    return _lines(*({"text": f"{number} {LONG}"} for number in range(count)))


def _spec(path: Path, **domain: Any) -> JobSpec:
    other = path.parent / "other.jsonl"
    other.write_bytes(_good())
    domains = [{"name": "a", "uris": [str(path)], **domain}, {"name": "b", "uris": [str(other)]}]
    rows = {"context_length": 128}
    return resolve(JobSpec.model_validate({"domains": domains, "training": rows}))


def _inspect(path: Path, **domain: Any) -> list[str]:
    return _inspect_below(path.parent, path, **domain)


def _inspect_below(root: Path, path: Path, **domain: Any) -> list[str]:
    problems = inspect(_spec(path, **domain), {"a": 0, "b": 1}, Access([root.resolve()]))
    return [problem.code for problem in problems]


FILES: dict[str, bytes] = {
    "good.jsonl": _good(),
    "mark.jsonl": b"\xef\xbb\xbf" + _good(),
    "blank-lines.jsonl": b"\n \n" + _good().replace(b"\n", b"\n\n"),
    "crlf.jsonl": _good().replace(b"\n", b"\r\n"),
    "no-last-newline.jsonl": _good().rstrip(b"\n"),
    "carriage-return.jsonl": _lines(*({"text": f"{n}\r{LONG}"} for n in range(5))),
    "array.jsonl": _lines([1, 2]),
    "number.jsonl": _lines({"text": 1}),
    "null.jsonl": _lines({"text": None}),
    "missing.jsonl": _lines({"body": "x"}),
    "surrogate.jsonl": b'{"text": "\\ud800"}\n',
    "latin.jsonl": '{"text": "é"}\n'.encode("latin-1"),
    "torn.jsonl": _good() + b'{"text": "x',
    "deep.jsonl": b"[" * 100_000,
    "empty.jsonl": b"",
    "blank.jsonl": _lines({"text": " \n"}),
    "torn.parquet": b"PAR1",
    "text.txt": b"\xff",
    "unknown.bin": b"x",
}


@pytest.mark.parametrize("name", FILES)
def test_the_inspection_agrees_with_the_engine(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name])
    try:
        for _ in iterate_documents(_spec(path).domains[0]):
            pass
        expected = []
    except TandemError as error:
        expected = [error.code]
    assert _inspect(path) == expected


@settings(max_examples=60)
@given(st.lists(st.sampled_from([5, 40, 90, 128, 129, 200, 4000]), min_size=1, max_size=7))
def test_the_inspection_accepts_only_what_the_engine_can_split(
    lengths: list[int],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        records = [{"text": f"{n} ".ljust(length, "x")} for n, length in enumerate(lengths)]
        path.write_bytes(_lines(*records))
        spec = _spec(path)
        refused = inspect(spec, {"a": 0, "b": 1}, Access([Path(folder).resolve()]))
        tokens = np.array([len(record["text"]) + 1 for record in records])
        documents = DistinctDocuments(
            digests=[content_digest(record["text"]) for record in records],
            bytes=tokens - 1,
            tokens=tokens,
        )
        if refused:
            assert [problem.code for problem in refused] == ["domain_too_small"]
            assert (tokens >= 129).sum() < 3
        else:
            splits = split_domain("a", documents, SplitRule.of(spec), decided={})
            assert min(tokens[splits == part].sum() for part in range(3)) >= 129


def test_a_parquet_column_of_texts_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"body": [f"{number} {LONG}" for number in range(5)]}), path)
    assert _inspect(path, text_field="body") == []
    assert _inspect(path) == ["dataset_malformed"]


def test_a_mistake_beyond_the_first_records_is_left_to_the_engine(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(_good(100) + b"no JSON\n")
    assert _inspect(path) == []


def test_every_file_is_looked_at_even_when_the_first_is_enough(tmp_path: Path) -> None:
    good, bad = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    good.write_bytes(_good(100))
    bad.write_bytes(b"no JSON\n")
    assert _inspect(good, uris=[str(good), str(bad)]) == ["dataset_malformed"]


def test_a_domain_too_large_to_look_through_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "MOST_BYTES", 10_000)
    path = tmp_path / "a.jsonl"
    path.write_bytes(_lines({"text": LONG}) * 1000)
    assert _inspect(path) == []


def test_a_line_without_end_is_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "LONGEST_RECORD", 1000)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"x" * 5000)
    assert _inspect(path) == ["dataset_empty"]


def test_a_pipe_does_not_hang_the_service(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    os.mkfifo(path)
    assert _inspect(path) == ["dataset_unreadable"]


def test_a_file_without_permission_is_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(_good())
    real = os.open

    def refuse(place: Any, flags: int, *mode: int) -> int:
        if Path(place) == path:
            raise PermissionError(errno.EACCES, "Permission denied")  # root may read everything
        return real(place, flags, *mode)

    monkeypatch.setattr("tandem_engine.inputs.access.os.open", refuse)
    assert _inspect(path) == ["dataset_unreadable"]


def test_neither_links_nor_dots_lead_out_of_the_roots(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "a.jsonl").write_bytes(_good())
    (inside / "link.jsonl").symlink_to(outside / "a.jsonl")
    (inside / "folder").symlink_to(outside)
    for uri in ("link.jsonl", "folder/a.jsonl", "../out/a.jsonl", "../out/missing.jsonl"):
        found = _inspect_below(inside, inside / "a.jsonl", uris=[f"{inside}/{uri}"])
        assert found == ["uri_not_allowed"], uri


def test_a_link_inside_of_the_roots_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(_good())
    (tmp_path / "link.jsonl").symlink_to("a.jsonl")
    assert _inspect(tmp_path / "link.jsonl") == []


@pytest.mark.parametrize("uri", ["a b.jsonl", "a%20b.jsonl"])
def test_a_file_uri_is_decoded_and_a_path_is_not(uri: str, tmp_path: Path) -> None:
    (tmp_path / "a b.jsonl").write_bytes(_good())
    path = tmp_path / "a b.jsonl"
    assert _inspect(path, uris=[f"file://{tmp_path}/{uri}"]) == []
    missing = [] if uri == "a b.jsonl" else ["dataset_unreadable"]
    assert _inspect(path, uris=[f"{tmp_path}/{uri}"]) == missing


def _problems(spec: JobSpec, root: Path) -> list[tuple[str, str]]:
    positions = {source.name: place for place, source in enumerate((*spec.domains, *spec.targets))}
    return [(one.pointer, one.code) for one in inspect(spec, positions, Access([root.resolve()]))]


def test_a_target_needs_two_documents_and_is_named_by_its_place(tmp_path: Path) -> None:
    base = _spec(tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").write_bytes(_good())
    (tmp_path / "exam.jsonl").write_bytes(_good(2))
    target = {"name": "exam", "uris": [str(tmp_path / "exam.jsonl")]}
    assert _problems(base.evolve(targets=[target]), tmp_path) == []
    (tmp_path / "exam.jsonl").write_bytes(_good(1))
    (problem,) = _problems(base.evolve(targets=[target]), tmp_path)
    assert problem == ("/spec/targets/2/uris", "domain_too_small")


def test_conversations_are_read_as_the_engine_reads_them(tmp_path: Path) -> None:
    good = {"prompt": "q", "completion": "r"}
    cases = {
        "good": (_lines(good, good | {"prompt": "p"}, good | {"prompt": "o"}), []),
        "missing": (_lines({"prompt": "q"}), ["dataset_malformed"]),
        "number": (_lines({"prompt": 1, "completion": "r"}), ["dataset_malformed"]),
        "few": (_lines(good), ["domain_too_small"]),
    }
    for name, (content, expected) in cases.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(content)
        (tmp_path / "other.jsonl").write_bytes(cases["good"][0])
        domains = [
            {"name": n, "uris": [str(tmp_path / f"{file}.jsonl")], "records": "prompt_completion"}
            for n, file in (("a", name), ("b", "other"))
        ]
        spec = resolve(JobSpec.model_validate({"scenario": "sft", "domains": domains}))
        assert [code for _, code in _problems(spec, tmp_path)] == expected, name
        if expected != ["domain_too_small"]:
            try:
                list(iterate_documents(spec.domains[0]))
                found: list[str] = []
            except TandemError as error:
                found = [error.code]
            assert found == expected, name


def test_conversations_in_parquet_are_lists_of_turns(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}]
    rows = [{"messages": [*turns, {"role": "user", "content": str(n)}]} for n in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    domains = [
        {"name": name, "uris": [str(tmp_path / "a.parquet")], "records": "messages"}
        for name in ("a", "b")
    ]
    spec = resolve(JobSpec.model_validate({"scenario": "sft", "domains": domains}))
    assert _problems(spec, tmp_path) == []
    assert len(list(iterate_documents(spec.domains[0]))) == 3


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "holds no readable config.json"),
        ({"config.json": "{"}, "holds no readable config.json"),
        ({"config.json": '{"auto_map": {"AutoConfig": "x.Y"}}'}, "code of its own"),
        ({"config.json": "{}", "pytorch_model.bin": "x"}, "holds no safetensors"),
        ({"config.json": "{}", "model.safetensors": "x"}, None),
    ],
)
def test_a_models_folder_is_checked_before_there_is_a_job(
    tmp_path: Path, files: dict[str, str], words: str | None
) -> None:
    (tmp_path / "a.jsonl").write_bytes(_good())
    folder = tmp_path / "model"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content)
    spec = _spec(tmp_path / "a.jsonl")
    model = {"architecture": "huggingface", "path": str(folder), "pretrained": True}
    problems = inspect(spec.evolve(model=model), {"a": 0, "b": 1}, Access([tmp_path.resolve()]))
    assert [problem.pointer for problem in problems] == ["/spec/model/path"] * (words is not None)
    assert words is None or words in problems[0].message
