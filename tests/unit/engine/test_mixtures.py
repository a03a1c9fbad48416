"""Free rules against numbers worked out by hand, and what holds for all inputs."""

import math
from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tandem_engine.contracts.units import largest_remainder
from tandem_engine.mixtures import natural, temperature, uniform, unimax

token_counts = st.lists(st.integers(1, 10**13), min_size=1, max_size=20)


def test_natural_shares_are_in_proportion() -> None:
    assert natural([30, 10, 60]) == [0.3, 0.1, 0.6]


def test_uniform_shares_are_equal() -> None:
    assert uniform(4) == [0.25] * 4


def test_a_quarter_temperature_takes_fourth_roots() -> None:
    # 16^.25 = 2, 81^.25 = 3, 1: 2/6, 3/6, 1/6.
    assert temperature([16, 81, 1], 0.25) == pytest.approx([1 / 3, 1 / 2, 1 / 6], rel=1e-12)


def test_temperature_one_is_natural_and_zero_is_uniform() -> None:
    assert temperature([5, 15], 1.0) == pytest.approx(natural([5, 15]), rel=1e-12)
    assert temperature([5, 15], 0.0) == uniform(2)


def test_unimax_caps_the_small_and_divides_the_rest_evenly() -> None:
    # Budget 300, 4 epochs. 10 tokens: min(300/3, 40) = 40. 100: min(260/2, 400) = 130. 1000: 130.
    shares = unimax([1000, 10, 100], 300, 4.0)
    assert shares == pytest.approx([130 / 300, 40 / 300, 130 / 300], rel=1e-12)


def test_unimax_is_uniform_when_nothing_is_capped() -> None:
    assert unimax([100, 200, 400], 300, 1.0) == pytest.approx([1 / 3] * 3, rel=1e-12)


def test_unimax_is_natural_when_all_are_capped() -> None:
    assert unimax([10, 30], 10_000, 4.0) == pytest.approx([0.25, 0.75], rel=1e-12)


@given(token_counts, st.floats(0, 1), st.integers(1, 10**14), st.floats(0.1, 50))
def test_every_rule_stays_on_the_simplex(
    tokens: list[int], tau: float, budget: int, epochs: float
) -> None:
    for shares in (
        natural(tokens),
        uniform(len(tokens)),
        temperature(tokens, tau),
        unimax(tokens, budget, epochs),
    ):
        assert len(shares) == len(tokens)
        assert all(share > 0 for share in shares)
        assert math.isclose(math.fsum(shares), 1.0, rel_tol=1e-12)


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 10**9), min_size=1), st.randoms())
def test_shares_follow_their_domains_through_any_order(
    tokens: dict[str, int], random: Random
) -> None:
    names = list(tokens)
    shuffled = random.sample(names, len(names))
    for rule in (natural, lambda n: temperature(n, 0.3), lambda n: unimax(n, 10**6, 4.0)):
        straight = dict(zip(names, rule(list(tokens.values())), strict=True))
        other = dict(zip(shuffled, rule([tokens[name] for name in shuffled]), strict=True))
        assert other == pytest.approx(straight, rel=1e-9)


@given(token_counts, st.integers(1, 10**14), st.floats(0.1, 50))
def test_unimax_holds_its_cap_of_epochs(tokens: list[int], budget: int, epochs: float) -> None:
    assume(budget <= epochs * sum(tokens))  # beyond, no mixture can hold it
    for share, available in zip(unimax(tokens, budget, epochs), tokens, strict=True):
        assert share * budget <= epochs * available * (1 + 1e-9)


@given(token_counts, st.integers(1, 10**14), st.floats(0.1, 50))
def test_unimax_never_gives_a_larger_domain_less(
    tokens: list[int], budget: int, epochs: float
) -> None:
    shares = unimax(sorted(tokens), budget, epochs)
    assert all(low <= high * (1 + 1e-9) for low, high in pairwise(shares))


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=9), st.floats(0.01, 1))
def test_temperature_flattens_and_keeps_the_order(tokens: list[int], tau: float) -> None:
    shares = temperature(sorted(tokens), tau)
    assert all(low <= high for low, high in pairwise(shares))
    assert max(shares) <= max(natural(tokens)) * (1 + 1e-9)


def test_largest_remainder_gives_the_rest_to_the_largest_remainders() -> None:
    # Quotas of 7: 3.5, 2.1, 1.4; floors leave one, and .5 is the largest remainder.
    assert largest_remainder([0.5, 0.3, 0.2], 7) == [4, 2, 1]
    # Quotas of 10: 4.15, 3.35, 2.5: floors leave one for .5.
    assert largest_remainder([0.415, 0.335, 0.25], 10) == [4, 3, 3]


def test_equal_remainders_go_to_the_first() -> None:
    assert largest_remainder([0.25] * 4, 6) == [2, 2, 1, 1]


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
    st.integers(0, 10**15),
)
def test_largest_remainder_sums_exactly_and_stays_within_one(
    shares: list[float], total: int
) -> None:
    assume(any(shares))
    counts = largest_remainder(shares, total)
    whole = sum(Fraction(share) for share in shares)
    assert sum(counts) == total
    for share, count in zip(shares, counts, strict=True):
        assert abs(Fraction(share) * total / whole - count) < 1
        assert share > 0 or count == 0


@pytest.mark.parametrize("tokens", [[], [1, 0], [1, -2]])
def test_a_domain_without_tokens_is_refused(tokens: list[int]) -> None:
    with pytest.raises(ValueError, match="every domain must have tokens"):
        natural(tokens)
    with pytest.raises(ValueError, match="every domain must have tokens"):
        unimax(tokens, 10, 4.0)


@pytest.mark.parametrize("tau", [1.5, -0.1, math.nan])
def test_a_temperature_outside_zero_to_one_is_refused(tau: float) -> None:
    with pytest.raises(ValueError, match="tau must be in"):
        temperature([1, 2], tau)


@pytest.mark.parametrize(("budget", "epochs"), [(0, 4.0), (10, 0.0), (10, math.nan)])
def test_unimax_needs_a_budget_and_epochs(budget: int, epochs: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        unimax([1, 2], budget, epochs)


@pytest.mark.parametrize(
    ("shares", "total"),
    [([0.0, 0.0], 3), ([-0.1, 1.1], 3), ([math.nan, 1.0], 3), ([math.inf, 1.0], 3), ([1.0], -1)],
)
def test_largest_remainder_refuses_what_cannot_be_divided(shares: list[float], total: int) -> None:
    with pytest.raises(ValueError, match=r"finite and not negative|at least one share"):
        largest_remainder(shares, total)
