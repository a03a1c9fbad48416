"""The loop reaches the known optimum of analytic problems; each mutation of it does not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.problems import MeanMatching, Ridge, Softmax, best_mixture, upper_loss
from torch import Tensor

from tandem_engine import loop as loop_module
from tandem_engine import simplex
from tandem_engine.bilevel import BilevelSettings, solve
from tandem_engine.loop import TwinLoop
from tandem_engine.objective import RowBatch

INTERIOR = [[0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.6, 0.2, 0.2]]
BOUNDARY = [[1.0, 0.3, -0.5], [0.8, 0.4, -0.4], [0.9, 0.2, -0.6]]
SETTINGS = BilevelSettings(
    episodes=300, probing_steps=10, penalty=10.0, lr_proxy=0.3, lr_mixture=0.3
)


def closed_form(problem: MeanMatching) -> np.ndarray:
    return simplex.project(problem.validation.mean(dim=0)).numpy()


def distance(mixture: Tensor, optimum: np.ndarray) -> float:
    return float(np.abs(mixture.numpy() - optimum).sum())


def gain(problem: Softmax | Ridge, mixture: Tensor) -> float:
    """Share of the way from uniform (0) to the best mixture (1), in validation loss."""
    uniform = upper_loss(problem, simplex.uniform(len(problem.domains)).tolist())
    best = upper_loss(problem, best_mixture(problem).tolist())
    return (uniform - upper_loss(problem, mixture.tolist())) / (uniform - best)


@pytest.mark.parametrize("validation", [INTERIOR, BOUNDARY])
@pytest.mark.parametrize("penalty", [1.0, 10.0, 100.0])
def test_mean_matching_reaches_the_closed_form(
    validation: list[list[float]], penalty: float
) -> None:
    problem = MeanMatching(validation)
    found = solve(problem, replace(SETTINGS, penalty=penalty))
    assert distance(found.mixture, closed_form(problem)) < 0.02


def test_the_boundary_case_puts_a_domain_at_exactly_zero() -> None:
    found = solve(MeanMatching(BOUNDARY), SETTINGS)
    assert found.mixture[2] == 0.0


def test_a_domain_that_starts_at_zero_comes_back() -> None:
    problem = MeanMatching(INTERIOR)
    found = solve(problem, replace(SETTINGS, initial_mixture=(1.0, 0.0, 0.0)))
    assert distance(found.mixture, closed_form(problem)) < 0.02


@pytest.mark.parametrize(
    "variant",
    [
        {"mixture_step": "adagrad", "lr_mixture": 0.1},
        {"mixture_step": "exponentiated", "lr_mixture": 1.0},
        {"penalty": 1.0, "val_reduction": "sum"},
        {"free_steps": 5},
        {"optimizer": "adamw", "lr_proxy": 0.01, "lr_schedule": "cosine", "lr_mixture": 1.0},
    ],
)
def test_variants_of_the_settings_reach_the_same_optimum(variant: dict[str, object]) -> None:
    problem = MeanMatching(INTERIOR)
    found = solve(problem, replace(SETTINGS, **variant))
    assert distance(found.mixture, closed_form(problem)) < 0.02


def test_ridge_regression_reaches_the_numeric_optimum() -> None:
    problem = Ridge()
    assert distance(solve(problem, SETTINGS).mixture, best_mixture(problem)) < 0.05


def test_softmax_regression_with_wrong_labels_gains_nine_tenths() -> None:
    problem = Softmax()
    assert gain(problem, solve(problem, SETTINGS).mixture) >= 0.9


def test_a_corrupted_domain_goes_to_zero() -> None:
    found = solve(Ridge(corrupted=1), SETTINGS)
    assert found.mixture[1] == 0.0


def test_where_train_is_validation_uniform_stays() -> None:
    class Null(Ridge):
        def val_losses(self, parameters: Tensor) -> Tensor:
            return self.train_losses(parameters)

    found = solve(Null(), SETTINGS)
    signal = solve(Ridge(), SETTINGS)
    uniform = np.full(4, 0.25)
    assert distance(found.mixture, uniform) < 0.02 < distance(signal.mixture, uniform)


def test_the_trajectory_has_the_start_and_every_update() -> None:
    found = solve(MeanMatching(INTERIOR), replace(SETTINGS, episodes=20, tail_fraction=0.1))
    assert found.alpha.shape == (21, 3)
    assert found.delta.shape == (20, 3)
    assert found.alpha.dtype == torch.float64
    assert torch.equal(found.alpha[0], simplex.uniform(3))
    assert torch.equal(found.mixture, found.alpha[-2:].mean(dim=0))
    torch.testing.assert_close(found.alpha.sum(dim=1), torch.ones(21, dtype=torch.float64))


def test_a_raw_step_is_equation_five() -> None:
    settings = replace(SETTINGS, episodes=1, penalty=4.0, lr_mixture=0.05)
    found = solve(MeanMatching(INTERIOR), settings)
    by_hand = simplex.project(found.alpha[0] - 0.05 * 4.0 * found.delta[0])
    assert torch.equal(found.alpha[1], by_hand)


def test_one_probing_step_gives_the_delta_of_the_formulas() -> None:
    # From x = 0: u = eta alpha, w = eta_w (gamma alpha + mean b), by the gradients at 0.
    problem = MeanMatching(BOUNDARY)
    settings = BilevelSettings(episodes=1, probing_steps=1, penalty=4.0, lr_proxy=0.2)
    uniform = simplex.uniform(3)
    u = 0.2 * uniform
    w = 0.2 / 4.0 * (4.0 * uniform + problem.validation.mean(dim=0))
    expected = problem.train_losses(w) - problem.train_losses(u)
    torch.testing.assert_close(solve(problem, settings).delta[0], expected)


def test_the_order_of_domains_only_permutes_the_result() -> None:
    problem, turned = MeanMatching(INTERIOR), MeanMatching(INTERIOR)
    turned.validation = problem.validation[:, [2, 1, 0]]
    one, other = solve(problem, SETTINGS), solve(turned, SETTINGS)
    torch.testing.assert_close(one.mixture, other.mixture.flip(0), atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"episodes": 0}, "episodes is 0"),
        ({"penalty": -1.0}, "penalty is -1"),
        ({"tail_fraction": 0.0}, "tail_fraction is 0"),
    ],
)
def test_impossible_settings_are_refused_by_name(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(SETTINGS, **change)


def test_a_start_off_the_simplex_is_refused() -> None:
    with pytest.raises(ValueError, match="initial_mixture"):
        solve(MeanMatching(INTERIOR), replace(SETTINGS, initial_mixture=(0.5, 0.6, 0.1)))


# --- mutations: every one of these mistakes must be visible in the results above ---


def _wrong_sign(patch: pytest.MonkeyPatch) -> None:
    original = loop_module.TwinLoop._measure

    def negated(
        self: TwinLoop, batches: tuple[RowBatch, RowBatch]
    ) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor]:
        delta, halves, losses = original(self, batches)
        return -delta, halves, losses

    patch.setattr(TwinLoop, "_measure", negated)


def _reference_loss(
    loss: Callable[[TwinLoop, Tensor, Tensor, RowBatch], Tensor],
) -> Callable[[pytest.MonkeyPatch], None]:
    def mutate(patch: pytest.MonkeyPatch) -> None:
        def mutated(self: TwinLoop, train: RowBatch, validation: RowBatch) -> Tensor:
            domains = len(self.objective.domains)
            weights = validation.validation_weights(self.settings.validation_reduction, domains)
            on_validation = self._weighted(self.reference, validation, weights)
            on_train = self._weighted(self.reference, train, train.train_weights(self.alpha_M))
            return loss(self, on_validation, on_train, train)

        patch.setattr(TwinLoop, "reference_loss", mutated)

    return mutate


def _uniform_inside_w(self: TwinLoop, on_val: Tensor, _: Tensor, train: RowBatch) -> Tensor:
    weights = train.train_weights(simplex.uniform(len(self.objective.domains)))
    return on_val + self.settings.penalty * self._weighted(self.reference, train, weights)


def _delta_on_validation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        "tandem_engine.bilevel._FunctionObjective.delta_batches",
        lambda self, _episode: (self.validation_batch(), self.validation_batch()),
    )


def _frozen_proxy_in_probe(patch: pytest.MonkeyPatch) -> None:
    def probe(self: TwinLoop) -> None:
        batch = self.objective.train_batch(self.alpha_M)
        loss = self.reference_loss(batch, self.objective.validation_batch())
        self.reference.step(loss, rate_factor=1.0)

    patch.setattr(TwinLoop, "_probe", probe)


MUTATIONS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "wrong sign": _wrong_sign,
    "w on validation data only": _reference_loss(lambda _s, val, _t, _b: val),
    "gamma on the validation term": _reference_loss(
        lambda s, val, train, _b: s.settings.penalty * val + train
    ),
    "uniform alpha inside w": _reference_loss(_uniform_inside_w),
    "Delta on validation data": _delta_on_validation,
    "u frozen in the probe": _frozen_proxy_in_probe,
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutated_loop_misses_an_optimum(mutation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTATIONS[mutation](monkeypatch)
    matching, ridge = MeanMatching(INTERIOR), Ridge()
    missed = distance(solve(matching, SETTINGS).mixture, closed_form(matching)) > 0.02
    if not missed:
        missed = distance(solve(ridge, SETTINGS).mixture, best_mixture(ridge)) > 0.05
    assert missed
