"""DoReMi's step against arithmetic done by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tandem_engine.methods.doremi import excess, update

PROXY = torch.tensor([[2.0, 3.0], [1.0, 1.0], [4.0, 2.0]])
REFERENCE = torch.tensor([[1.0, 4.0], [1.5, 0.5], [1.0, 0.0]])
DOMAIN = torch.tensor([0, 0, 1])
KEPT = torch.tensor([7.0, 7.0, 7.0], dtype=torch.float64)


def excess_of(clip: str, borne: torch.Tensor) -> list[float]:
    found: list[float] = excess(PROXY, REFERENCE, borne, DOMAIN, KEPT, clip=clip).tolist()
    return found


def test_the_original_clips_every_token_before_the_mean() -> None:
    # Domain 0: differences 1, -1, -0.5, 0.5 clip to 1, 0, 0, 0.5; domain 1: 3 and 2.
    found = excess_of("token", torch.ones(3, 2, dtype=torch.bool))
    assert found == pytest.approx([1.5 / 4, 2.5, 7.0])


def test_the_domain_form_clips_the_mean() -> None:
    # Domain 0: (1 - 1 - 0.5 + 0.5) / 4 = 0.
    found = excess_of("domain", torch.ones(3, 2, dtype=torch.bool))
    assert found == pytest.approx([0.0, 2.5, 7.0])


def test_tokens_that_bear_no_loss_do_not_count() -> None:
    borne = torch.tensor([[True, False], [False, True], [True, True]])
    assert excess_of("token", borne) == pytest.approx([(1.0 + 0.5) / 2, 2.5, 7.0])


def test_one_update_by_hand() -> None:
    alpha = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    scores = torch.tensor([0.1, 0.0, 0.4], dtype=torch.float64)
    raised = [0.5 * math.exp(0.2), 0.3, 0.2 * math.exp(0.8)]
    expected = [0.99 * value / sum(raised) + 0.01 / 3 for value in raised]
    found = update(alpha, scores, eta=2.0, smoothing=0.01)
    assert found.tolist() == pytest.approx(expected, abs=1e-15)


@given(
    st.lists(st.floats(0.0, 50.0), min_size=2, max_size=8),
    st.floats(1e-3, 10.0),
    st.floats(0.0, 0.5),
)
def test_shares_stay_on_the_simplex_and_above_the_smoothing(
    scores: list[float], eta: float, smoothing: float
) -> None:
    count = len(scores)
    alpha = torch.full((count,), 1 / count, dtype=torch.float64)
    found = update(alpha, torch.tensor(scores).double(), eta=eta, smoothing=smoothing)
    assert float(found.sum()) == pytest.approx(1.0)
    assert float(found.min()) >= smoothing / count * (1 - 1e-12)
