"""The three-way split: no leak, no dependence on order, enough in every part."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem_engine.data.splits import (
    DistinctDocuments,
    Split,
    SplitRule,
    content_digest,
    ranked,
    split_domain,
)
from tandem_engine.errors import DomainTooSmallError

RULE = SplitRule(validation_fraction=0.1, test_fraction=0.1, row_tokens=9, seed=0)


def split_texts(
    texts: Sequence[str],
    rule: SplitRule = RULE,
    decided: dict[bytes, Split] | None = None,
) -> dict[str, Split]:
    sizes = np.array([len(text.encode()) for text in texts], dtype=np.int64)
    documents = DistinctDocuments([content_digest(text) for text in texts], sizes, sizes + 1)
    splits = split_domain("d", documents, rule, decided or {})
    return dict(zip(texts, [Split(split) for split in splits.tolist()], strict=True))


def numbered(count: int, length: int = 20) -> list[str]:
    return [f"{number:06d}" + "x" * (length - 6) for number in range(count)]


def tokens_of(splits: dict[str, Split], split: Split) -> int:
    return sum(len(text) + 1 for text, found in splits.items() if found == split)


def test_fractions_are_met_and_not_passed_by_more_than_a_document() -> None:
    rule = SplitRule(validation_fraction=0.2, test_fraction=0.1, row_tokens=9, seed=0)
    counts = list(split_texts(numbered(100), rule).values())
    assert [counts.count(split) for split in Split] == [70, 20, 10]


def test_a_held_out_part_holds_a_full_row_even_when_the_fraction_is_less() -> None:
    rule = SplitRule(validation_fraction=0.01, test_fraction=0.01, row_tokens=100, seed=0)
    splits = split_texts(numbered(50), rule)
    assert 100 <= tokens_of(splits, Split.TEST) < 100 + 21
    assert 100 <= tokens_of(splits, Split.VALIDATION) < 100 + 21


@given(st.permutations(numbered(30)))
def test_the_order_of_documents_does_not_change_their_splits(texts: list[str]) -> None:
    assert split_texts(texts) == split_texts(numbered(30))


def test_another_seed_gives_another_split() -> None:
    other = SplitRule(validation_fraction=0.1, test_fraction=0.1, row_tokens=9, seed=1)
    assert split_texts(numbered(100), other) != split_texts(numbered(100))


def test_ranks_order_by_content_and_seed_alone() -> None:
    digests = [content_digest(text) for text in numbered(20)]
    order = [digests[position] for position in ranked(digests, 3)]
    backwards = digests[::-1]
    assert order == [backwards[position] for position in ranked(backwards, 3)]
    assert order != [digests[position] for position in ranked(digests, 4)]


domain_texts = st.lists(
    st.text("abcdefg", min_size=1, max_size=30), min_size=3, max_size=40, unique=True
)


@given(st.lists(domain_texts, min_size=2, max_size=5), st.integers(0, 2**63 - 1))
def test_no_held_out_text_is_trained_on_in_any_domain(domains: list[list[str]], seed: int) -> None:
    rule = SplitRule(validation_fraction=0.1, test_fraction=0.1, row_tokens=9, seed=seed)
    texts: dict[Split, set[str]] = {split: set() for split in Split}
    decided: dict[bytes, Split] = {}
    for domain in domains:
        try:
            splits = split_texts(domain, rule, decided)
        except DomainTooSmallError:
            continue
        decided |= {content_digest(text): split for text, split in splits.items()}
        for text, split in splits.items():
            texts[split].add(text)
    assert not texts[Split.TRAIN] & texts[Split.VALIDATION]
    assert not texts[Split.TRAIN] & texts[Split.TEST]
    assert not texts[Split.VALIDATION] & texts[Split.TEST]


@given(domain_texts)
def test_a_split_domain_has_a_full_row_in_every_part(texts: list[str]) -> None:
    try:
        splits = split_texts(texts)
    except DomainTooSmallError:
        return
    assert all(tokens_of(splits, split) >= RULE.row_tokens for split in Split)


def test_a_text_of_an_earlier_domain_follows_its_split() -> None:
    shared = numbered(10)
    decided = {content_digest(text): Split.TEST for text in shared}
    splits = split_texts(numbered(100), decided=decided)
    assert {splits[text] for text in shared} == {Split.TEST}
    # What came from the earlier domain counts: 10 of 100 are the tenth already.
    assert list(splits.values()).count(Split.TEST) == 10


@pytest.mark.parametrize("huge_documents", [1, 2, 3])
def test_huge_documents_do_not_take_the_training_data_away(huge_documents: int) -> None:
    huge = [f"huge {number} " * 1000 for number in range(huge_documents)]
    for seed in range(20):
        rule = SplitRule(validation_fraction=0.1, test_fraction=0.1, row_tokens=9, seed=seed)
        splits = split_texts([*numbered(30), *huge], rule)
        train_bytes = sum(len(text) for text in splits if splits[text] == Split.TRAIN)
        assert train_bytes >= 0.25 * sum(len(text) for text in splits)


def test_three_documents_of_one_row_each_are_enough() -> None:
    assert sorted(split_texts(numbered(3, 8)).values()) == sorted(Split)


def test_two_documents_are_too_few_however_long() -> None:
    with pytest.raises(DomainTooSmallError) as caught:
        split_texts(numbered(2, 500))
    error = caught.value
    assert "domain 'd' is too small: it holds 2 distinct documents with 1002 tokens" in str(error)
    assert "at least 3 distinct documents and 9 tokens (context_length + 1)" in str(error)
    assert error.field == "domains.d.uris"
    assert "context_length" in error.hint


@pytest.mark.parametrize(
    ("texts", "part"), [(["a", "b", "c"], "test"), ([*numbered(2, 8), "a"], "train")]
)
def test_a_part_without_a_row_is_named(texts: list[str], part: str) -> None:
    with pytest.raises(DomainTooSmallError, match=f"its {part} part does not reach that"):
        split_texts(texts)


def test_the_error_says_when_shared_texts_are_the_cause() -> None:
    texts = numbered(10)
    decided = {content_digest(text): Split.TRAIN for text in texts}
    with pytest.raises(DomainTooSmallError, match="10 of its documents also stand in a target or"):
        split_texts(texts, decided=decided)
