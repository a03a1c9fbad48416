r"""Data mixing laws (Ye et al. 2024, arXiv 2403.16952, Equation 7), from the formula alone.

Proxies train on N mixtures (`tandem_engine.methods.swarm`); each validation loss follows

.. math:: L_j(r) = c_j + k_j \exp(t_j \cdot r), \qquad c_j, k_j > 0

which is fitted with Huber's loss by L-BFGS from several random starts, and the answer is the
mixture with the least :math:`\sum_j v_j L_j(r)`. An exponential of a linear function is convex, so
projected gradient descent finds it; bounds on shares are part of the projection.

Deviations: the authors nest laws for steps and sizes inside this one and enumerate a grid of
sixteenths; here the proxies are the model of the job, and the optimum is exact. The published code
has no licence and was not used.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tandem_engine import simplex
from tandem_engine.contracts.methods.fitted import MixingLawsMethod
from tandem_engine.methods.protocol import MethodSetup
from tandem_engine.methods.swarm import Mixtures, Swarm

ITERATIONS = 500
AT_REST = 1e-10
STEEPEST = 30.0
"""Largest size of an exponent's slope: beyond it one proxy's noise would rule the answer."""


@dataclass(frozen=True, slots=True)
class Law:
    """Fitted laws of J losses: logarithms of c and k, shape (J,), and t, shape (J, M)."""

    log_c_J: Tensor
    log_k_J: Tensor
    slope_JM: Tensor

    def __call__(self, mixture_NM: Tensor) -> Tensor:
        """Return the losses of N mixtures, shape (N, J)."""
        return self.log_c_J.exp() + (self.log_k_J + mixture_NM @ self.slope_JM.T).exp()


def fit(
    mixture_NM: Tensor, losses_NJ: Tensor, *, huber_delta: float, starts: int, seed: int
) -> Law:
    """Return the law of each loss with the least Huber loss over the starts.

    Args:
        mixture_NM: Mixtures that were tried, float64.
        losses_NJ: Their validation losses, nats per token.
        huber_delta: Errors beyond it count linearly, nats.
        starts: Random initial values.
        seed: Root of them.
    """
    generator = torch.Generator().manual_seed(seed)
    found = [
        _fit_one(mixture_NM, losses_N, huber_delta, starts, generator) for losses_N in losses_NJ.T
    ]
    return Law(*(torch.stack(parts) for parts in zip(*found, strict=True)))


def _fit_one(
    mixture_NM: Tensor, losses_N: Tensor, delta: float, starts: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    domains = mixture_NM.shape[1]
    best, least = None, math.inf
    for _ in range(starts):
        # c somewhere below the losses, k for the rest, slopes about 0.
        part = torch.rand(2, generator=generator, dtype=torch.float64)
        low = float(losses_N.min())
        raw = torch.cat(
            [
                torch.log(low * (0.2 + 0.75 * part[:1])),
                torch.log(0.1 + 0.5 * part[1:]),
                torch.randn(domains, generator=generator, dtype=torch.float64),
            ]
        ).requires_grad_()
        value = _descend(raw, mixture_NM, losses_N, delta)
        if value < least:
            best, least = raw.detach().clone(), value
    if best is None:
        best = torch.cat([losses_N.mean().log()[None], torch.full((domains + 1,), -10.0).double()])
    return best[0], best[1], _bounded(best[2:])


def _bounded(slope_M: Tensor) -> Tensor:
    return STEEPEST * torch.tanh(slope_M / STEEPEST)


def _descend(raw: Tensor, mixture_NM: Tensor, losses_N: Tensor, delta: float) -> float:
    optimiser = torch.optim.LBFGS([raw], max_iter=200, line_search_fn="strong_wolfe")

    def objective() -> Tensor:
        predicted_N = raw[0].exp() + (raw[1] + mixture_NM @ _bounded(raw[2:])).exp()
        return torch.nn.functional.huber_loss(predicted_N, losses_N, delta=delta)

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = objective()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        value = float(objective())
    return value if math.isfinite(value) else math.inf


def minimise(
    law: Law,
    weight_J: Tensor,
    start_M: Tensor,
    project: Callable[[Tensor], Tensor] = simplex.project,
) -> Tensor:
    """Return the mixture with the least weighted loss, by projected gradient with backtracking."""

    def value(mixture_M: Tensor) -> Tensor:
        return law(mixture_M[None])[0] @ weight_J

    here_M, rate = project(start_M), 1.0
    for _ in range(ITERATIONS):
        exponent_J = (law.log_k_J + law.slope_JM @ here_M).exp()
        gradient_M = (weight_J * exponent_J) @ law.slope_JM
        before = value(here_M)
        rate *= 2.0
        while True:
            moved_M = project(here_M - rate * gradient_M) - here_M
            bound = before + gradient_M @ moved_M + moved_M @ moved_M / (2 * rate)
            if value(here_M + moved_M) <= bound or float(moved_M.abs().sum()) < AT_REST:
                break
            rate /= 2.0
        here_M = here_M + moved_M
        if float(moved_M.abs().sum()) < AT_REST:
            break
    return here_M


class MixingLaws(Swarm):
    """A run of data mixing laws."""

    def __init__(self, setup: MethodSetup) -> None:
        """Take the run's setup."""
        settings = setup.spec.method
        assert isinstance(settings, MixingLawsMethod)  # noqa: S101 - the registry's promise
        self._settings = settings
        super().__init__(setup, settings)

    def answer(self, tried_NM: Mixtures, losses_NJ: NDArray[np.float64]) -> Mixtures:
        """Return the minimum of the fitted laws."""
        law = fit(
            torch.from_numpy(tried_NM),
            torch.from_numpy(losses_NJ),
            huber_delta=self._settings.huber_delta,
            starts=self._settings.starts,
            seed=int(self._generator("starts").integers(2**31)),
        )
        weight_J = torch.from_numpy(self.judge_weights)

        def allowed(point_M: Tensor) -> Tensor:
            return self._setup.project(simplex.project(point_M))

        found: Mixtures = minimise(law, weight_J, self._setup.start_M, allowed).numpy()
        return found
