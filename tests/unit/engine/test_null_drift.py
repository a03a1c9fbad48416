"""What noise alone does to alpha, and how far that is from a signal."""

import torch
from torch import Tensor

from tandem_engine.mixture_steps import AdagradStep, RawStep
from tandem_engine.null_drift import null_distances

START = torch.full((4,), 0.25, dtype=torch.float64)
SIGNAL = torch.tensor([-3.0, 1.0, 1.0, 1.0], dtype=torch.float64)


def deltas(signal: float, *, episodes: int = 60, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((episodes, 4), generator=generator, dtype=torch.float64)
    return noise + signal * SIGNAL


def moved(delta_TM: Tensor) -> float:
    step, alpha_M, tail = AdagradStep(length=0.1), START, []
    for delta_M in delta_TM:
        alpha_M = step(alpha_M, delta_M)
        tail.append(alpha_M)
    return float((torch.stack(tail[-6:]).mean(dim=0) - START).abs().sum())


def null(*delta_TM: Tensor) -> list[float]:
    return null_distances(
        [[one] for one in delta_TM],
        START,
        lambda: AdagradStep(length=0.1),
        tail_fraction=0.1,
        seed=0,
    )


def test_pure_noise_goes_as_far_as_its_own_null() -> None:
    # Of many runs of noise about one in twenty goes beyond the 95 % quantile of its null.
    beyond = 0
    for seed in range(60):
        noise = deltas(0.0, seed=seed)
        beyond += moved(noise) > null(noise)[38]
    assert beyond <= 9


def test_a_steady_signal_goes_further_than_any_draw() -> None:
    signal = deltas(1.0)
    assert moved(signal) > null(signal)[-1]


def test_several_seeds_cancel_each_others_noise() -> None:
    one = null(deltas(0.0))
    four = null(*(deltas(0.0, seed=seed) for seed in range(4)))
    assert sum(four) < 0.75 * sum(one)


def test_one_episode_by_hand() -> None:
    delta_M = torch.tensor([0.1, -0.1, 0.0, 0.0], dtype=torch.float64)
    found = null_distances(
        [[delta_M[None]]],
        START,
        lambda: RawStep(learning_rate=0.5, penalty=1.0),
        tail_fraction=1.0,
        seed=3,
        draws=8,
    )
    # Either sign moves two shares by 0.05.
    torch.testing.assert_close(torch.tensor(found), torch.full((8,), 0.1))


def test_a_restart_begins_at_the_mean_so_far_and_draws_are_the_same_again() -> None:
    runs = [[deltas(1.0, episodes=5), deltas(1.0, episodes=5, seed=1)]]

    def draw() -> list[float]:
        return null_distances(
            runs, START, lambda: AdagradStep(length=0.1), tail_fraction=0.5, seed=1, draws=5
        )

    assert draw() == draw()
