"""Tokens are made once per content, whatever a job does with them; what is malformed is counted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.corpora import CONTEXT_LENGTH, Progress, corpus_spec, texts, write_jsonl
from support.files import write_megatron

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import Corpus, load_corpus
from tandem_engine.data.tokenise import ByteTokenizer
from tandem_engine.errors import DatasetMalformedError, InvalidSpecError
from tandem_engine.presets import resolve

DOMAINS = {"prose": texts("prose", 40), "code": texts("code", 25, length=60)}
END = ByteTokenizer.end_of_text


def load(spec: JobSpec, folder: Path) -> Corpus:
    return load_corpus(spec, folder / "cache", Progress())


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"training": {"context_length": CONTEXT_LENGTH + 1}},
        {"split": {"test_fraction": 0.2}},
    ],
)
def test_another_job_on_the_same_files_tokenises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    load(corpus_spec(tmp_path, DOMAINS), tmp_path)
    fresh = load_corpus(corpus_spec(tmp_path, DOMAINS, **change), tmp_path / "other", Progress())

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(ByteTokenizer, "encode_batch", refuse)
    shared = load(corpus_spec(tmp_path, DOMAINS, **change), tmp_path)
    for one, other in zip(shared.domains, fresh.domains, strict=True):
        assert one.statistics == other.statistics
        assert np.array_equal(one.train.tokens, other.train.tokens)


def test_a_file_that_grew_is_tokenised_and_its_neighbour_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(corpus_spec(tmp_path, DOMAINS), tmp_path)
    encoded: list[str] = []
    real = ByteTokenizer.encode_batch
    monkeypatch.setattr(
        ByteTokenizer,
        "encode_batch",
        lambda self, batch: [encoded.extend(batch), real(self, batch)][1],
    )
    grown = DOMAINS | {"code": [*DOMAINS["code"], "one more document"]}
    load(corpus_spec(tmp_path, grown), tmp_path)
    assert sorted(encoded) == sorted(grown["code"])


def test_a_damaged_shard_is_built_again(tmp_path: Path) -> None:
    load(corpus_spec(tmp_path, DOMAINS), tmp_path)
    for path in (tmp_path / "cache" / "shards").glob("*/tokens.bin"):
        path.write_bytes(path.read_bytes()[:-2])
    corpus = load(corpus_spec(tmp_path, DOMAINS, seed=1), tmp_path)
    assert [domain.statistics.documents for domain in corpus.domains] == [25, 40]


def _with_bad_lines(folder: Path, **settings: Any) -> JobSpec:
    spec = corpus_spec(folder, DOMAINS)
    path = folder / "bad.jsonl"
    lines = [json.dumps({"text": text}).encode() for text in texts("bad", 40)]
    lines[3:3] = [b"no json", b'{"text": 7}']
    lines.append('{"text": "é"}'.encode("latin-1"))
    path.write_bytes(b"\n".join(lines) + b"\n")
    bad = {"name": "bad", "uris": [str(path)], **settings}
    return spec.evolve(domains=[*(domain.model_dump() for domain in spec.domains), bad])


def test_malformed_records_within_the_budget_are_left_out_and_named(tmp_path: Path) -> None:
    spec = _with_bad_lines(tmp_path, skip_malformed=3)
    for _ in range(2):  # built, then from the cache
        statistics = load(spec, tmp_path).domains[0].statistics
        assert (statistics.documents, statistics.malformed_skipped) == (40, 3)
        places = [message.split(": ")[1] for message in statistics.first_skipped]
        assert [place.split(" is ")[0] for place in places] == ["line 4", "line 5", "line 43"]


def test_one_malformed_record_more_than_allowed_is_the_error(tmp_path: Path) -> None:
    load(_with_bad_lines(tmp_path, skip_malformed=3), tmp_path)
    for cache in ("cache", "fresh"):
        with pytest.raises(DatasetMalformedError, match="line 43 is not UTF-8") as caught:
            spec = _with_bad_lines(tmp_path, skip_malformed=2)
            load_corpus(spec, tmp_path / cache, Progress())
        assert "raise skip_malformed, of which all 2 are used up" in caught.value.hint
    with pytest.raises(DatasetMalformedError, match="line 4 is not JSON"):
        load(_with_bad_lines(tmp_path), tmp_path)


def _tokens(folder: Path, ids: list[list[int]], **settings: Any) -> JobSpec:
    spec = corpus_spec(folder, DOMAINS)
    write_megatron(folder / "ready", ids, "uint16")
    ready = {"name": "ready", "uris": [str(folder / "ready.idx")], **settings}
    return spec.evolve(domains=[*(domain.model_dump() for domain in spec.domains), ready])


def test_tokens_that_are_there_already_are_taken_as_they_are(tmp_path: Path) -> None:
    found = texts("ready", 30)
    ids = [[*text.encode(), END] if n % 2 else [*text.encode()] for n, text in enumerate(found)]
    ready = load(_tokens(tmp_path, ids), tmp_path).domains[2]
    assert ready.statistics.documents == len(found)
    assert ready.statistics.tokens == sum(len(text) + 1 for text in found)
    held = [*ready.train.tokens, *ready.validation.tokens, *ready.test.tokens]
    pieces = bytes(id_ if id_ != END else 0 for id_ in held).split(b"\0")
    assert sorted(piece.decode() for piece in pieces if piece) == sorted(found)


def test_tokens_of_another_vocabulary_are_refused(tmp_path: Path) -> None:
    spec = _tokens(tmp_path, [[1, 2, 3], [1, 257, 3]] * 9)
    with pytest.raises(DatasetMalformedError, match="record 2 holds the id 257"):
        load(spec, tmp_path)


def _bpe(folder: Path, **settings: Any) -> JobSpec:
    tokenizer = {"kind": "bpe", "vocabulary_size": 300} | settings
    return resolve(corpus_spec(folder, DOMAINS, tokenizer=tokenizer))


def test_a_job_may_train_a_tokenizer_of_its_own_domains(tmp_path: Path) -> None:
    corpus = load(_bpe(tmp_path), tmp_path)
    plain = load(corpus_spec(tmp_path, DOMAINS), tmp_path)
    assert 257 < corpus.vocabulary_size <= 300
    for short, long in zip(corpus.domains, plain.domains, strict=True):
        assert short.statistics.tokens < long.statistics.tokens
    again = load_corpus(_bpe(tmp_path / "moved"), tmp_path / "fresh", Progress())
    assert again.tokenizer_fingerprint == corpus.tokenizer_fingerprint


def test_its_sample_is_bounded_and_drawn_by_content(tmp_path: Path) -> None:
    whole = load(_bpe(tmp_path), tmp_path)
    part = load(_bpe(tmp_path, sample_bytes=600), tmp_path)
    assert part.tokenizer_fingerprint != whole.tokenizer_fingerprint
    halves = [DOMAINS["prose"][20:], DOMAINS["prose"][:20]]
    paths = [write_jsonl(tmp_path / f"{n}.jsonl", half) for n, half in enumerate(halves)]
    spec = _bpe(tmp_path)
    prose = spec.domains[1].model_dump() | {"uris": [str(path) for path in paths]}
    moved = spec.evolve(domains=[spec.domains[0].model_dump(), prose])
    assert load(moved, tmp_path).tokenizer_fingerprint == whole.tokenizer_fingerprint


def test_tokens_cannot_train_a_tokenizer(tmp_path: Path) -> None:
    spec = _tokens(tmp_path, [[1, 2, 3]] * 9).evolve(
        tokenizer={"kind": "bpe", "vocabulary_size": 300}
    )
    with pytest.raises(InvalidSpecError, match="holds tokens"):
        load(spec, tmp_path)
