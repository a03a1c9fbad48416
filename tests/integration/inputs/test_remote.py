"""Data on other machines: right documents or one clear error, and a job that reads them."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from integration.inputs.conftest import RangeServer
from support.corpora import Progress, corpus_spec, texts
from support.files import write_mds, zstd

from tandem_engine.contracts.domains import DomainSpec
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import load_corpus
from tandem_engine.errors import (
    DatasetMalformedError,
    DatasetUnavailableError,
    DatasetUnreadableError,
    TandemError,
    UriNotAllowedError,
)
from tandem_engine.inputs.access import Access
from tandem_engine.inputs.documents import iterate_documents

TEXTS = texts("remote", 40)


def _lines(found: list[str]) -> bytes:
    return b"".join(json.dumps({"text": text}).encode() + b"\n" for text in found)


def _parquet(path: Path) -> bytes:
    pq.write_table(pa.table({"text": TEXTS}), path, row_group_size=10)
    return path.read_bytes()


def _domain(*uris: str, **settings: Any) -> DomainSpec:
    return DomainSpec(name="d", uris=list(uris), **settings)


def _read(*uris: str, **settings: Any) -> list[str]:
    return [one.text for one in iterate_documents(_domain(*uris, **settings))]


def _refused(kind: type[TandemError], *uris: str, **settings: Any) -> TandemError:
    with pytest.raises(kind) as caught:
        _read(*uris, **settings)
    assert type(caught.value) is kind
    assert caught.value.field == "domains.d.uris"
    assert caught.value.value
    assert caught.value.hint
    return caught.value


def test_s3_gives_files_of_every_format(bucket: Any, tmp_path: Path) -> None:
    contents = {
        "a/1.jsonl": _lines(TEXTS),
        "a/2.jsonl.gz": gzip.compress(_lines(TEXTS)),
        "b/3.jsonl.zst": zstd(_lines(TEXTS)),
        "b/c/4.parquet": _parquet(tmp_path / "p.parquet"),
    }
    for key, content in contents.items():
        bucket.put_object(Key=key, Body=content)
        assert _read(f"s3://corpora/{key}") == TEXTS
    assert _read("s3://corpora/a/*") == TEXTS * 2
    assert _read("s3://corpora/**/*.parquet", "s3://corpora/b/*.zst") == TEXTS * 2


def test_an_mds_folder_on_s3_is_read(bucket: Any, tmp_path: Path) -> None:
    rows = [{"text": text} for text in TEXTS]
    write_mds(tmp_path / "mds", [rows[:9], rows[9:]], {"text": "str"}, "zstd")
    for path in (tmp_path / "mds").iterdir():
        bucket.upload_file(str(path), f"mds/{path.name}")
    assert _read("s3://corpora/mds") == TEXTS


def test_what_is_wrong_on_s3_is_said_with_the_address(bucket: Any) -> None:
    bucket.put_object(Key="torn.jsonl.gz", Body=gzip.compress(_lines(TEXTS))[:-20])
    bucket.put_object(Key="torn.parquet", Body=b"PAR1" + b"x" * 100)
    bucket.put_object(Key="latin.jsonl", Body='{"text": "é"}\n'.encode("latin-1"))
    missing = _refused(DatasetUnreadableError, "s3://corpora/no.jsonl")
    assert missing.message == "s3://corpora/no.jsonl: does not exist"
    assert "matches no file" in _refused(DatasetUnreadableError, "s3://corpora/x/*.jsonl").message
    cut = _refused(DatasetMalformedError, "s3://corpora/torn.jsonl.gz")
    assert "is cut off" in cut.message
    torn = _refused(DatasetMalformedError, "s3://corpora/torn.parquet")
    assert "not a whole Parquet file" in torn.message
    latin = _refused(DatasetMalformedError, "s3://corpora/latin.jsonl")
    assert "s3://corpora/latin.jsonl: line 1 is not UTF-8" in latin.message


def test_a_server_that_is_not_there_is_a_passing_trouble(
    bucket: Any,  # noqa: ARG001 - sets the credentials
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("s3fs.core.S3FileSystem.retries", 1)
    error = _refused(DatasetUnavailableError, "s3://corpora/a.jsonl")
    assert error.retryable
    assert "cannot be reached" in error.message


def test_http_reads_parts_of_a_file_and_not_all_of_it(web: RangeServer, tmp_path: Path) -> None:
    big = pa.table({"text": TEXTS, "other": [bytes([n]) * 2_000_000 for n in range(len(TEXTS))]})
    pq.write_table(big, web.folder / "big.parquet", compression="none", use_dictionary=False)
    (web.folder / "a.jsonl.gz").write_bytes(gzip.compress(_lines(TEXTS)))
    (tmp_path / "p.parquet").unlink(missing_ok=True)
    assert _read(f"{web.url}/big.parquet") == TEXTS
    assert _read(f"{web.url}/a.jsonl.gz") == TEXTS
    ranges = [wanted for name, wanted in web.requests if name == "big.parquet" and wanted]
    assert ranges
    read = sum(_length(wanted) for wanted in ranges)
    assert read < (web.folder / "big.parquet").stat().st_size / 2


def _length(wanted: str) -> int:
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    return int(last) + 1 - int(first)


def test_http_that_breaks_off_is_a_passing_trouble_and_no_shorter_file(web: RangeServer) -> None:
    (web.folder / "a.jsonl").write_bytes(_lines(TEXTS * 50))
    web.broken.add("a.jsonl")
    assert _refused(DatasetUnavailableError, f"{web.url}/a.jsonl").retryable
    assert "does not exist" in _refused(DatasetUnreadableError, f"{web.url}/no.jsonl").message


def test_a_scheme_that_is_switched_off_is_not_asked(web: RangeServer) -> None:
    (web.folder / "a.jsonl").write_bytes(_lines(TEXTS))
    access = Access(schemes=frozenset({"file", "s3"}))
    with pytest.raises(UriNotAllowedError, match="switched off") as caught:
        list(iterate_documents(_domain(f"{web.url}/a.jsonl"), access))
    assert "TANDEM_URI_SCHEMES" in caught.value.hint
    assert web.requests == []


def _spec(folder: Path, uri: str) -> JobSpec:
    local = corpus_spec(folder, {"far": TEXTS, "near": texts("near", 40)})
    far = {"name": "far", "uris": [uri]}
    return local.evolve(domains=[far, local.domains[1].model_dump()])


@pytest.mark.parametrize("scheme", ["s3", "http"])
def test_a_remote_domain_is_tokenised_once_per_content(
    bucket: Any, web: RangeServer, tmp_path: Path, scheme: str
) -> None:
    def put(content: bytes) -> None:
        bucket.put_object(Key="a.jsonl", Body=content)
        (web.folder / "a.jsonl").write_bytes(content)

    uri = {"s3": "s3://corpora/a.jsonl", "http": f"{web.url}/a.jsonl"}[scheme]
    spec = _spec(tmp_path / "near", uri)
    put(_lines(TEXTS))
    first, second, third = Progress(), Progress(), Progress()
    before = load_corpus(spec, tmp_path / "cache", first)
    load_corpus(spec, tmp_path / "cache", second)
    assert (first.phases, second.phases) == (["reading", "tokenizing"], ["reading"])
    put(_lines([*TEXTS, "one more document"]))
    after = load_corpus(spec, tmp_path / "cache", third)
    assert third.phases == ["reading", "tokenizing"]
    counts = [corpus.domains[0].statistics.documents for corpus in (before, after)]
    assert counts == [len(TEXTS), len(TEXTS) + 1]
    assert before.domains[0].files[0].fingerprint.startswith("tag:")
    assert before.domains[0].source_uris == [uri]
