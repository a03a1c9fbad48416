"""Differences between entries, against scipy and arithmetic done by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t, ttest_rel

from service.comparisons.significance import all_pairs, holm

FIRST = {0: 2.0, 1: 2.3, 2: 2.1, 3: 2.6}
SECOND = {0: 2.2, 1: 2.4, 2: 2.35, 3: 2.7}


def test_two_complete_entries_are_a_paired_t_test() -> None:
    (row,) = all_pairs({"a": SECOND, "b": FIRST})
    expected = ttest_rel(list(FIRST.values()), list(SECOND.values()))
    assert (row.first, row.second, row.seeds) == ("b", "a", 4)
    assert row.difference == pytest.approx(-(0.2 + 0.1 + 0.25 + 0.1) / 4)
    assert row.p == pytest.approx(expected.pvalue)
    assert row.p_holm == row.p


def test_the_noise_is_pooled_over_entries() -> None:
    # Residuals of entry and seed: two-way means, by hand over a table of three by two.
    losses = {"a": {0: 1.0, 1: 1.2}, "b": {0: 2.0, 1: 2.4}, "c": {0: 3.0, 1: 3.0}}
    rows = [list(by_seed.values()) for by_seed in losses.values()]
    grand = sum(map(sum, rows)) / 6
    by_seed = [sum(row[j] for row in rows) / 3 for j in range(2)]
    squares = sum(
        (value - sum(row) / 2 - by_seed[j] + grand) ** 2
        for row in rows
        for j, value in enumerate(row)
    )
    error = math.sqrt(squares / 2 * 2 / 2)
    found = {(row.first, row.second): row for row in all_pairs(losses)}
    assert found["a", "b"].standard_error == pytest.approx(error)
    assert found["a", "b"].p == pytest.approx(2 * t.sf(1.1 / error, 2))


def test_missing_cells_are_made_up_for_by_the_effect_of_seeds() -> None:
    # Seed 1 adds exactly 1 to every entry; c has only seed 1.
    losses = {"a": {0: 1.0, 1: 2.0}, "b": {0: 3.0, 1: 4.0}, "c": {1: 2.5}}
    found = {(row.first, row.second): row for row in all_pairs(losses)}
    assert found["a", "c"].difference == pytest.approx(-0.5)
    assert found["c", "b"].difference == pytest.approx(-1.5)
    assert found["a", "c"].seeds == 1


def test_entries_that_nothing_connects_are_not_compared() -> None:
    losses = {"a": {0: 1.0, 1: 2.0}, "b": {0: 3.0, 1: 4.1}, "c": {2: 2.5}}
    assert {(row.first, row.second) for row in all_pairs(losses)} == {("a", "b")}


@pytest.mark.parametrize("losses", [{}, {"a": FIRST}, {"a": {0: 1.0}, "b": {0: 2.0}}])
def test_without_noise_to_judge_by_nothing_is_said(losses: dict[str, dict[int, float]]) -> None:
    assert all_pairs(losses) == []


def test_holm_against_a_worked_example() -> None:
    # 0.01 x 4, 0.02 x 3, 0.03 x 2 -> not below the one before, 0.04 x 1 likewise.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])


@given(st.lists(st.floats(0, 1), max_size=20))
def test_a_corrected_p_is_no_smaller_and_keeps_the_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    ordered = [corrected[place] for place in order]
    assert ordered == sorted(ordered)
