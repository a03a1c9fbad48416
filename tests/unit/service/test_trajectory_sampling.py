"""Which points a picture keeps."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.jobs.trajectory_sampling import choose, movements

MOVES = st.lists(st.floats(0, 2), min_size=0, max_size=200).map(np.array)


@given(moves=MOVES, count=st.integers(2, 60))
def test_there_are_never_more_points_than_asked_for(moves: np.ndarray, count: int) -> None:
    chosen = choose(moves, count)
    assert len(chosen) <= count
    assert chosen == sorted(set(chosen))
    assert chosen == choose(moves.copy(), count)
    if len(moves) <= count:
        assert chosen == list(range(len(moves)))
    else:
        assert (chosen[0], chosen[-1]) == (0, len(moves) - 1)


@given(moves=MOVES.filter(lambda moves: len(moves) > 1), count=st.integers(4, 60))
def test_the_largest_move_is_kept_with_the_point_before_it(moves: np.ndarray, count: int) -> None:
    chosen = choose(moves, count)
    peak = 1 + int(np.argmax(moves[1:]))
    assert moves[peak] == max(moves[index] for index in chosen if index)
    if len(moves) > count:
        largest = [index for index in chosen if index and moves[index] == moves[peak]]
        assert any(index - 1 in chosen for index in largest)


def test_a_spike_of_one_point_stays_a_spike() -> None:
    heights = np.full(1000, 0.5)
    heights[617] = 0.9
    _, moves = movements([[(place, [h, 1 - h]) for place, h in enumerate(heights)]])
    assert 617 in choose(moves, 12)


def test_moves_do_not_depend_on_how_points_are_read() -> None:
    rows = [(10 * place, [0.1 * (place % 3), 1 - 0.1 * (place % 3)]) for place in range(10)]
    places, whole = movements([rows])
    again, pieces = movements([rows[:1], rows[1:4], rows[4:]])
    assert list(places) == list(again) == [10 * place for place in range(10)]
    assert list(whole) == list(pieces)
    assert whole[0] == 0
    np.testing.assert_allclose(whole[1:4], [0.2, 0.2, 0.4])


def test_no_points_are_no_points() -> None:
    places, moves = movements([])
    assert (len(places), choose(moves, 5)) == (0, [])
