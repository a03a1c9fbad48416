r"""Many proxies on many mixtures: what RegMix and data mixing laws are fitted to.

Mixtures scatter about a prior q, shares in proportion to tokens to a power (RegMix,
mixture_config/synthesize_mixture.py, MIT): each is drawn from a Dirichlet distribution
:math:`\mathrm{Dir}(s\, q)` with a strength s that is itself drawn from 15 values between 0.1 and
5, log-spaced; one with a share above `maximum_usage` times the prior's is drawn again, and shares
below 2e-4 become 0.
"""

import json
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tandem_engine.contracts.methods.fitted import MixingLawsMethod, RegmixMethod
from tandem_engine.loop import Episode
from tandem_engine.methods.protocol import MethodSetup
from tandem_engine.methods.proxy import Proxy
from tandem_engine.mixtures import temperature
from tandem_engine.seeding import numpy_generator
from tandem_engine.twins import Twin

STRENGTHS = tuple(float(s) for s in np.geomspace(0.1, 5.0, 15))
LEAST_SHARE = 2e-4
TRIES = 1000
"""Draws before a mixture beyond `maximum_usage` is taken after all: the prior may allow few."""

Mixtures = npt.NDArray[np.float64]


def scatter(
    prior: npt.NDArray[np.float64],
    count: int,
    generator: np.random.Generator,
    *,
    maximum_usage: float = float("inf"),
    strengths: tuple[float, ...] = STRENGTHS,
) -> Mixtures:
    """Return `count` mixtures about `prior`, shape (count, M).

    Args:
        prior: q, sums to 1, shape (M,).
        count: How many.
        generator: Source of randomness.
        maximum_usage: Largest share, in shares of the prior.
        strengths: Dirichlet strengths to draw from.
    """
    drawn = []
    for _ in range(count):
        mixture = generator.dirichlet(prior * generator.choice(strengths))
        for _ in range(TRIES):
            if (mixture <= maximum_usage * prior).all():
                break
            mixture = generator.dirichlet(prior * generator.choice(strengths))
        mixture[mixture < LEAST_SHARE] = 0.0
        drawn.append(mixture / mixture.sum())
    return np.array(drawn)


class Swarm(ABC):
    """A run: proxies one after the other, then an answer from their losses."""

    def __init__(self, setup: MethodSetup, settings: RegmixMethod | MixingLawsMethod) -> None:
        """Take the run's setup and what both methods' settings have in common."""
        self._setup, self._objective = setup, setup.objective
        self._count, self._sequences = settings.proxies, settings.validation_sequences
        self._chunk = setup.spec.learning.episode_steps
        self._chunks = settings.proxy_chunks(setup.spec.job_size)
        prior = temperature(setup.tokens, settings.prior_temperature)
        self._prior = np.array(prior)
        self._tried_NM = scatter(
            self._prior,
            self._count,
            self._generator("mixtures"),
            maximum_usage=getattr(settings, "maximum_usage", float("inf")),
        )
        self._losses: list[list[float]] = []
        self._proxy = Proxy(setup, total_steps=self._chunks * self._chunk)
        self._alpha_M = setup.start_M.clone()
        self._episode = 0

    @abstractmethod
    def answer(self, tried_NM: Mixtures, losses_NJ: Mixtures) -> Mixtures:
        """Return the mixture that the losses of N proxies speak for, shape (M,)."""

    @property
    def proxy(self) -> Twin:
        """The model in training."""
        return self._proxy.twin

    def run_episode(self) -> Episode:
        """Train the proxy of the turn for K + E steps; after the last one, answer."""
        place, chunk = divmod(self._episode, self._chunks)
        if chunk == 0 and self._episode:
            self._proxy.restart()
        tried_M = torch.from_numpy(self._tried_NM[place])
        rate_factor = self._proxy.rate_factor
        self._proxy.train_on_mixture(tried_M, self._chunk)
        self._episode += 1
        if chunk == self._chunks - 1:
            self._losses.append(self._proxy.judged_losses(self._sequences).tolist())
        if len(self._losses) == self._count:
            found = self.answer(self._tried_NM, np.array(self._losses))
            self._alpha_M = self._setup.project(torch.from_numpy(found))
        return Episode(
            number=self._episode,
            step=self._episode * self._chunk,
            alpha_M=self._alpha_M.clone(),
            answer_M=self._alpha_M.clone(),
            tried_M=tried_M.clone(),
            delta_M=torch.zeros_like(self._alpha_M),
            rate_factor=rate_factor,
        )

    @property
    def judge_weights(self) -> Mixtures:
        """Weights of the judges, summing to 1."""
        weights: Mixtures = self._objective.judge_weights.numpy()
        return weights

    def _generator(self, use: str) -> np.random.Generator:
        return numpy_generator(self._setup.spec.seed, self._setup.spec.method.kind, use)

    def state_dict(self) -> dict[str, Any]:
        """Return the model in training, the losses so far and where the run stands."""
        return {
            "proxy": self._proxy.state_dict(),
            "objective": self._objective.state_dict(),
            "losses": json.dumps(self._losses),
            "alpha": self._alpha_M,
            "episode": self._episode,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of `state_dict`; the mixtures are drawn again from the seed."""
        self._proxy.load_state_dict(state["proxy"])
        self._objective.load_state_dict(state["objective"])
        self._losses = json.loads(state["losses"])
        self._alpha_M = state["alpha"]
        self._episode = state["episode"]
