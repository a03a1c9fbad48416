"""The published permutation: test vectors, and what makes it usable as a selector."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem_engine.manifests import permutation
from tandem_engine.manifests.permutation import MAX_SIZE, permute, permute_reference

VECTORS = [
    (0, "manuals", 10, [7, 5, 3, 8, 1, 0, 9, 2, 6, 4]),
    (1, "manuals", 10, [2, 7, 3, 0, 1, 5, 6, 4, 8, 9]),
    (0, "code", 1, [0]),
    (7, "web", 10**10, [1094120997, 8844981919, 1166249635, 8475601559, 6335407477, 7886157736]),
]
seeds = st.integers(0, 2**63 - 1)


@pytest.mark.parametrize(("seed", "domain", "size", "places"), VECTORS)
def test_the_published_vectors_hold_for_both_implementations(
    seed: int, domain: str, size: int, places: list[int]
) -> None:
    indices = np.arange(len(places))
    assert permute(indices, size, seed=seed, domain=domain).tolist() == places
    assert [
        permute_reference(index, size, seed=seed, domain=domain) for index in range(len(places))
    ] == places


def test_the_documentation_publishes_exactly_these_vectors() -> None:
    published = re.findall(
        r'^- (\d+), "(\w+)", (\d+): ([\d ]+)$', permutation.__doc__ or "", re.MULTILINE
    )
    assert [
        (int(seed), domain, int(size), [int(place) for place in places.split()])
        for seed, domain, size, places in published
    ] == VECTORS


@given(st.integers(1, 3000), seeds, st.text(st.characters(codec="utf-8"), max_size=10))
def test_it_is_a_permutation_of_every_size(size: int, seed: int, domain: str) -> None:
    places = permute(np.arange(size), size, seed=seed, domain=domain)
    assert np.array_equal(np.sort(places), np.arange(size))


@given(st.integers(1, MAX_SIZE), seeds, st.data())
def test_both_implementations_agree_at_every_size(
    size: int, seed: int, data: st.DataObject
) -> None:
    indices = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=5))
    places = permute(np.array(indices), size, seed=seed, domain="d")
    assert places.tolist() == [
        permute_reference(index, size, seed=seed, domain="d") for index in indices
    ]


@given(st.integers(1, 500), seeds, st.data())
def test_taking_more_only_adds(size: int, seed: int, data: st.DataObject) -> None:
    fewer, more = sorted(data.draw(st.tuples(*[st.integers(0, size)] * 2)))
    places = permute(np.arange(size), size, seed=seed, domain="d")
    few, many = np.flatnonzero(places < fewer), np.flatnonzero(places < more)
    assert (len(few), len(many)) == (fewer, more)
    assert set(few.tolist()) <= set(many.tolist())


@given(st.permutations(range(50)))
def test_a_place_does_not_depend_on_what_else_is_asked(order: list[int]) -> None:
    straight = permute(np.arange(50), 50, seed=3, domain="d")
    assert permute(np.array(order), 50, seed=3, domain="d").tolist() == straight[order].tolist()


def test_the_shape_of_the_question_is_kept() -> None:
    assert permute(np.zeros((2, 0), dtype=np.int64), 5, seed=0, domain="d").shape == (2, 0)
    assert permute(np.array([[1, 2], [3, 4]]), 5, seed=0, domain="d").shape == (2, 2)


def test_seeds_and_domains_give_different_permutations() -> None:
    orders = {
        tuple(permute(np.arange(30), 30, seed=seed, domain=domain).tolist())
        for seed in range(10)
        for domain in ("a", "b", "ab")
    }
    assert len(orders) == 30


@settings(max_examples=5)
@given(seeds)
def test_a_selected_half_is_spread_evenly(seed: int) -> None:
    # Hypergeometric: 5000 of 10000 drawn, per tenth 500 with a deviation of 15; 6 of them is 90.
    places = permute(np.arange(10_000), 10_000, seed=seed, domain="d")
    per_tenth = (places < 5000).reshape(10, 1000).sum(axis=1)
    assert np.abs(per_tenth - 500).max() < 90


@pytest.mark.parametrize(
    ("index", "size", "seed"),
    [(0, 0, 0), (5, 5, 0), (-1, 5, 0), (0, 5, -1), (0, 5, 2**64), (0, MAX_SIZE + 1, 0)],
)
def test_what_lies_outside_is_refused(index: int, size: int, seed: int) -> None:
    with pytest.raises(ValueError, match="must be in"):
        permute(np.array([index]), size, seed=seed, domain="d")
    with pytest.raises(ValueError, match="must be in"):
        permute_reference(index, size, seed=seed, domain="d")
