"""Differences between entries, against scipy and arithmetic done by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from service.comparisons.significance import all_pairs, holm, paired_test

FIRST = {0: 2.0, 1: 2.3, 2: 2.1, 3: 2.6}
SECOND = {0: 2.2, 1: 2.4, 2: 2.35, 3: 2.7, 9: 8.0}


def test_it_is_students_paired_test_over_common_seeds() -> None:
    found = paired_test(FIRST, SECOND)
    assert found is not None
    expected = ttest_rel(list(FIRST.values()), [SECOND[seed] for seed in FIRST])
    assert (found.seeds, found.p) == (4, pytest.approx(expected.pvalue))
    assert found.difference == pytest.approx(-(0.2 + 0.1 + 0.25 + 0.1) / 4)
    assert found.standard_error == pytest.approx(found.difference / expected.statistic)


@pytest.mark.parametrize("second", [{}, {0: 1.0}, {5: 1.0, 6: 2.0}])
def test_fewer_than_two_common_seeds_say_nothing(second: dict[int, float]) -> None:
    assert paired_test(FIRST, second) is None
    assert all_pairs({"a": FIRST, "b": second}) == []


def test_the_same_losses_are_no_difference_and_the_same_gap_is_certain() -> None:
    same, apart = paired_test(FIRST, FIRST), paired_test({0: 1.0, 1: 2.0}, {0: 1.5, 1: 2.5})
    assert same is not None
    assert apart is not None
    assert (same.p, apart.p, apart.difference) == (1.0, 0.0, -0.5)


def test_pairs_name_the_lower_loss_first_and_are_corrected_for_their_number() -> None:
    third = {seed: loss + 1 for seed, loss in FIRST.items()}
    third[0] += 0.01
    rows = all_pairs({"b": SECOND, "c": third, "a": FIRST})
    assert {(row.first, row.second) for row in rows} == {("a", "b"), ("a", "c"), ("b", "c")}
    assert [row.p for row in rows] == sorted(row.p for row in rows)
    assert rows[0].p_holm == pytest.approx(3 * rows[0].p)
    assert all(row.difference < 0 for row in rows)


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
