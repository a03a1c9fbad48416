"""Rows of a packed split."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem_engine.data.packing import PackedSplit


def packed(tokens: int, context_length: int) -> PackedSplit:
    return PackedSplit(np.arange(tokens, dtype=np.uint16), context_length)


def test_rows_share_one_token_with_their_neighbour() -> None:
    split = packed(10, 3)
    assert len(split) == 3
    assert split.rows(np.array([0, 2, 1])).tolist() == [[0, 1, 2, 3], [6, 7, 8, 9], [3, 4, 5, 6]]


def test_a_tail_that_fills_no_row_is_unused() -> None:
    assert [len(packed(tokens, 4)) for tokens in (0, 1, 4, 5, 8, 9)] == [0, 0, 0, 1, 1, 2]


@given(st.integers(2, 200), st.integers(1, 20))
def test_every_token_after_the_first_is_predicted_once(tokens: int, context_length: int) -> None:
    split = packed(tokens, context_length)
    predicted = split.rows(np.arange(len(split)))[:, 1:].ravel()
    assert predicted.tolist() == list(range(1, len(split) * context_length + 1))


def test_rows_are_64_bit_and_a_copy() -> None:
    split = packed(10, 3)
    rows = split.rows(np.array([0]))
    rows[:] = 99
    assert rows.dtype == np.int64
    assert split.rows(np.array([0])).tolist() == [[0, 1, 2, 3]]


def test_no_indices_give_no_rows() -> None:
    assert packed(10, 3).rows(np.array([], dtype=np.int64)).shape == (0, 4)


@pytest.mark.parametrize("index", [-1, 3])
def test_an_index_outside_is_refused_and_not_wrapped(index: int) -> None:
    with pytest.raises(IndexError, match=r"must be in \[0, 3\)"):
        packed(10, 3).rows(np.array([0, index]))
