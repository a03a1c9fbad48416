"""How far alpha would have gone on noise alone: a sign-flip test through the very same steps.

If Delta told nothing, each episode's centred Delta would be noise of mean zero, as likely with the
other sign. So the Deltas of a run, each with a random sign, are fed to the same mixture step from
the same start, and the distance of the result from the start is what noise alone would give; many
draws give its distribution (the randomisation test of Fisher 1935, for the mean of paired
differences). All noise counts: of the Delta batches and of the probing batches. What is signal in
the Deltas inflates the draws, so the test errs on the side of no effect.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tandem_engine import simplex
from tandem_engine.mixture_steps import MixtureStep
from tandem_engine.seeding import derive_seed
from tandem_engine.trajectory import tail_mean

DRAWS = 40


def null_distances(
    deltas_by_seed: Sequence[Sequence[Tensor]],
    start_M: Tensor,
    build_step: Callable[[], MixtureStep],
    *,
    tail_fraction: float,
    seed: int,
    draws: int = DRAWS,
) -> list[float]:
    """Return the L1 distance of the result from the start for each draw of signs, sorted.

    Args:
        deltas_by_seed: For each learning seed its runs in order, each (episodes, M), in nats per
            token. A run after the first is a restart: it starts at the mean alpha so far.
        start_M: alpha before the first episode, shape (M,).
        build_step: Returns a fresh step of alpha, with its projection and pull.
        tail_fraction: Part of a seed's last run whose mean is its result.
        seed: Root of the random signs.
        draws: Number of draws.
    """
    distances = []
    for draw in range(draws):
        generator = torch.Generator().manual_seed(derive_seed(seed, "null drift", draw))
        results = [
            _result(runs, start_M, build_step, tail_fraction, generator) for runs in deltas_by_seed
        ]
        distances.append(float((torch.stack(results).mean(dim=0) - start_M).abs().sum()))
    return sorted(distances)


def _result(
    runs: Sequence[Tensor],
    start_M: Tensor,
    build_step: Callable[[], MixtureStep],
    tail_fraction: float,
    generator: torch.Generator,
) -> Tensor:
    updates: list[Tensor] = []
    alpha_TM = start_M[None]
    for run, delta_TM in enumerate(runs):
        alpha_M = start_M if run == 0 else torch.stack(updates).mean(dim=0)
        step, alphas = build_step(), [alpha_M]
        signs_T = 2 * torch.randint(0, 2, (len(delta_TM),), generator=generator) - 1
        for sign, delta_M in zip(signs_T, delta_TM, strict=True):
            alphas.append(step(alphas[-1], sign * simplex.centre(delta_M)))
        updates += alphas[1:]
        alpha_TM = torch.stack(alphas)
    return tail_mean(alpha_TM, tail_fraction)
