"""Facts about one episode that end results do not show."""

import math
from dataclasses import replace

import pytest
import torch
from support.problems import MeanMatching
from torch import Tensor

from tandem_engine.bilevel import BilevelSettings, _build_loop, _FunctionObjective, solve
from tandem_engine.contracts.training import TrainingSpec
from tandem_engine.errors import DivergedError
from tandem_engine.loop import TwinLoop
from tandem_engine.mixture_steps import AdagradStep, ExponentiatedStep, build_mixture_step
from tandem_engine.objective import RowBatch
from tandem_engine.schedules import Schedule
from tandem_engine.simplex import uniform
from tandem_engine.training import training_schedule

PROBLEM = MeanMatching([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.6, 0.2, 0.2]])
SETTINGS = BilevelSettings(episodes=9, probing_steps=3, free_steps=4, lr_proxy=0.2)


def a_loop(**changes: object) -> TwinLoop:
    return _build_loop(_FunctionObjective(PROBLEM), replace(SETTINGS, **changes))


def vector(twin: object) -> Tensor:
    return next(twin.model.parameters()).detach().clone()  # type: ignore[attr-defined]


def test_w_starts_as_u_at_every_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, seen = a_loop(), []
    original = TwinLoop._probe

    def spy(self: TwinLoop) -> None:
        seen.append(torch.equal(vector(self.proxy), vector(self.reference)))
        original(self)

    monkeypatch.setattr(TwinLoop, "_probe", spy)
    loop.run_episode()
    loop.run_episode()
    assert seen == [True, False, False, True, False, False]


def test_without_synchronisation_w_goes_its_own_way() -> None:
    loop = a_loop()
    loop.settings = replace(loop.settings, synchronise=False)
    loop.run_episode()
    before = vector(loop.reference)
    loop.run_episode()
    assert not torch.equal(before, vector(loop.proxy))
    assert loop.proxy.distance_to(loop.reference) > 0


def test_u_advances_by_k_plus_e_steps_and_is_never_rewound() -> None:
    loop = a_loop()
    loop.run_episode()
    assert loop.step == 7
    # Plain gradient descent on the same mixtures: 3 steps under the old, 4 under the new alpha.
    x = PROBLEM.initial_parameters()
    for alpha, steps in ((uniform(3), 3), (loop.alpha_M, 4)):
        for _ in range(steps):
            x = x - 0.2 * (x - alpha)
    torch.testing.assert_close(vector(loop.proxy), x)


def test_free_steps_see_the_new_alpha() -> None:
    seen = []

    class Spied(_FunctionObjective):
        def train_batch(self, alpha_M: Tensor) -> RowBatch:
            seen.append(alpha_M.clone())
            return super().train_batch(alpha_M)

    loop = _build_loop(Spied(PROBLEM), SETTINGS)
    before = loop.alpha_M.clone()
    loop.run_episode()
    assert all(torch.equal(alpha, before) for alpha in seen[:3])
    assert all(torch.equal(alpha, loop.alpha_M) for alpha in seen[3:])
    assert not torch.equal(before, loop.alpha_M)


def test_both_twins_probe_on_the_same_batch_and_are_measured_on_the_same_rows() -> None:
    seen: list[tuple[str, object]] = []

    class Spied(_FunctionObjective):
        def train_batch(self, alpha_M: Tensor) -> RowBatch:
            return replace(super().train_batch(alpha_M))

        def row_losses(self, model: torch.nn.Module, batch: RowBatch) -> Tensor:
            twin = "u" if model is loop.proxy.model else "w"
            if batch.rows == "train":
                seen.append((twin, id(batch)))
            return super().row_losses(model, batch)

    loop = _build_loop(Spied(PROBLEM), replace(SETTINGS, probing_steps=2, free_steps=0))
    loop.run_episode()
    assert [twin for twin, _ in seen] == ["w", "u", "w", "u", "u", "w", "u", "w"]
    assert all(seen[i][1] == seen[i + 1][1] for i in range(0, 8, 2))


@pytest.mark.parametrize(("moments", "kept"), [("persist", 6), ("fresh", 3)])
def test_adamw_of_w_keeps_or_forgets_its_moments(moments: str, kept: int) -> None:
    loop = a_loop(optimizer="adamw", reference_moments=moments)
    loop.run_episode()
    loop.run_episode()
    (state,) = loop.reference.optimiser.state.values()
    assert int(state["step"]) == kept


def test_cloned_moments_are_those_of_u_and_not_shared_with_it() -> None:
    loop = a_loop(optimizer="adamw", reference_moments="clone")
    loop.run_episode()
    (before,) = [dict(state) for state in loop.proxy.optimiser.state.values()]
    assert int(before["step"]) == 7
    loop.run_episode()
    (of_w,) = loop.reference.optimiser.state.values()
    assert int(of_w["step"]) == 7 + 3
    (of_u,) = loop.proxy.optimiser.state.values()
    assert of_w["exp_avg"].data_ptr() != of_u["exp_avg"].data_ptr()


def test_both_twins_follow_one_schedule_in_lockstep() -> None:
    loop = a_loop(lr_schedule="cosine", penalty=1.0)
    loop.run_episode()
    rate_u = loop.proxy.optimiser.param_groups[0]["lr"]
    assert rate_u == pytest.approx(0.2 * loop.settings.schedule.factor(6))
    assert loop.reference.optimiser.param_groups[0]["lr"] == pytest.approx(
        0.2 * loop.settings.schedule.factor(2)
    )


def test_a_diverged_run_names_the_domain_and_the_rate() -> None:
    with pytest.raises(DivergedError, match="domain-0") as caught:
        solve(PROBLEM, replace(SETTINGS, lr_proxy=1e200, episodes=5))
    assert caught.value.field == "training.learning_rate"


def test_an_adagrad_step_by_hand() -> None:
    step, alpha = AdagradStep(length=0.1), uniform(2)
    delta = torch.tensor([3.0, 1.0], dtype=torch.float64)  # centred: 1, -1; norm sqrt 2
    once = step(alpha, delta)
    torch.testing.assert_close(once, alpha + torch.tensor([-1.0, 1.0]) * 0.1 / 2**0.5)
    twice = step(once, delta)  # running sum 4
    torch.testing.assert_close(twice, once + torch.tensor([-1.0, 1.0]) * 0.1 / 2)


def test_an_exponentiated_step_by_hand() -> None:
    step = ExponentiatedStep(learning_rate=0.5, penalty=2.0)
    alpha = torch.tensor([0.2, 0.8, 0.0], dtype=torch.float64)
    delta = torch.tensor([-math.log(2.0), math.log(2.0), 0.0], dtype=torch.float64)
    # 0.2 * 2 against 0.8 / 2: equal shares, and nothing where nothing was.
    expected = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64)
    torch.testing.assert_close(step(alpha, delta), expected)


def test_a_constant_delta_moves_nothing() -> None:
    step, alpha = AdagradStep(length=0.1), uniform(3)
    assert torch.equal(step(alpha, torch.full((3,), 5.0, dtype=torch.float64)), alpha)


def test_an_unknown_step_rule_is_named() -> None:
    with pytest.raises(ValueError, match="'newton' is unknown"):
        build_mixture_step("newton", learning_rate=0.1, penalty=1.0)


def test_the_schedule_warms_up_and_ends_where_it_should() -> None:
    schedule = training_schedule(
        TrainingSpec(warmup_fraction=0.1, final_rate_fraction=0.2), total_steps=100
    )
    assert schedule.factor(0) == pytest.approx(0.1)
    assert schedule.factor(10) == pytest.approx(1.0)
    assert schedule.factor(55) == pytest.approx(0.6)
    assert schedule.factor(100) == pytest.approx(0.2)
    assert Schedule(kind="constant", total_steps=5).factor(4) == 1.0
