"""The projection onto the bounded simplex against its definition and a numeric reference."""

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tandem_engine import polytope, simplex

Case = tuple[Tensor, Tensor, Tensor]


@st.composite
def cases(draw: st.DrawFn, *, most: int = 8, far: float = 50.0) -> Case:
    """Return a point and feasible bounds around a mixture; some bounds meet, some touch it."""
    count = draw(st.integers(1, most))
    weights = draw(st.lists(st.integers(0, 20), min_size=count, max_size=count))
    inside = np.array(weights, dtype=float) if sum(weights) else np.ones(count)
    inside /= inside.sum()
    rooms = st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0]), min_size=count, max_size=count)
    lower, upper = inside * draw(rooms), inside + (1 - inside) * draw(rooms)
    point = draw(st.lists(st.floats(-far, far), min_size=count, max_size=count))
    return torch.tensor(point, dtype=torch.float64), torch.tensor(lower), torch.tensor(upper)


@given(cases(far=1e17))
def test_a_projection_lies_within_the_bounds_and_sums_to_one(case: Case) -> None:
    point, lower, upper = case
    projected = polytope.project(point, lower, upper)
    assert bool((projected >= lower).all())
    assert bool((projected <= upper).all())
    assert float(projected.sum()) == pytest.approx(1.0, abs=1e-12)


@given(cases())
def test_projecting_twice_changes_nothing(case: Case) -> None:
    once = polytope.project(*case)
    twice = polytope.project(once, *case[1:])
    torch.testing.assert_close(twice, once, atol=1e-12, rtol=0)


@given(cases())
def test_no_point_within_the_bounds_is_nearer(case: Case) -> None:
    # (v - p) . (q - p) <= 0 for every feasible q characterises p. The q that maximises the linear
    # form fills the entries greedily from the lower bounds, the most wanted first.
    point, lower, upper = case
    p = polytope.project(point, lower, upper)
    direction = point - p
    q, left = lower.clone(), 1.0 - float(lower.sum())
    for place in torch.argsort(direction, descending=True).tolist():
        added = min(max(left, 0.0), float(upper[place] - lower[place]))
        q[place] += added
        left -= added
    assert float(torch.dot(direction, q - p)) <= 1e-9


@given(cases(most=5, far=3.0))
@settings(max_examples=50)
def test_it_equals_a_numeric_projection(case: Case) -> None:
    point, lower, upper = (x.numpy() for x in case)
    reference = scipy.optimize.minimize(
        lambda a: ((a - point) ** 2).sum(),
        np.clip(point, lower, upper),
        jac=lambda a: 2 * (a - point),
        bounds=list(zip(lower, upper, strict=True)),
        constraints={"type": "eq", "fun": lambda a: a.sum() - 1, "jac": np.ones_like},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    projected = polytope.project(*case).numpy()
    assert np.abs(projected - reference.x).max() < 1e-6


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=12))
def test_bounds_of_zero_and_one_give_the_projection_onto_the_simplex(values: list[float]) -> None:
    point = torch.tensor(values, dtype=torch.float64)
    projected = polytope.project(point, torch.zeros_like(point), torch.ones_like(point))
    torch.testing.assert_close(projected, simplex.project(point), atol=1e-12, rtol=0)


def test_it_is_not_projecting_and_then_clipping() -> None:
    # By hand: the first is capped at .5; .5 is left for the others, which keep their distance.
    point, zeros = torch.tensor([1.0, 0.3, 0.1], dtype=torch.float64), torch.zeros(3)
    projected = polytope.project(point, zeros, torch.tensor([0.5, 1.0, 1.0]))
    torch.testing.assert_close(projected, torch.tensor([0.5, 0.35, 0.15], dtype=torch.float64))


@pytest.mark.parametrize("far", [1e3, 1e9, 1e17])
def test_a_far_entry_costs_the_others_no_digits(far: float) -> None:
    point = torch.tensor([far, 0.3, 0.1], dtype=torch.float64)
    projected = polytope.project(point, torch.zeros(3), torch.tensor([0.5, 1.0, 1.0]))
    torch.testing.assert_close(
        projected, torch.tensor([0.5, 0.35, 0.15], dtype=torch.float64), atol=1e-15, rtol=0
    )


@pytest.mark.parametrize(
    ("lower", "upper", "words"),
    [
        ([0.6, 0.6], [1.0, 1.0], "lower bounds sum to 1.2, above 1"),
        ([0.0, 0.0], [0.4, 0.5], "upper bounds sum to 0.9, below 1"),
        ([0.0, 0.5], [1.0, 0.25], "lower bound 0.5 of entry 1 .* upper bound 0.25"),
        ([0.0, float("nan")], [1.0, 1.0], "lower bound nan of entry 1"),
        ([0.0], [1.0, 1.0], "shape"),
    ],
)
def test_bounds_that_leave_no_mixture_are_refused_by_name(
    lower: list[float], upper: list[float], words: str
) -> None:
    bounds = (torch.tensor(x, dtype=torch.float64) for x in (lower, upper))
    with pytest.raises(ValueError, match=words):
        polytope.project(torch.zeros(2), *bounds)


@pytest.mark.parametrize("point", [[float("nan"), 0.0], [0.1, 0.2, 0.3]])
def test_a_point_that_does_not_fit_is_refused(point: list[float]) -> None:
    with pytest.raises(ValueError, match="finite point of shape"):
        polytope.project(torch.tensor(point), torch.zeros(2), torch.ones(2))


@pytest.mark.parametrize("error", [-1e-12, 1e-12])
def test_bounds_that_miss_one_by_rounding_are_the_mixture(error: float) -> None:
    shares = torch.tensor([0.3, 0.7 + error], dtype=torch.float64)
    point = torch.tensor([5.0, -5.0], dtype=torch.float64)
    assert torch.equal(polytope.project(point, shares, shares), shares)
