"""Means and intervals over seeds, by hand and against the distribution."""

import math

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from tandem_engine.intervals import T_975, interval_over_seeds, mean_over_seeds


def test_the_table_is_that_of_students_t() -> None:
    assert len(T_975) == 31
    for freedom, quantile in enumerate(T_975, start=1):
        assert quantile == pytest.approx(scipy.stats.t.ppf(0.975, freedom), abs=1e-6)


def test_three_seeds_by_hand() -> None:
    seeds = [[0.2, 0.8], [0.3, 0.7], [0.4, 0.6]]
    # Mean .3, standard deviation .1, two degrees of freedom: .3 +- 4.302653 * .1 / sqrt 3.
    half = 4.302653 * 0.1 / math.sqrt(3)
    assert mean_over_seeds(seeds) == pytest.approx([0.3, 0.7])
    low, high = interval_over_seeds(seeds) or []
    assert low == pytest.approx((0.3 - half, 0.3 + half))
    assert high == pytest.approx((0.7 - half, 0.7 + half))


def test_an_interval_ends_where_shares_do() -> None:
    # Mean .05, standard deviation .1 / sqrt 2: the half width is 12.706205 * .05.
    low, high = interval_over_seeds([[0.0, 1.0], [0.1, 0.9]]) or []
    assert low == (0.0, pytest.approx(0.05 + 12.706205 * 0.05))
    assert high == (pytest.approx(0.95 - 12.706205 * 0.05), 1.0)


def test_one_seed_has_a_mean_that_is_its_own_and_no_interval() -> None:
    assert mean_over_seeds([[0.1, 0.9]]) == [0.1, 0.9]
    assert interval_over_seeds([[0.1, 0.9]]) is None


@given(st.lists(st.floats(0, 1), min_size=2, max_size=32))
def test_every_number_of_seeds_has_an_interval_around_its_mean(shares: list[float]) -> None:
    rows = [[share, 1 - share] for share in shares]
    for mean, (low, high) in zip(
        mean_over_seeds(rows), interval_over_seeds(rows) or [], strict=True
    ):
        assert 0 <= low <= mean + 1e-12
        assert mean - 1e-12 <= high <= 1
