"""Rows of conversations: what is cut, what is padded, what bears loss."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tandem_engine.data.examples import ExampleSplit, fitted, loss_tokens, plain_ids


def coded(*ids: int) -> np.ndarray:
    return np.array(ids, dtype=np.int32)


READ = -1 - 7  # the id 7, read but not learned


def test_a_short_conversation_is_kept_as_it_is() -> None:
    ids = coded(READ, READ, 3, 4)
    assert fitted(ids, 4) is ids


def test_the_front_of_the_prompt_goes_before_anything_of_the_response() -> None:
    kept = fitted(coded(-1, -2, -3, 4, 5), 3)
    assert kept.tolist() == [-3, 4, 5]


def test_a_response_that_is_too_long_loses_its_end_and_keeps_a_token_to_start_from() -> None:
    kept = fitted(coded(-1, -2, 3, 4, 5), 3)
    assert kept.tolist() == [-2, 3, 4]


@pytest.mark.parametrize("ids", [(-1, -2), (5,), (5, -1)])
def test_without_a_token_to_predict_there_is_nothing_to_keep(ids: tuple[int, ...]) -> None:
    # A row's first token is never predicted, so it alone bears no loss.
    with pytest.raises(ValueError, match="no token of a response"):
        fitted(coded(*ids), 4)


@given(st.lists(st.integers(-300, 300), min_size=1, max_size=40), st.integers(2, 12))
def test_a_row_fits_and_its_first_response_is_kept(ids: list[int], row_tokens: int) -> None:
    assume(any(value >= 0 for value in ids[1:]))
    kept = fitted(coded(*ids), row_tokens)
    assert len(kept) <= row_tokens
    assert loss_tokens(kept) >= 1
    text = ",".join(map(str, ids)) + ","
    assert ",".join(map(str, kept.tolist())) + "," in text


def split() -> ExampleSplit:
    tokens = coded(READ, 1, 2, READ, READ, 3)
    return ExampleSplit(tokens, np.array([3, 6]), context_length=4, padding=9)


def test_rows_are_padded_on_the_right_by_tokens_without_loss() -> None:
    rows = split().rows(np.array([1, 0]))
    assert rows.tolist() == [[READ, READ, 3, -10, -10], [READ, 1, 2, -10, -10]]
    assert plain_ids(rows)[0].tolist() == [7, 7, 3, 9, 9]


def test_a_row_weighs_its_loss_bearing_tokens() -> None:
    assert split().weights(np.array([0, 1])).tolist() == [2.0, 1.0]
    assert split().mean_weight == 1.5


@pytest.mark.parametrize("index", [-1, 2])
def test_a_row_beyond_the_split_is_refused(index: int) -> None:
    with pytest.raises(IndexError):
        split().rows(np.array([index]))
