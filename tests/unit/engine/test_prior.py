"""The prior: what it is as a mixture, and where its pull ends."""

import math
from dataclasses import replace

import pytest
import torch
from support.problems import MeanMatching
from torch import Tensor

from tandem_engine import polytope, simplex
from tandem_engine.bilevel import BilevelSettings, solve
from tandem_engine.contracts.priors import PriorSpec
from tandem_engine.mixture_steps import build_mixture_step
from tandem_engine.prior import Pull, build_pull, prior_mixture

INTERIOR = [[0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.6, 0.2, 0.2]]
BOUNDARY = [[1.0, 0.3, -0.5], [0.8, 0.4, -0.4], [0.9, 0.2, -0.6]]
PRIOR = (0.2, 0.2, 0.6)
# gamma Delta is the gradient of the validation loss only up to 1 / gamma and to what the probing
# steps leave, so both are large here: with a pull the gradient's size counts, not only its sign.
SETTINGS = BilevelSettings(
    episodes=120,
    probing_steps=20,
    penalty=100.0,
    lr_proxy=0.3,
    lr_mixture=0.3,
    initial_mixture=PRIOR,
)
STEPS = {"raw": 0.3, "adagrad": 0.3, "exponentiated": 1.0}


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def distance(one_M: Tensor, other_M: Tensor) -> float:
    return float((one_M - other_M).abs().sum())


# --- the mixture ---


@pytest.mark.parametrize(
    ("prior", "shares"),
    [
        ({}, [1 / 3, 1 / 3, 1 / 3]),
        ({"kind": "natural"}, [16 / 98, 81 / 98, 1 / 98]),
        ({"kind": "temperature"}, [2 / 6, 3 / 6, 1 / 6]),
        ({"kind": "temperature", "temperature": 0.5}, [4 / 14, 9 / 14, 1 / 14]),
        ({"kind": "custom", "shares": {"b": 0.2, "c": 0.7, "a": 0.1}}, [0.1, 0.2, 0.7]),
    ],
)
def test_every_kind_of_prior_by_hand(prior: dict[str, object], shares: list[float]) -> None:
    found = prior_mixture(PriorSpec.model_validate(prior), ["a", "b", "c"], [16, 81, 1])
    torch.testing.assert_close(found, tensor(*shares))
    assert found.dtype == torch.float64


def test_typed_in_shares_that_sum_to_one_but_for_rounding_become_a_mixture() -> None:
    prior = PriorSpec(kind="custom", shares={"a": 0.3333333, "b": 0.6666666})
    assert float(prior_mixture(prior, ["a", "b"], [1, 1]).sum()) == 1.0


# --- the pull ---


@pytest.mark.parametrize("step", ["raw", "adagrad"])
@pytest.mark.parametrize("pull", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("validation", [INTERIOR, BOUNDARY])
def test_mean_matching_with_a_pull_reaches_its_closed_form(
    validation: list[list[float]], pull: float, step: str
) -> None:
    # H(alpha) + pull / 2 |alpha - p|^2 with H = |alpha - b|^2 / 2 and a constant, b the mean of the
    # b_m: the optimum is the projection of the weighted mean of b and p.
    problem = MeanMatching(validation)
    mean, prior = problem.validation.mean(dim=0), tensor(*PRIOR)
    optimum = simplex.project((mean + pull * prior) / (1 + pull))
    settings = replace(SETTINGS, prior_pull=pull, mixture_step=step, lr_mixture=STEPS[step])
    found = solve(problem, settings).mixture
    assert distance(found, optimum) < 0.02
    assert distance(found, simplex.project(mean)) > 0.1


def test_the_pull_and_the_bounds_hold_together() -> None:
    problem = MeanMatching(INTERIOR)
    lower, upper = tensor(0.0, 0.3, 0.0), tensor(1.0, 1.0, 0.35)
    weighted = (problem.validation.mean(dim=0) + tensor(*PRIOR)) / 2
    settings = replace(
        SETTINGS, prior_pull=1.0, minimum_share=(0.0, 0.3, 0.0), maximum_share=(1.0, 1.0, 0.35)
    )
    optimum = polytope.project(weighted, lower, upper)
    assert distance(solve(problem, settings).mixture, optimum) < 0.02


def test_the_exponentiated_pull_reaches_the_optimum_with_its_own_divergence() -> None:
    # The least of H(alpha) + pull KL(alpha, p): its gradient is the same for all domains.
    problem = MeanMatching(INTERIOR)
    settings = replace(SETTINGS, prior_pull=0.5, mixture_step="exponentiated", lr_mixture=1.0)
    found = solve(problem, settings).mixture
    gradient = found - problem.validation.mean(dim=0) + 0.5 * (found / tensor(*PRIOR)).log()
    assert float(gradient.max() - gradient.min()) < 0.02
    assert distance(found, tensor(*PRIOR)) > 0.1


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("pull", [1e6, 1e300])
def test_a_huge_pull_stays_at_the_prior(step: str, pull: float) -> None:
    settings = replace(
        SETTINGS, episodes=30, prior_pull=pull, mixture_step=step, lr_mixture=STEPS[step]
    )
    found = solve(MeanMatching(BOUNDARY), settings).alpha
    assert float((found - tensor(*PRIOR)).abs().max()) < 1e-4


@pytest.mark.parametrize("step", STEPS)
def test_without_a_pull_the_trajectory_is_bitwise_that_of_the_rule_alone(step: str) -> None:
    settings = replace(SETTINGS, episodes=20, mixture_step=step, lr_mixture=STEPS[step])
    found = solve(MeanMatching(INTERIOR), replace(settings, prior_pull=0.0))
    alone = build_mixture_step(step, learning_rate=STEPS[step], penalty=100.0)
    alpha = tensor(*PRIOR)
    for after, delta in zip(found.alpha[1:], found.delta, strict=True):
        alpha = alone(alpha, delta)
        assert torch.equal(after, alpha)
    assert build_pull(alpha, 0.0) is None


def test_the_order_of_domains_permutes_a_pulled_result() -> None:
    problem, turned = MeanMatching(INTERIOR), MeanMatching(INTERIOR)
    turned.validation = problem.validation[:, [2, 1, 0]]
    settings = replace(SETTINGS, episodes=30, prior_pull=1.0)
    one = solve(problem, settings).mixture
    other = solve(turned, replace(settings, initial_mixture=PRIOR[::-1])).mixture
    torch.testing.assert_close(one, other.flip(0), atol=1e-9, rtol=0)


def test_a_pulled_raw_step_by_hand() -> None:
    # v = (.5, .5) - .5 * 2 * (.1, -.1) = (.4, .6); eta lambda = 1: half of the way to (.8, .2).
    pull = Pull(tensor(0.8, 0.2), strength=2.0)
    step = build_mixture_step("raw", learning_rate=0.5, penalty=2.0, pull=pull)
    torch.testing.assert_close(step(tensor(0.5, 0.5), tensor(0.1, -0.1)), tensor(0.6, 0.4))


def test_a_pulled_adagrad_step_by_hand() -> None:
    # Centred Delta (1, -1), norm sqrt 2; c = .1 sqrt 2: v = (.4, .6). The rate along gamma Delta is
    # c / (gamma sqrt 2) = .1 / 4, and with lambda = 40 again half of the way.
    pull = Pull(tensor(0.8, 0.2), strength=40.0)
    step = build_mixture_step("adagrad", learning_rate=0.1 * 2**0.5, penalty=4.0, pull=pull)
    torch.testing.assert_close(step(tensor(0.5, 0.5), tensor(3.0, 1.0)), tensor(0.6, 0.4))


def test_a_pulled_exponentiated_step_by_hand() -> None:
    # Delta (ln 2, -ln 2) at rate 1 takes (1/2, 1/2) to 1 : 4; half of the way in logarithms to the
    # prior 4 : 1 is 1 : 1.
    pull = Pull(tensor(0.8, 0.2), strength=1.0)
    step = build_mixture_step("exponentiated", learning_rate=1.0, penalty=1.0, pull=pull)
    delta = tensor(math.log(2.0), -math.log(2.0))
    torch.testing.assert_close(step(tensor(0.5, 0.5), delta), tensor(0.5, 0.5))


def test_an_exponentiated_pull_bears_zeros_on_both_sides() -> None:
    pull = Pull(tensor(1.0, 0.0), strength=1e300)
    step = build_mixture_step("exponentiated", learning_rate=1.0, penalty=1.0, pull=pull)
    torch.testing.assert_close(step(tensor(0.0, 1.0), tensor(0.0, 0.0)), tensor(1.0, 0.0))


@pytest.mark.parametrize("pull", [-1.0, math.inf, math.nan])
def test_an_impossible_pull_is_refused_by_name(pull: float) -> None:
    with pytest.raises(ValueError, match="prior_pull is"):
        replace(SETTINGS, prior_pull=pull)
