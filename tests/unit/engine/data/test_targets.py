"""Targets are held out whole: nothing that stands in one is ever trained on."""

from pathlib import Path

import pytest
from support.corpora import CONTEXT_LENGTH, corpus_spec, texts, write_jsonl

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import Corpus, Domain, load_corpus
from tandem_engine.data.splits import Split
from tandem_engine.errors import DatasetEmptyError, DomainTooSmallError

DOMAINS = {"a": texts("apple", 30), "b": texts("brass", 30)}
EXAM = texts("exam", 30)


def with_targets(folder: Path, **targets: list[str]) -> JobSpec:
    spec = corpus_spec(folder, DOMAINS)
    described = [
        {"name": name, "uris": [str(write_jsonl(folder / f"target-{name}.jsonl", records))]}
        for name, records in targets.items()
    ]
    return spec.evolve(targets=described)


def load(spec: JobSpec, folder: Path) -> Corpus:
    return load_corpus(spec, folder / "cache", lambda _: None)


def train_text(domain: Domain) -> str:
    return bytes(token for token in domain.train.tokens.tolist() if token < 256).decode()


def test_a_target_has_validation_and_test_in_the_ratio_asked_for_and_no_train(
    tmp_path: Path,
) -> None:
    spec = with_targets(tmp_path, exam=EXAM)
    spec = spec.evolve(split={"validation_fraction": 0.1, "test_fraction": 0.3})
    (exam,) = load(spec, tmp_path).targets
    assert len(exam.train) == 0
    assert exam.statistics.train_tokens == 0
    held = exam.statistics.test_tokens / exam.statistics.tokens
    assert held == pytest.approx(0.75, abs=0.05)
    assert set(exam.documents["split"].tolist()) == {Split.VALIDATION, Split.TEST}


def test_what_stands_in_a_target_is_not_trained_on_in_a_domain(tmp_path: Path) -> None:
    shared = DOMAINS["a"][:10]
    before = load(corpus_spec(tmp_path / "one", DOMAINS), tmp_path / "one").domains[0]
    assert any(text in train_text(before) for text in shared)
    after = load(with_targets(tmp_path / "two", exam=[*EXAM, *shared]), tmp_path / "two")
    assert not any(text in train_text(after.domains[0]) for text in shared)


def test_domains_are_split_as_without_targets_that_share_nothing(tmp_path: Path) -> None:
    plain = load(corpus_spec(tmp_path / "one", DOMAINS), tmp_path / "one")
    targeted = load(with_targets(tmp_path / "two", exam=EXAM), tmp_path / "two")
    assert [d.statistics for d in plain.domains] == [d.statistics for d in targeted.domains]
    assert plain.judges == plain.domains
    assert [judge.name for judge in targeted.judges] == ["exam"]


def test_a_text_in_two_targets_is_in_the_same_part_of_both(tmp_path: Path) -> None:
    corpus = load(with_targets(tmp_path, first=EXAM, second=EXAM), tmp_path)
    first, second = (target.documents["split"].tolist() for target in corpus.targets)
    assert first == second


def test_two_documents_are_enough_for_a_target_and_one_is_not(tmp_path: Path) -> None:
    load(with_targets(tmp_path / "two", exam=EXAM[:2]), tmp_path / "two")
    with pytest.raises(DomainTooSmallError, match="target 'exam' is too small") as caught:
        load(with_targets(tmp_path / "one", exam=EXAM[:1]), tmp_path / "one")
    assert caught.value.field == "targets.exam.uris"
    assert f"{CONTEXT_LENGTH + 1} tokens" in str(caught.value)


def test_a_blank_target_is_named_as_one(tmp_path: Path) -> None:
    with pytest.raises(DatasetEmptyError, match=r"targets\.exam holds no text"):
        load(with_targets(tmp_path, exam=[" "]), tmp_path)
