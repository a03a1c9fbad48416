"""RegMix's regression and search, on losses whose dependence on the mixture is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from tandem_engine.methods.regmix import best_average, predicted_losses
from tandem_engine.methods.swarm import scatter

DOMAINS = 17
"""As many as the authors' Pile has."""
PRIOR = np.geomspace(1.0, 0.02, DOMAINS)
PRIOR /= PRIOR.sum()


def known_losses(mixture_nm: np.ndarray, generator: np.random.Generator | None) -> np.ndarray:
    """A power law of what each domain gives, one of them most of all, with the noise of runs."""
    weight = np.linspace(0.1, 1.0, DOMAINS)
    losses = 3.0 + 1.5 * (mixture_nm @ weight + 0.05) ** -0.3
    noise = 0.0 if generator is None else generator.normal(0, 0.005, len(losses))
    return np.asarray(losses + noise)


@pytest.fixture(scope="module")
def swarm() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    tried = scatter(PRIOR, 512, generator, maximum_usage=15.0)
    return tried, known_losses(tried, generator), scatter(PRIOR, 256, generator)


@pytest.mark.parametrize(("kind", "least"), [("lightgbm", 0.9), ("linear", 0.85)])
def test_the_regression_ranks_unseen_mixtures_as_their_known_losses_do(
    swarm: tuple[np.ndarray, np.ndarray, np.ndarray], kind: str, least: float
) -> None:
    tried, losses, unseen = swarm
    predicted = predicted_losses(kind, tried, losses[:, None], unseen)[:, 0]
    assert spearmanr(predicted, known_losses(unseen, None)).statistic > least


def test_the_answer_is_better_than_the_best_that_was_tried(
    swarm: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    tried, losses, _ = swarm
    candidates = scatter(PRIOR, 5000, np.random.default_rng(1), strengths=(1.0,))
    predicted = predicted_losses("lightgbm", tried, losses[:, None], candidates)[:, 0]
    answer = best_average(candidates, predicted, 64)
    assert known_losses(answer[None], None)[0] < np.quantile(known_losses(tried, None), 0.02)


def test_a_linear_dependence_is_found_exactly() -> None:
    tried = scatter(PRIOR[:3] / PRIOR[:3].sum(), 8, np.random.default_rng(2))
    slope = np.array([1.0, 2.0, 4.0])
    predicted = predicted_losses("linear", tried, (tried @ slope)[:, None], np.eye(3))
    assert predicted[:, 0] == pytest.approx(slope)


def test_the_best_predicted_are_averaged() -> None:
    candidates = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    assert best_average(candidates, np.array([2.0, 1.0, 1.5]), 2) == pytest.approx([0.25, 0.75])


@given(st.integers(0, 2**32), st.floats(1.5, 20.0))
def test_scattered_mixtures_lie_on_the_simplex_within_the_usage(seed: int, usage: float) -> None:
    drawn = scatter(PRIOR, 5, np.random.default_rng(seed), maximum_usage=usage)
    assert drawn.sum(axis=1) == pytest.approx(np.ones(5))
    assert drawn.min() >= 0.0
    # Dropping shares below the least one raises the others by a little.
    assert (drawn <= usage * PRIOR * 1.01 + 1e-9).all() or usage < 3
