"""What noise alone does to alpha, and how far that is from a signal."""

import pytest
import torch
from torch import Tensor

from tandem_engine.mixture_steps import AdagradStep, MixtureStep, RawStep
from tandem_engine.null_drift import Track, noise_of, null_distances, restoring_force
from tandem_engine.trajectory import tail_mean

START = torch.full((4,), 0.25, dtype=torch.float64)
SIGNAL = torch.tensor([-3.0, 1.0, 1.0, 1.0], dtype=torch.float64)
TAIL = 0.1


def deltas(signal: float, *, episodes: int = 60, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((episodes, 4), generator=generator, dtype=torch.float64)
    return noise + signal * SIGNAL


def track(delta_TM: Tensor, step: MixtureStep, *, restoring: float = 0.0) -> Track:
    """Return the run that these Deltas make, perhaps with a force back to the start."""
    alphas, felt = [START], []
    for delta_M in delta_TM:
        felt.append(delta_M + restoring * (alphas[-1] - START))
        alphas.append(step(alphas[-1], felt[-1]))
    return Track(torch.stack(alphas), torch.stack(felt), torch.ones(len(felt)))


def adagrad(delta_TM: Tensor, *, restoring: float = 0.0) -> Track:
    return track(delta_TM, AdagradStep(length=0.03), restoring=restoring)


def raw(delta_TM: Tensor, *, restoring: float = 0.0) -> Track:
    return track(delta_TM, RawStep(learning_rate=0.004, penalty=1.0), restoring=restoring)


def moved(one: Track) -> float:
    return float((tail_mean(one.alphas_TM, TAIL) - START).abs().sum())


def null(*tracks: Track) -> list[float]:
    return null_distances([[one] for one in tracks], tail_fraction=TAIL, seed=0)


@pytest.mark.parametrize("make", [adagrad, raw])
@pytest.mark.parametrize("restoring", [0.0, 10.0, 40.0])
def test_noise_seldom_goes_beyond_its_own_null(make: type[Track], restoring: float) -> None:
    beyond = 0
    for seed in range(60):
        noise = make(deltas(0.0, seed=seed), restoring=restoring)  # type: ignore[call-arg, arg-type]
        beyond += moved(noise) > null(noise)[190]
    # One in twenty would be 3; beyond 8 has a probability of 1 in 300.
    assert beyond <= 8


@pytest.mark.parametrize("make", [adagrad, raw])
@pytest.mark.parametrize("signal", [0.5, 5.0])
def test_a_steady_signal_goes_further_than_nearly_any_draw(
    make: type[Track], signal: float
) -> None:
    learned = make(deltas(signal))  # type: ignore[call-arg, arg-type]
    assert moved(learned) > null(learned)[198]


def test_a_signal_without_noise_leaves_nothing_to_noise() -> None:
    assert null(raw(deltas(1.0)[:1].expand(20, 4)))[-1] == pytest.approx(0.0, abs=1e-12)


def test_several_seeds_cancel_each_others_noise() -> None:
    one = null(raw(deltas(0.0)))
    four = null(*(raw(deltas(0.0, seed=seed)) for seed in range(4)))
    assert sum(four) == pytest.approx(sum(one) / 2, rel=0.3)


def test_moves_of_noise_by_hand() -> None:
    first = torch.tensor([0.3, -0.3, 0.0, 0.0], dtype=torch.float64)
    felt_TM = torch.stack([first, -first, first])
    one = track(felt_TM, RawStep(learning_rate=0.1, penalty=1.0))
    # Differences are twice the Delta, over the root of two, at a step of 0.1 against Delta.
    by_hand_TM = -0.1 * torch.stack([-first, -first, first]) * 2 / 2**0.5
    torch.testing.assert_close(noise_of(one).moves_TM, by_hand_TM)


def test_the_force_back_is_found_exactly_where_there_is_no_noise() -> None:
    rates_T = torch.linspace(1.0, 0.0, 20, dtype=torch.float64)
    before_TM = torch.softmax(deltas(0.0, episodes=21), dim=1)
    centre_M = (rates_T.square()[:, None] * before_TM[:-1]).sum(dim=0) / rates_T.square().sum()
    pull_M = SIGNAL - SIGNAL.mean()
    felt_TM = rates_T[:, None] * (pull_M + 7.0 * (before_TM[:-1] - centre_M))
    assert restoring_force(Track(before_TM, felt_TM + 3.0, 0.01 * rates_T)) == pytest.approx(7.0)
    assert restoring_force(Track(before_TM, -felt_TM, 0.01 * rates_T)) == 0.0


def test_a_force_back_to_the_start_makes_the_null_narrower() -> None:
    free, held = (raw(deltas(0.0), restoring=force) for force in (0.0, 60.0))
    assert sum(null(held)) < 0.7 * sum(null(free))


def test_a_single_episode_may_be_all_noise() -> None:
    one = raw(deltas(1.0, episodes=1))
    assert null(one)[0] == pytest.approx(moved(one))


def test_a_restart_begins_at_the_mean_so_far_and_draws_are_the_same_again() -> None:
    runs = [raw(deltas(0.0, episodes=9)), raw(deltas(0.0, episodes=9, seed=1))]
    chained = null_distances([runs], tail_fraction=TAIL, seed=1)
    assert chained == null_distances([runs], tail_fraction=TAIL, seed=1)
    alone = null_distances([runs[1:]], tail_fraction=TAIL, seed=1)
    assert sum(chained) > sum(alone)
