"""ScaleBiO's gradient against arithmetic done by hand and against autograd."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tandem_engine.methods.scalebio import logit_gradient


def test_the_gradient_on_logits_by_hand() -> None:
    alpha = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    delta = torch.tensor([0.4, -0.2, 0.1], dtype=torch.float64)
    mean = 0.5 * 0.4 - 0.3 * 0.2 + 0.2 * 0.1
    expected = [10 * 0.5 * (0.4 - mean), 10 * 0.3 * (-0.2 - mean), 10 * 0.2 * (0.1 - mean)]
    assert logit_gradient(alpha, delta, penalty=10.0).tolist() == pytest.approx(expected)


@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(-1, 1)), min_size=2, max_size=8))
def test_it_is_the_derivative_of_the_weighted_losses(pairs: list[tuple[float, float]]) -> None:
    logits = torch.tensor([p[0] for p in pairs], dtype=torch.float64, requires_grad=True)
    delta = torch.tensor([p[1] for p in pairs], dtype=torch.float64)
    alpha = torch.softmax(logits, dim=0)
    (expected,) = torch.autograd.grad(2.0 * (alpha @ delta), logits)
    found = logit_gradient(alpha.detach(), delta, penalty=2.0)
    torch.testing.assert_close(found, expected)
    assert float(found.sum()) == pytest.approx(0.0, abs=1e-12)
