r"""How far noise alone would have moved alpha: the run's own noise at the run's own step sizes.

Signal changes little from one episode to the next, noise does. So the noise of the centred Delta is
estimated by half-squared successive differences (von Neumann 1941), and the step size by which the
run followed Delta by projecting each move of alpha on it:

.. math:: e_t = (\bar\Delta^t - \bar\Delta^{t-1}) / \sqrt 2, \qquad
    \eta_t = -\langle \alpha^t - \alpha^{t-1}, \bar\Delta^t \rangle / \|\bar\Delta^t\|^2 .

A share that rises by chance is pushed back where validation says so; that force is the k of the
regression :math:`\bar\Delta^t = \rho_t (b + k (\alpha^{t-1} - \bar\alpha)) + \text{noise}`, with
:math:`\rho_t` the learning rate over its largest. A walk without force shows some by chance, so k
counts only beyond the 1 % point of a unit-root test on N = M - 1 series (Dickey, Fuller 1979; with
individual means, as in Levin, Lin, Chu 2002: about 1.8 + 1.55 sqrt(N) standard errors).

Noise alone would have led alpha along

.. math:: x^t = x^{t-1} - \eta_t (\rho_t k\, x^{t-1} + s_t e_t), \qquad x^0 = 0,

and many draws of random signs s give the distribution of where that ends (a wild bootstrap, Wu
1986). All noise counts, of the Delta batches and of the probing batches. The edge of the simplex is
left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tandem_engine.seeding import derive_seed
from tandem_engine.trajectory import tail_mean

DRAWS = 200


@dataclass(frozen=True, slots=True)
class Track:
    """What one run went through: T episodes, M domains."""

    alphas_TM: Tensor
    """alpha with its start, shape (T + 1, M)."""
    deltas_TM: Tensor
    """Nats per token, shape (T, M)."""
    rates_T: Tensor
    """Learning rate of each episode, shape (T,)."""

    @property
    def centred(self) -> Tensor:
        """Deltas without what a projection takes off anyway."""
        return self.deltas_TM - self.deltas_TM.mean(dim=1, keepdim=True)

    @property
    def relative_rates(self) -> Tensor:
        """Learning rates over the largest; 1 where there is none."""
        largest = self.rates_T.max()
        return self.rates_T / largest if largest > 0 else torch.ones_like(self.rates_T)


@dataclass(frozen=True, slots=True)
class NoiseOfRun:
    """What moves alpha without a reason, in each of T episodes."""

    moves_TM: Tensor
    """By noise, up to its sign."""
    kept_T: Tensor
    """Part of an earlier move that the force back to the start leaves."""


def noise_of(track: Track) -> NoiseOfRun:
    """Return the noise of a run and the force that holds it."""
    centred_TM = track.centred
    if len(centred_TM) < 2:  # noqa: PLR2004 - no difference without two
        # Nothing tells noise from signal: all may be noise.
        return NoiseOfRun(track.alphas_TM.diff(dim=0), torch.ones_like(track.rates_T))
    differences_TM = centred_TM.diff(dim=0) / math.sqrt(2.0)
    noise_TM = torch.cat([differences_TM[:1], differences_TM])
    squared_T = centred_TM.square().sum(dim=1)
    along_T = (track.alphas_TM.diff(dim=0) * centred_TM).sum(dim=1)
    size_T = torch.where(squared_T > 0, -along_T / squared_T, 0.0)
    held_T = size_T * track.relative_rates * restoring_force(track)
    # Steps that overshoot turn noise round; beyond twice it would grow without bound.
    return NoiseOfRun(-size_T[:, None] * noise_TM, (1.0 - held_T).clamp(-1.0, 1.0))


def restoring_force(track: Track) -> float:
    """Return k, nats per token and unit of share; 0 where it is not beyond chance."""
    rate_T1 = track.relative_rates[:, None]
    weights_T1 = rate_T1.square()
    total = weights_T1.sum()
    mean_M = (rate_T1 * track.centred).sum(dim=0) / total
    before_TM = track.alphas_TM[:-1]
    offset_TM = before_TM - (weights_T1 * before_TM).sum(dim=0) / total
    spread = (weights_T1 * offset_TM.square()).sum()
    if not spread > 0:
        return 0.0
    force = (rate_T1 * offset_TM * (track.centred - rate_T1 * mean_M)).sum() / spread
    rest_TM = track.centred - rate_T1 * (mean_M + force * offset_TM)
    episodes, domains = rest_TM.shape
    freedom = max(1, (episodes - 1) * (domains - 1) - 1)
    error = (rest_TM.square().sum() / freedom / spread).sqrt()
    point = 1.8 + 1.55 * math.sqrt(domains - 1)
    return float(force) if force > point * error else 0.0


def null_distances(
    tracks_by_seed: Sequence[Sequence[Track]],
    *,
    tail_fraction: float,
    seed: int,
    draws: int = DRAWS,
) -> list[float]:
    """Return the L1 distance of the result from the start for each draw of signs, sorted.

    Args:
        tracks_by_seed: For each learning seed its runs in order. A run after the first is a
            restart: it starts at the mean alpha so far.
        tail_fraction: Part of a seed's last run whose mean is its result.
        seed: Root of the random signs.
        draws: Number of draws.
    """
    noise_by_seed = [[noise_of(track) for track in tracks] for tracks in tracks_by_seed]
    generator = torch.Generator().manual_seed(derive_seed(seed, "null drift"))
    distances = []
    for _ in range(draws):
        ends = [_end(moves, tail_fraction, generator) for moves in noise_by_seed]
        distances.append(float(torch.stack(ends).mean(dim=0).abs().sum()))
    return sorted(distances)


def _end(runs: Sequence[NoiseOfRun], tail_fraction: float, generator: torch.Generator) -> Tensor:
    """Return where one draw leads a seed's result, relative to its start, shape (M,)."""
    position_M = torch.zeros_like(runs[0].moves_TM[0])
    updates: list[Tensor] = []
    path_TM = position_M[None]
    for run in runs:
        signs_T = 2 * torch.randint(0, 2, (len(run.moves_TM),), generator=generator) - 1
        path = [position_M]
        for sign, kept, move_M in zip(signs_T, run.kept_T, run.moves_TM, strict=True):
            path.append(kept * path[-1] + sign * move_M)
        updates += path[1:]
        path_TM = torch.stack(path)
        position_M = torch.stack(updates).mean(dim=0)
    return tail_mean(path_TM, tail_fraction)
