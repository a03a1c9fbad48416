"""The mixing law's fit and minimum, against laws that are known."""

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from tandem_engine.methods.mixing_laws import Law, fit, minimise

KNOWN = Law(
    log_c_J=torch.tensor([2.0, 1.5], dtype=torch.float64).log(),
    log_k_J=torch.tensor([0.8, 1.2], dtype=torch.float64).log(),
    slope_JM=torch.tensor([[-2.0, 0.3, 0.1], [0.2, -1.5, -0.1]], dtype=torch.float64),
)


def mixtures(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    raw = torch.rand(count, 3, generator=generator, dtype=torch.float64) ** 2
    return raw / raw.sum(dim=1, keepdim=True)


def test_a_law_by_hand() -> None:
    share = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64)
    expected = [
        2.0 + 0.8 * math.exp(-1.0 + 0.09 + 0.02),
        1.5 + 1.2 * math.exp(0.1 - 0.45 - 0.02),
    ]
    assert KNOWN(share)[0].tolist() == pytest.approx(expected)


def test_the_fit_predicts_unseen_mixtures_of_a_known_law() -> None:
    tried, unseen = mixtures(24, 0), mixtures(50, 1)
    found = fit(tried, KNOWN(tried), huber_delta=0.05, starts=8, seed=0)
    torch.testing.assert_close(found(unseen), KNOWN(unseen), atol=2e-3, rtol=0)


def test_the_minimum_is_that_of_an_independent_solver() -> None:
    weight = torch.tensor([0.5, 0.5], dtype=torch.float64)
    start = torch.full((3,), 1 / 3, dtype=torch.float64)
    found = minimise(KNOWN, weight, start)

    def value(shares: Sequence[float]) -> float:
        return float(KNOWN(torch.tensor(list(shares), dtype=torch.float64)[None])[0] @ weight)

    expected = minimize(
        value,
        start.tolist(),
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda shares: sum(shares) - 1},
        tol=1e-12,
    )
    assert value(found.tolist()) <= expected.fun + 1e-7
    assert found.tolist() == pytest.approx(expected.x, abs=1e-3)


@settings(max_examples=20)
@given(st.lists(st.floats(-8, 8), min_size=6, max_size=6), st.floats(0.05, 0.95))
def test_the_minimum_is_a_mixture_and_no_worse_than_the_start(
    slopes: list[float], weight: float
) -> None:
    law = Law(KNOWN.log_c_J, KNOWN.log_k_J, torch.tensor(slopes).double().reshape(2, 3))
    weights = torch.tensor([weight, 1 - weight], dtype=torch.float64)
    start = torch.full((3,), 1 / 3, dtype=torch.float64)
    found = minimise(law, weights, start)
    assert float(found.sum()) == pytest.approx(1.0)
    assert float(found.min()) >= -1e-12
    assert float(law(found[None])[0] @ weights) <= float(law(start[None])[0] @ weights) + 1e-12
