r"""Chameleon (Xie et al. 2025, arXiv 2505.24844, Section 3), from the formulas alone.

A proxy trains on equal shares. The mean :math:`x_m` of its last hidden states over sequences of a
domain, normed, stands for the domain; with the kernel :math:`\Omega_{mn} = x_m \cdot x_n` the ridge
leverage score

.. math:: S_m = \big[\Omega\, (\Omega + M \lambda I)^{-1}\big]_{mm}

is small where other domains already cover a domain. For pretraining
:math:`\alpha = \operatorname{softmax}(1 / (\tau S))`, which favours general domains; in the
scenario `sft` :math:`\operatorname{softmax}(S / \tau)`, which favours particular ones. Nothing is
trained on the scores, so a new domain costs a pass over some of its text.

Deviations: embeddings are normed to length 1; the published code has no licence and was not used.
"""

from typing import Any

import torch
from torch import Tensor

from tandem_engine import simplex
from tandem_engine.contracts.methods.fitted import ChameleonMethod
from tandem_engine.loop import Episode
from tandem_engine.methods.protocol import MethodSetup
from tandem_engine.methods.proxy import Proxy
from tandem_engine.twins import Twin

PRETRAINING_TEMPERATURE = 5.0
TUNING_TEMPERATURE = 0.2


def leverage(embedding_MD: Tensor, ridge: float) -> Tensor:
    r"""Return the ridge leverage scores, each in (0, 1), shape (M,).

    Args:
        embedding_MD: One vector per domain, not all 0.
        ridge: lambda.
    """
    unit_MD = torch.nn.functional.normalize(embedding_MD, dim=1)
    kernel_MM = unit_MD @ unit_MD.T
    count = len(kernel_MM)
    shifted_MM = kernel_MM + count * ridge * torch.eye(count, dtype=kernel_MM.dtype)
    # Omega commutes with its shift, so the order of the product does not matter.
    smoothed_MM: Tensor = torch.linalg.solve(shifted_MM, kernel_MM)
    return smoothed_MM.diagonal()


def mixture(scores_M: Tensor, temperature: float, *, general: bool) -> Tensor:
    """Return the shares, shape (M,).

    Args:
        scores_M: Leverage scores.
        temperature: tau.
        general: Favour what other domains cover (pretraining), or what they do not.
    """
    return torch.softmax((1.0 / scores_M if general else scores_M) / temperature, dim=0)


class Chameleon:
    """A run: a proxy on equal shares, then one look at its hidden states."""

    def __init__(self, setup: MethodSetup) -> None:
        """Take the run's setup."""
        settings = setup.spec.method
        assert isinstance(settings, ChameleonMethod)  # noqa: S101 - the registry's promise
        self._settings, self._setup, self._objective = settings, setup, setup.objective
        learning = setup.spec.learning
        self._chunk, self._chunks = learning.episode_steps, learning.episodes
        self._uniform_M = simplex.uniform(len(setup.start_M))
        self._proxy = Proxy(setup, total_steps=self._chunks * self._chunk)
        self._alpha_M = setup.start_M.clone()
        self._episode = 0

    @property
    def proxy(self) -> Twin:
        """The model in training."""
        return self._proxy.twin

    def run_episode(self) -> Episode:
        """Train for K + E steps; after the last ones, answer."""
        rate_factor = self._proxy.rate_factor
        for _ in range(self._chunk):
            self._proxy.train(self._objective.stratified_batch(), self._uniform_M)
        self._episode += 1
        if self._episode == self._chunks:
            self._alpha_M = self._setup.project(self._answer())
        return Episode(
            number=self._episode,
            step=self._proxy.step,
            alpha_M=self._alpha_M.clone(),
            answer_M=self._alpha_M.clone(),
            tried_M=self._uniform_M.clone(),
            delta_M=torch.zeros_like(self._alpha_M),
            rate_factor=rate_factor,
        )

    def _answer(self) -> Tensor:
        count = self._settings.embedded_sequences
        means = [
            self._objective.mean_hidden_state(self.proxy.model, domain, count)
            for domain in range(len(self._alpha_M))
        ]
        scores_M = leverage(torch.stack(means), self._settings.ridge)
        general = self._setup.spec.scenario != "sft"
        authors = PRETRAINING_TEMPERATURE if general else TUNING_TEMPERATURE
        return mixture(scores_M, self._settings.temperature or authors, general=general)

    def state_dict(self) -> dict[str, Any]:
        """Return the model and where the run stands."""
        return {
            "proxy": self._proxy.state_dict(),
            "objective": self._objective.state_dict(),
            "alpha": self._alpha_M,
            "episode": self._episode,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of `state_dict`."""
        self._proxy.load_state_dict(state["proxy"])
        self._objective.load_state_dict(state["objective"])
        self._alpha_M, self._episode = state["alpha"], state["episode"]
