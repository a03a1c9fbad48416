"""Skill-It's graph and mixture against arithmetic done by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tandem_engine.methods.skill_it import mixture, relative_drops


def test_the_graph_holds_relative_drops() -> None:
    start = torch.tensor([4.0, 2.0], dtype=torch.float64)
    end = torch.tensor([[3.0, 2.0], [4.4, 1.0]], dtype=torch.float64)
    assert relative_drops(start, end).tolist() == [
        pytest.approx([0.25, 0.0]),
        pytest.approx([-0.1, 0.5]),
    ]


def test_one_mixture_by_hand() -> None:
    graph = torch.tensor([[0.25, 0.0], [-0.1, 0.5]], dtype=torch.float64)
    losses = torch.tensor([9.0, 5.0], dtype=torch.float64)  # of three evaluations together
    raised = [math.exp(0.2 * 0.25 * 9.0), math.exp(0.2 * (-0.1 * 9.0 + 0.5 * 5.0))]
    expected = [value / sum(raised) for value in raised]
    assert mixture(graph, losses, eta=0.2).tolist() == pytest.approx(expected, abs=1e-15)


def test_a_domain_that_teaches_more_gets_more() -> None:
    graph = torch.tensor([[0.5, 0.5], [0.1, 0.1], [0.0, 0.0]], dtype=torch.float64)
    shares = mixture(graph, torch.ones(2, dtype=torch.float64), eta=1.0).tolist()
    assert shares == sorted(shares, reverse=True)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8), st.floats(0.01, 5.0))
def test_shares_stay_on_the_simplex(row: list[float], eta: float) -> None:
    graph = torch.tensor([[value] for value in row], dtype=torch.float64)
    shares = mixture(graph, torch.tensor([3.0], dtype=torch.float64), eta=eta)
    assert float(shares.sum()) == pytest.approx(1.0)
    assert float(shares.min()) >= 0.0
