"""Aioli's responses and update against arithmetic done by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tandem_engine.methods.aioli import near_one_hot, responses, update


def test_visits_give_the_rest_even_parts() -> None:
    assert near_one_hot(3, 0.8).tolist() == [
        pytest.approx([0.8, 0.1, 0.1]),
        pytest.approx([0.1, 0.8, 0.1]),
        pytest.approx([0.1, 0.1, 0.8]),
    ]


def test_responses_undo_the_mixing_of_visits() -> None:
    # Training on pure domain 0 lowers loss 0 by 3 and loss 1 by 1; on pure domain 1, by 1 and 2.
    pure = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    seen = near_one_hot(2, 0.75) @ pure
    assert seen.tolist() == [pytest.approx([2.5, 1.25]), pytest.approx([1.5, 1.75])]
    assert responses(seen, 0.75).tolist() == [
        pytest.approx([3 / 7, 1 / 7]),
        pytest.approx([1 / 7, 2 / 7]),
    ]


def test_losses_that_rise_are_shifted_to_zero() -> None:
    pure = torch.tensor([[3.0, -1.0], [0.0, 2.0]], dtype=torch.float64)
    found = responses(near_one_hot(2, 0.75) @ pure, 0.75)
    assert found.tolist() == [pytest.approx([0.5, 0.0]), pytest.approx([0.125, 0.375])]


def test_one_update_by_hand() -> None:
    alpha = torch.tensor([0.5, 0.5], dtype=torch.float64)
    response = torch.tensor([[0.5, 0.0], [0.125, 0.375]], dtype=torch.float64)
    weight = torch.tensor([1.5, 0.5], dtype=torch.float64)
    raised = [0.5 * math.exp(2 * 0.75), 0.5 * math.exp(2 * (0.125 * 1.5 + 0.375 * 0.5))]
    found = update(alpha, response, weight, eta=2.0)
    assert found.tolist() == pytest.approx([value / sum(raised) for value in raised], abs=1e-15)


def test_no_response_moves_nothing() -> None:
    even = responses(torch.zeros(3, 3, dtype=torch.float64), 0.75)
    alpha = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    moved = update(alpha, even, torch.ones(3, dtype=torch.float64), eta=1.0)
    assert moved.tolist() == pytest.approx(alpha.tolist())


@given(st.lists(st.floats(-5, 5), min_size=9, max_size=9))
def test_a_round_moves_a_share_by_a_factor_of_e_at_most(drops: list[float]) -> None:
    response = responses(torch.tensor(drops, dtype=torch.float64).reshape(3, 3), 0.75)
    assert float(response.min()) >= 0.0
    assert float(response.sum()) == pytest.approx(1.0)
    alpha = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    moved = update(alpha, response, torch.ones(3, dtype=torch.float64), eta=1.0)
    assert float(moved.sum()) == pytest.approx(1.0)
    assert float((moved / alpha).max()) <= math.e * (1 + 1e-9)
