r"""Aioli (Chen et al. 2024, arXiv 2411.05735, Algorithm 1; code HazyResearch/aioli, Apache-2.0).

One model and one schedule; nothing is rolled back. In each of T rounds the model first visits M
near one-hot mixtures :math:`W_m` (share h of domain m, the rest even), a few real training steps
each, in `sweeps` random orders; what they do to the validation losses is

.. math:: B_{mj} = \text{mean over sweeps of } L_j(\text{before}) - L_j(\text{after})

and :math:`W A = B` gives what a step on a pure domain would do. A is shifted to be at least 0 and
normed to a sum of 1, and the rest of the round trains on

.. math:: p_m \propto p^{t-1}_m \exp\Big(\eta \sum_j A_{mj}\Big)

The answer is the mean of the rounds' mixtures, as the paper of TANDEM takes it (Appendix E). With A
summing to 1, a round moves p by a factor of e at most.

Deviations: visits take exact numbers of rows, where the published code's rounding can leave a
domain out; the validation set is capped; no smoothing of A over rounds; visits may take at most
half of the steps (published: up to 70 %). Losses of targets count by their weights.
"""

from typing import Any

import torch
from torch import Tensor

from tandem_engine.contracts.methods.online import AioliMethod
from tandem_engine.loop import Episode
from tandem_engine.methods.protocol import MethodSetup
from tandem_engine.methods.proxy import Proxy
from tandem_engine.seeding import numpy_generator
from tandem_engine.twins import Twin


def near_one_hot(domains: int, focus: float) -> Tensor:
    """Return W, shape (M, M): row m gives domain m the share `focus`, the others even parts."""
    rest = (1.0 - focus) / (domains - 1)
    eye_MM = torch.eye(domains, dtype=torch.float64)
    return rest * (1.0 - eye_MM) + focus * eye_MM


def responses(drops_MJ: Tensor, focus: float) -> Tensor:
    """Return A of W A = B, at least 0 and with a sum of 1; uniform where nothing responds.

    Args:
        drops_MJ: B, drops of the losses in nats per token.
        focus: Share of a visit's own domain, h; above 1 / M, or W has no inverse.
    """
    solved_MJ: Tensor = torch.linalg.solve(near_one_hot(len(drops_MJ), focus), drops_MJ)
    shifted_MJ = solved_MJ - solved_MJ.min().clamp(max=0.0)
    total = float(shifted_MJ.sum())
    if total <= 0.0:
        return torch.full_like(shifted_MJ, 1.0 / shifted_MJ.numel())
    return shifted_MJ / total


def update(alpha_M: Tensor, response_MJ: Tensor, weight_J: Tensor, *, eta: float) -> Tensor:
    r"""Return :math:`p \propto p \exp(\eta A v)` with weights v of the judges, mean 1."""
    return torch.softmax(alpha_M.log() + eta * (response_MJ @ weight_J), dim=0)


class Aioli:
    """A run; an episode is a round."""

    def __init__(self, setup: MethodSetup) -> None:
        """Take the run's setup."""
        settings = setup.spec.method
        assert isinstance(settings, AioliMethod)  # noqa: S101 - the registry's promise
        self._settings, self._setup, self._objective = settings, setup, setup.objective
        size = setup.spec.job_size
        self._round_steps = settings.round_steps(size)
        self._visit_steps = settings.visit_steps(size)
        self._proxy = Proxy(setup, total_steps=settings.rounds * self._round_steps)
        self._weight_J = self._objective.judge_weights * self._objective.judges
        self._alpha_M = setup.start_M.clone()
        self._mean_M = torch.zeros_like(self._alpha_M)
        self._episode = 0

    @property
    def proxy(self) -> Twin:
        """The model in training."""
        return self._proxy.twin

    def run_episode(self) -> Episode:
        """Run one round."""
        rate_factor = self._proxy.rate_factor
        response_MJ = responses(self._visit(), self._settings.focus)
        moved_M = update(self._alpha_M, response_MJ, self._weight_J, eta=self._settings.eta)
        self._alpha_M = self._setup.project(moved_M)
        self._episode += 1
        self._mean_M += (self._alpha_M - self._mean_M) / self._episode
        left = self._episode * self._round_steps - self._proxy.step
        self._proxy.train_on_mixture(self._alpha_M, left)
        return Episode(
            number=self._episode,
            step=self._proxy.step,
            alpha_M=self._alpha_M.clone(),
            answer_M=self._mean_M.clone(),
            delta_M=-(response_MJ @ self._weight_J),
            rate_factor=rate_factor,
        )

    def _visit(self) -> Tensor:
        """Return B of this round's visits, shape (M, J)."""
        domains, count = len(self._alpha_M), self._settings.validation_sequences
        mixture_MM = near_one_hot(domains, self._settings.focus)
        drops_MJ = torch.zeros(domains, self._objective.judges, dtype=torch.float64)
        before_J = self._proxy.judged_losses(count)
        for sweep in range(self._settings.sweeps):
            generator = numpy_generator(self._setup.spec.seed, "aioli", self._episode, sweep)
            for domain in generator.permutation(domains).tolist():
                self._proxy.train_on_mixture(mixture_MM[domain], self._visit_steps)
                after_J = self._proxy.judged_losses(count)
                drops_MJ[domain] += before_J - after_J
                before_J = after_J
        return drops_MJ / self._settings.sweeps

    def state_dict(self) -> dict[str, Any]:
        """Return the model, the mixture and where the run stands."""
        return {
            "proxy": self._proxy.state_dict(),
            "objective": self._objective.state_dict(),
            "alpha": self._alpha_M,
            "mean": self._mean_M,
            "episode": self._episode,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of `state_dict`."""
        self._proxy.load_state_dict(state["proxy"])
        self._objective.load_state_dict(state["objective"])
        self._alpha_M, self._mean_M = state["alpha"], state["mean"]
        self._episode = state["episode"]
