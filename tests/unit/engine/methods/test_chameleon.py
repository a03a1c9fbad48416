"""Chameleon's scores against arithmetic done by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tandem_engine.methods.chameleon import leverage, mixture


def test_domains_at_right_angles_all_have_the_same_score() -> None:
    # Omega = I: S = 1 / (1 + M lambda).
    scores = leverage(torch.diag(torch.tensor([2.0, 0.5, 7.0])).double(), ridge=10.0)
    assert scores.tolist() == pytest.approx([1 / 31] * 3)


def test_two_domains_alike_share_one_direction() -> None:
    # Omega = [[1, 1, 0], [1, 1, 0], [0, 0, 1]]: eigenvalue 2 over the pair, so each has
    # (2 / (2 + 3 lambda)) / 2; the third has 1 / (1 + 3 lambda), which is more.
    embedding = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    scores = leverage(embedding, ridge=1.0)
    assert scores.tolist() == pytest.approx([1 / 5, 1 / 5, 1 / 4])


def test_pretraining_favours_what_others_cover_and_tuning_what_they_do_not() -> None:
    scores = torch.tensor([1 / 5, 1 / 5, 1 / 4], dtype=torch.float64)
    general = [math.exp(5 / 2), math.exp(5 / 2), math.exp(4 / 2)]
    found = mixture(scores, 2.0, general=True).tolist()
    assert found == pytest.approx([value / sum(general) for value in general])
    own = [math.exp(0.4), math.exp(0.4), math.exp(0.5)]
    found = mixture(scores, 0.5, general=False).tolist()
    assert found == pytest.approx([value / sum(own) for value in own])


@given(st.lists(st.floats(-2, 2), min_size=12, max_size=12), st.floats(0.1, 20))
def test_shares_stay_on_the_simplex(values: list[float], ridge: float) -> None:
    embedding = torch.tensor(values, dtype=torch.float64).reshape(4, 3) + torch.eye(4, 3).double()
    scores = leverage(embedding + 1e-3, ridge)
    shares = mixture(scores, 5.0, general=True)
    assert float(shares.sum()) == pytest.approx(1.0)
    assert float(scores.max()) < 1.0
