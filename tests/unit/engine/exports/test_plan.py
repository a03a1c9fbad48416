"""The mixture in every unit, against what a trainer would draw."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.exports import Given, head_of, lengths_of, plan, shards_of

from tandem_engine.errors import ExportRefusedError, InvalidSpecError
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import plan_export

NOTES = Given(share=0.4, lengths=[(10, 10, 300), (20, 20, 100)])
PAPERS = Given(share=0.6, lengths=[(1000, 1000, 20), (3000, 3000, 5)])
TEXTS = {"notes": NOTES, "papers": PAPERS}

lengths = st.lists(
    st.tuples(st.integers(1, 5000), st.floats(0.05, 1), st.integers(1, 1000)),
    min_size=1,
    max_size=5,
).map(lambda rows: [(tokens, max(1, int(tokens * part)), count) for tokens, part, count in rows])
mixtures = st.lists(st.tuples(st.integers(1, 1000), lengths), min_size=2, max_size=6).map(
    lambda rows: {
        f"d{place}": Given(share / sum(s for s, _ in rows), found)
        for place, (share, found) in enumerate(rows)
    }
)


@given(mixtures)
def test_documents_drawn_by_their_share_give_the_learned_share_of_counted_tokens(
    mixture: dict[str, Given],
) -> None:
    found = plan(mixture, unit="response_tokens")
    # A document of domain d holds tokens / documents tokens that count, on average.
    drawn = [
        domain.document_share * mixture[domain.name].tokens / mixture[domain.name].documents
        for domain in found.domains
    ]
    for domain, tokens in zip(found.domains, drawn, strict=True):
        assert tokens / math.fsum(drawn) == pytest.approx(domain.share, rel=1e-9)


@given(mixtures)
def test_tokens_drawn_by_their_share_give_the_learned_share_of_counted_tokens(
    mixture: dict[str, Given],
) -> None:
    found = plan(mixture, unit="response_tokens")
    assert math.fsum(domain.token_share for domain in found.domains) == pytest.approx(1)
    counted = []
    for domain in found.domains:
        all_tokens = sum(tokens * count for tokens, _, count in mixture[domain.name].lengths)
        counted.append(domain.token_share * mixture[domain.name].tokens / all_tokens)
    for domain, tokens in zip(found.domains, counted, strict=True):
        assert tokens / math.fsum(counted) == pytest.approx(domain.share, rel=1e-9)


@given(mixtures, st.integers(1, 10**7))
def test_whole_targets_sum_to_the_whole(mixture: dict[str, Given], target: int) -> None:
    found = plan(mixture, target=target)
    assert sum(domain.target_tokens for domain in found.domains) == target
    documents = sum(domain.epochs * domain.available_documents for domain in found.domains)
    assert found.documents == max(1, round(documents))


@given(mixtures, st.integers(1, 5000))
def test_truncation_is_counted_as_the_trainer_cuts(mixture: dict[str, Given], longest: int) -> None:
    whole = {
        name: Given(one.share, [(tokens, tokens, count) for tokens, _, count in one.lengths])
        for name, one in mixture.items()
    }
    found = plan(whole, truncate_tokens=longest)
    for domain in found.domains:
        kept = [(min(t, longest), n) for t, _, n in whole[domain.name].lengths]
        assert domain.available_tokens == sum(tokens * count for tokens, count in kept)


def test_unequal_lengths_make_shares_of_documents_far_from_shares_of_tokens() -> None:
    notes, papers = plan(TEXTS).domains
    # Means are 12.5 and 1400 tokens: (0.4 / 12.5) : (0.6 / 1400).
    assert notes.document_share == pytest.approx(0.032 / (0.032 + 0.6 / 1400))
    assert (notes.token_share, papers.token_share) == pytest.approx((0.4, 0.6))
    assert (notes.epochs, papers.epochs) == pytest.approx((4000 / 5000, 6000 / 35_000))


def test_a_cut_off_response_no_longer_counts() -> None:
    # 8 tokens of prompt, then 4 of response: at 10 tokens 2 are left, at 8 none.
    chats = {"a": Given(0.5, [(12, 4, 10)]), "b": Given(0.5, [(6, 4, 10)])}
    a, b = plan(chats, unit="response_tokens", truncate_tokens=10).domains
    assert a.document_share == pytest.approx(2 * b.document_share)
    with pytest.raises(ExportRefusedError, match="nothing that bears loss is left after 8") as told:
        plan(chats, unit="response_tokens", truncate_tokens=8)
    assert told.value.field == "truncate_tokens"


def test_a_trainers_own_tokenizer_decides_where_it_was_measured() -> None:
    head, shards = head_of(TEXTS, target=10_000), shards_of(TEXTS)
    counted: dict[str, Any] = lengths_of(TEXTS)
    # A sample of 10 documents each, in which notes are twice as long.
    counted["consumer"] = {"notes": [(25, 25, 10)], "papers": [(1400, 1400, 10)]}
    notes, papers = plan_export(head, counted, shards, ExportOptions()).domains
    assert notes.available_documents == 400
    assert notes.available_tokens == 10_000
    ratio = notes.document_share / papers.document_share
    assert ratio == pytest.approx((0.4 / 25) / (0.6 / 1400))
    by_job = plan_export(head, counted, shards, ExportOptions(counted_by="job"))
    assert by_job == plan(TEXTS)


def test_lengths_that_are_not_there_are_asked_for_by_name() -> None:
    head, shards = head_of(TEXTS, target=10_000), shards_of(TEXTS)
    with pytest.raises(InvalidSpecError, match="no lengths by the trainer's tokenizer"):
        plan_export(head, lengths_of(TEXTS), shards, ExportOptions(counted_by="consumer"))
    with pytest.raises(InvalidSpecError, match="no lengths of the documents"):
        plan_export(head, {}, shards, ExportOptions(truncate_tokens=5))
    # Without truncation the sums of the head are enough.
    assert plan_export(head, {}, shards, ExportOptions()).domains == plan(TEXTS).domains


def test_more_passes_than_the_cap_are_refused_before_anything_is_written() -> None:
    capped = TEXTS | {"notes": Given(0.4, NOTES.lengths, maximum_epochs=2)}
    assert plan(capped, target=25_000).warnings == ()  # 2 passes of 5000 tokens
    with pytest.raises(ExportRefusedError, match=r"'notes' needs 2\.4 passes, above its cap 2"):
        plan(capped, target=30_000)
    (flagged,) = plan(capped, target=30_000, above_cap="flag").warnings
    assert "2.4 passes" in flagged
    with pytest.raises(ExportRefusedError, match=r"its cap 0\.5"):
        plan(TEXTS, max_epochs=0.5)


def test_much_repetition_without_a_cap_is_said() -> None:
    (warning,) = plan(TEXTS, target=100_000).warnings
    assert "'notes' is read 8 times" in warning


def test_a_domain_with_share_zero_is_dropped_and_named() -> None:
    found = plan({"a": Given(0.5, [(5, 5, 9)]), "b": Given(0.5, [(5, 5, 9)]), "c": Given(0, [])})
    assert [domain.name for domain in found.domains] == ["a", "b"]
    assert found.dropped == ("c",)
