"""From files to packed splits, and from the cache without tokenising again."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.corpora import CONTEXT_LENGTH, Progress, corpus_spec, texts, write_jsonl

from tandem_engine.contracts.records import PhaseRecord, ProgressRecord
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import Corpus, Domain, load_corpus
from tandem_engine.data.packing import PackedSplit
from tandem_engine.data.tokenise import ByteTokenizer
from tandem_engine.errors import (
    DatasetEmptyError,
    DatasetMalformedError,
    DatasetUnreadableError,
    DomainTooSmallError,
)

DOMAINS = {"prose": texts("prose", 40), "code": texts("code", 25, length=60)}


def load(spec: JobSpec, folder: Path) -> Corpus:
    return load_corpus(spec, folder / "cache", Progress())


def documents_of(split: PackedSplit) -> list[str]:
    """Cut a split's tokens at end-of-text."""
    tokens = np.asarray(split.tokens)
    assert tokens[-1] == ByteTokenizer.end_of_text
    pieces = np.split(tokens, np.flatnonzero(tokens == ByteTokenizer.end_of_text) + 1)[:-1]
    return [bytes(piece[:-1].tolist()).decode("utf-8") for piece in pieces]


def all_splits(domain: Domain) -> list[PackedSplit]:
    return [domain.train, domain.validation, domain.test]


def test_every_document_is_in_exactly_one_split(tmp_path: Path) -> None:
    corpus = load(corpus_spec(tmp_path, DOMAINS), tmp_path)
    assert [domain.name for domain in corpus.domains] == ["code", "prose"]
    for domain in corpus.domains:
        found = [text for split in all_splits(domain) for text in documents_of(split)]
        assert sorted(found) == sorted(DOMAINS[domain.name])
        assert all(len(split) >= 1 for split in all_splits(domain))
        assert all(split.tokens.dtype == np.uint16 for split in all_splits(domain))


def test_statistics_count_what_is_there(tmp_path: Path) -> None:
    corpus = load(corpus_spec(tmp_path, DOMAINS), tmp_path)
    for domain in corpus.domains:
        held, statistics = DOMAINS[domain.name], domain.statistics
        assert statistics.documents == len(held)
        assert statistics.bytes == sum(map(len, held))
        assert statistics.tokens == sum(map(len, held)) + len(held)
        assert statistics.train_documents == len(documents_of(domain.train))
        assert statistics.train_tokens == len(domain.train.tokens)
        assert statistics.validation_tokens == len(domain.validation.tokens)
        assert statistics.test_tokens == len(domain.test.tokens)
        assert statistics.train_sequences == len(domain.train)
    train = [domain.statistics.train_tokens for domain in corpus.domains]
    shares = [domain.statistics.natural_share for domain in corpus.domains]
    assert shares == [tokens / sum(train) for tokens in train]


def test_the_document_table_leads_back_to_the_files(tmp_path: Path) -> None:
    extra = tmp_path / "more.parquet"
    rows = ["  ", *texts("more", 5), DOMAINS["code"][3]]
    pq.write_table(pa.table({"text": rows}), extra)
    spec = corpus_spec(tmp_path, DOMAINS)
    code = spec.domains[0]
    grown = code.model_dump() | {"uris": [str(extra), *code.uris]}
    corpus = load(spec.evolve(domains=[grown, spec.domains[1].model_dump()]), tmp_path)
    domain = corpus.domains[0]
    assert domain.source_uris == sorted(grown["uris"])
    sources = {code.uris[0]: DOMAINS["code"], str(extra): rows}
    by_split: list[list[str]] = [[], [], []]
    for entry in domain.documents:
        text = sources[domain.source_uris[entry["uri"]]][entry["document"]]
        assert entry["tokens"] == len(text) + 1
        if not entry["duplicate"]:
            by_split[entry["split"]].append(text)
    assert [sorted(held) for held in by_split] == [
        sorted(documents_of(split)) for split in all_splits(domain)
    ]
    duplicates = domain.documents[domain.documents["duplicate"]]
    assert duplicates["document"].tolist() == [6]
    assert len(domain.documents) == 25 + 6


def test_a_text_that_stands_twice_is_kept_once(tmp_path: Path) -> None:
    held = texts("same", 20)
    spec = corpus_spec(tmp_path, {"a": [*held, *held[:5]], "b": texts("b", 20)})
    statistics = load(spec, tmp_path).domains[0].statistics
    assert (statistics.documents, statistics.duplicates_removed) == (20, 5)
    assert statistics.bytes == sum(map(len, held))


def arrays(corpus: Corpus) -> list[list[int]]:
    return [
        np.asarray(split.tokens).tolist()
        for domain in corpus.domains
        for split in all_splits(domain)
    ]


def test_neither_the_order_nor_the_cut_of_files_changes_the_splits(tmp_path: Path) -> None:
    held = texts("prose", 30)
    whole = corpus_spec(tmp_path / "whole", {"a": held, "b": texts("b", 30)})
    pieces = [
        str(write_jsonl(tmp_path / f"{number}.jsonl", reversed(held[number::3])))
        for number in range(3)
    ]
    other = whole.domains[1].model_dump()
    for uris in (pieces, pieces[::-1]):
        cut = whole.evolve(domains=[other, {"name": "a", "uris": uris}])
        assert arrays(load(cut, tmp_path)) == arrays(load(whole, tmp_path))


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.lists(st.integers(0, 60), min_size=12, max_size=40), min_size=2, max_size=4),
    st.integers(0, 1000),
)
def test_held_out_text_never_leaks_into_any_train_split(
    tmp_path_factory: pytest.TempPathFactory, numbers: Sequence[Sequence[int]], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("leak")
    pool = texts("shared", 61)
    held = {f"d{place}": [pool[n] for n in chosen] for place, chosen in enumerate(numbers)}
    try:
        corpus = load(corpus_spec(folder, held, seed=seed), folder)
    except DomainTooSmallError:
        return
    trained, validated, tested = (
        {text for domain in corpus.domains for text in documents_of(all_splits(domain)[place])}
        for place in range(3)
    )
    assert not trained & validated
    assert not trained & tested
    assert not validated & tested


def test_a_second_load_tokenises_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = corpus_spec(tmp_path, DOMAINS)
    first, second = Progress(), Progress()
    before = load_corpus(spec, tmp_path / "cache", first)

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(ByteTokenizer, "encode_batch", refuse)
    after = load_corpus(spec, tmp_path / "cache", second)
    assert first.phases == ["reading", "tokenizing"]
    assert second.phases == ["reading"]
    assert arrays(after) == arrays(before)
    assert [d.statistics for d in after.domains] == [d.statistics for d in before.domains]
    assert [d.documents.tolist() for d in after.domains] == [
        d.documents.tolist() for d in before.domains
    ]


def test_the_cache_goes_by_content_and_not_by_place(tmp_path: Path) -> None:
    for name in ("here", "there"):
        progress = Progress()
        load_corpus(corpus_spec(tmp_path / name, DOMAINS), tmp_path / "cache", progress)
    assert progress.phases == ["reading"]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"training": {"context_length": CONTEXT_LENGTH + 1}},
        {"split": {"test_fraction": 0.2}},
        {"split": {"validation_fraction": 0.2}},
    ],
)
def test_other_settings_are_another_entry(tmp_path: Path, change: dict[str, object]) -> None:
    load(corpus_spec(tmp_path, DOMAINS), tmp_path)
    progress = Progress()
    load_corpus(corpus_spec(tmp_path, DOMAINS, **change), tmp_path / "cache", progress)
    assert progress.phases == ["reading", "tokenizing"]


def test_a_changed_file_is_another_entry(tmp_path: Path) -> None:
    load(corpus_spec(tmp_path, DOMAINS), tmp_path)
    grown = DOMAINS | {"code": [*DOMAINS["code"], "one more document"]}
    corpus = load(corpus_spec(tmp_path, grown), tmp_path)
    assert corpus.domains[0].statistics.documents == 26


def test_what_the_settings_of_learning_say_does_not_matter_to_the_cache(tmp_path: Path) -> None:
    load(corpus_spec(tmp_path, DOMAINS), tmp_path)
    progress = Progress()
    spec = corpus_spec(tmp_path, DOMAINS, learning={"penalty": 2.0})
    load_corpus(spec, tmp_path / "cache", progress)
    assert progress.phases == ["reading"]


def test_a_damaged_entry_is_built_again(tmp_path: Path) -> None:
    spec = corpus_spec(tmp_path, DOMAINS)
    before = arrays(load(spec, tmp_path))
    [damaged] = (tmp_path / "cache").glob("corpora/*/0001/train.npy")
    damaged.write_bytes(damaged.read_bytes()[:-10])
    assert arrays(load(spec, tmp_path)) == before


def test_an_interrupted_build_leaves_no_entry_and_the_next_load_is_whole(tmp_path: Path) -> None:
    spec = corpus_spec(tmp_path, DOMAINS)

    def interrupt(record: ProgressRecord | PhaseRecord) -> None:
        if record.phase == "tokenizing" and isinstance(record, ProgressRecord):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_corpus(spec, tmp_path / "cache", interrupt)
    assert [path for path in (tmp_path / "cache").glob("*/*") if path.is_dir()] == []
    assert len(load(spec, tmp_path).domains) == 2


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    spec = corpus_spec(tmp_path, DOMAINS)

    def meddle(record: ProgressRecord | PhaseRecord) -> None:
        if record.phase == "tokenizing" and isinstance(record, PhaseRecord):
            os.utime(tmp_path / "code.jsonl", ns=(1, 1))

    with pytest.raises(DatasetUnreadableError, match="was changed while the job read it"):
        load_corpus(spec, tmp_path / "cache", meddle)


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.jsonl"))


def test_progress_reaches_its_totals(tmp_path: Path) -> None:
    progress = Progress()
    load_corpus(corpus_spec(tmp_path, DOMAINS), tmp_path / "cache", progress)
    last = {record.phase: record for record in progress.records}
    for phase, total in (("reading", 2), ("tokenizing", _bytes_of(tmp_path))):
        record = last[phase]
        assert isinstance(record, ProgressRecord)
        assert (record.done_units, record.total_units) == (total, total)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("gone.jsonl", None, DatasetUnreadableError),
        ("bad.jsonl", b"no json\n", DatasetMalformedError),
        ("empty.jsonl", b"\n", DatasetEmptyError),
        ("bad.parquet", b"PAR1 no parquet", DatasetMalformedError),
        ("empty.parquet", b"", DatasetMalformedError),
        ("small.jsonl", b'{"text": "a"}\n' * 9, DomainTooSmallError),
    ],
)
def test_a_bad_domain_gives_its_one_error_and_no_entry(
    tmp_path: Path, name: str, content: bytes | None, kind: type[Exception]
) -> None:
    spec = corpus_spec(tmp_path, DOMAINS)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    bad = {"name": "zz bad", "uris": [str(tmp_path / name)]}
    spec = spec.evolve(domains=[*(domain.model_dump() for domain in spec.domains), bad])
    with pytest.raises(kind) as caught:
        load(spec, tmp_path)
    assert type(caught.value) is kind
    assert getattr(caught.value, "field", None) == "domains.zz bad.uris"
    assert [path for path in (tmp_path / "cache").glob("corpora/*") if path.is_dir()] == []


def test_a_tokenizer_with_a_large_vocabulary_gives_32_bit_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ByteTokenizer, "vocabulary_size", 70_000)
    monkeypatch.setattr(ByteTokenizer, "end_of_text", 69_999)
    corpus = load(corpus_spec(tmp_path, DOMAINS), tmp_path)
    assert corpus.domains[0].train.tokens.dtype == np.uint32
    assert corpus.domains[0].train.tokens[-1] == 69_999
    assert (corpus.vocabulary_size, corpus.end_of_text) == (70_000, 69_999)


def test_the_statistics_are_plain_json_in_the_entry(tmp_path: Path) -> None:
    corpus = load(corpus_spec(tmp_path, DOMAINS), tmp_path)
    [path] = (tmp_path / "cache").glob("corpora/*/statistics.json")
    assert [item["name"] for item in json.loads(path.read_text())] == ["code", "prose"]
    assert corpus.tokenizer_name == "bytes"
