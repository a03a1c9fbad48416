"""The projection is the Euclidean one, not clipping and renormalising."""

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given
from hypothesis import strategies as st

from tandem_engine import simplex

points = st.lists(st.floats(-50, 50), min_size=1, max_size=12)


@given(points)
def test_a_projection_lies_on_the_simplex(point: list[float]) -> None:
    projected = simplex.project(torch.tensor(point, dtype=torch.float64))
    assert bool((projected >= 0).all())
    assert float(projected.sum()) == pytest.approx(1.0, abs=1e-12)


@given(points)
def test_projecting_twice_changes_nothing(point: list[float]) -> None:
    once = simplex.project(torch.tensor(point, dtype=torch.float64))
    torch.testing.assert_close(simplex.project(once), once, atol=1e-12, rtol=0)


@given(points, st.floats(-1e6, 1e6))
def test_a_common_shift_changes_nothing(point: list[float], shift: float) -> None:
    tensor = torch.tensor(point, dtype=torch.float64)
    torch.testing.assert_close(
        simplex.project(tensor + shift), simplex.project(tensor), atol=1e-8, rtol=0
    )


@given(points)
def test_no_point_of_the_simplex_is_nearer(point: list[float]) -> None:
    # The variational inequality (v - p) . (q - p) <= 0 for every corner q characterises p.
    v = torch.tensor(point, dtype=torch.float64)
    p = simplex.project(v)
    for corner in torch.eye(len(point), dtype=torch.float64):
        assert float(torch.dot(v - p, corner - p)) <= 1e-9


def test_it_equals_a_numeric_projection_and_not_clip_and_renormalise() -> None:
    point = np.array([0.9, 0.5, -0.3])
    reference = scipy.optimize.minimize(
        lambda a: ((a - point) ** 2).sum(),
        np.full(3, 1 / 3),
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda a: a.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-14},
    ).x
    clipped = np.maximum(point, 0) / np.maximum(point, 0).sum()
    projected = simplex.project(torch.tensor(point)).numpy()
    assert np.abs(projected - reference).max() < 1e-6
    assert np.abs(projected - clipped).max() > 0.05


def test_a_point_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        simplex.project(torch.tensor([0.5, float("nan")]))


def test_entropy_runs_from_zero_to_log_m() -> None:
    assert simplex.entropy(torch.tensor([1.0, 0.0])) == 0.0
    assert simplex.entropy(simplex.uniform(4)) == pytest.approx(np.log(4))
