r"""Skill-It (Chen et al. 2023, arXiv 2307.14430, Algorithm 1; code skill-it, Apache-2.0).

First a graph: from the same weights a model trains on each domain alone, and

.. math:: A_{mj} = \frac{L_j(\text{start}) - L_j(\text{end, on } m)}{L_j(\text{start})}

is what training on m does for validation loss j (below 0 where it harms). Then one proxy trains on
a mixture that it draws by, new in each round t from the losses so far:

.. math:: p_m \propto \exp\Big(\eta \sum_j A_{mj} \sum_{\tau \in \text{last } w} L_j^{(\tau)}\Big),
    \qquad p^{0}_m \propto \exp\Big(\eta \sum_j A_{mj}\Big)

Not cumulative: each round starts from ones, over the last w evaluations. The answer is the mean of
the rounds' mixtures, as the paper of TANDEM takes it (Appendix E).

Deviations: the runs for the graph get an M-th of the steps each, so that the graph costs about as
much as the run (the published scripts give each a whole run); losses are evaluated in every round;
domains are told by name, where the code aligns them by position. A loss of targets counts by its
weight.
"""

from typing import Any

import torch
from torch import Tensor

from tandem_engine.contracts.methods.online import SkillItMethod
from tandem_engine.loop import Episode
from tandem_engine.methods.protocol import MethodSetup
from tandem_engine.methods.proxy import Proxy
from tandem_engine.twins import Twin


def relative_drops(start_J: Tensor, end_MJ: Tensor) -> Tensor:
    """Return the graph A, shape (M, J): by what part training on m lowers loss j."""
    return (start_J - end_MJ) / start_J


def mixture(graph_MJ: Tensor, losses_J: Tensor, *, eta: float) -> Tensor:
    r"""Return :math:`p \propto \exp(\eta A L)`, shape (M,).

    Args:
        graph_MJ: A.
        losses_J: Sum of the last evaluations, nats per token; ones before the first.
        eta: Rate of the exponent.
    """
    return torch.softmax(eta * (graph_MJ @ losses_J), dim=0)


class SkillIt:
    """A run: the graph, then the proxy whose mixture it steers."""

    def __init__(self, setup: MethodSetup) -> None:
        """Take the run's setup."""
        settings = setup.spec.method
        assert isinstance(settings, SkillItMethod)  # noqa: S101 - the registry's promise
        self._settings, self._setup, self._objective = settings, setup, setup.objective
        learning = setup.spec.learning
        self._chunk = learning.episode_steps
        self._domains = len(setup.start_M)
        self._graph_chunks = settings.graph_chunks(setup.spec.job_size)
        self._weight_J = self._objective.judge_weights * self._objective.judges
        self._steps_alone = self._graph_chunks * self._chunk
        self._steps = learning.episodes * self._chunk
        self._proxy = Proxy(setup, total_steps=self._steps_alone)
        self._start_J = self._proxy.judged_losses(settings.validation_sequences)
        self._end_MJ = torch.zeros(self._domains, self._objective.judges, dtype=torch.float64)
        self._history: list[Tensor] = []
        self._alpha_M = setup.start_M.clone()
        self._mean_M, self._rounds = setup.start_M.clone(), 0
        self._episode = 0

    @property
    def proxy(self) -> Twin:
        """The model in training."""
        return self._proxy.twin

    def run_episode(self) -> Episode:
        """Train on one domain alone, or a round of the proxy, for K + E steps."""
        alone = self._episode < self._domains * self._graph_chunks
        rate_factor = self._graph_episode() if alone else self._round()
        self._episode += 1
        tried_M = self._only(self._alone(self._episode - 1)) if alone else None
        return Episode(
            number=self._episode,
            step=self._episode * self._chunk,
            alpha_M=self._alpha_M.clone(),
            answer_M=self._mean_M.clone(),
            tried_M=tried_M,
            delta_M=torch.zeros_like(self._alpha_M) if alone else -self._pull_M,
            rate_factor=rate_factor,
        )

    def _alone(self, episode: int) -> int:
        return episode // self._graph_chunks

    def _only(self, domain: int) -> Tensor:
        return torch.nn.functional.one_hot(torch.tensor(domain), self._domains).double()

    def _graph_episode(self) -> float:
        domain = self._alone(self._episode)
        if self._episode % self._graph_chunks == 0 and self._episode:
            self._proxy.restart()
        rate_factor = self._proxy.rate_factor
        self._proxy.train_on_mixture(self._only(domain), self._chunk)
        if (self._episode + 1) % self._graph_chunks == 0:
            self._end_MJ[domain] = self._proxy.judged_losses(self._settings.validation_sequences)
        return rate_factor

    def _round(self) -> float:
        if self._rounds == 0:
            self._proxy = Proxy(self._setup, total_steps=self._steps)
        else:
            self._history.append(self._proxy.judged_losses(self._settings.validation_sequences))
        window = self._history[-self._settings.window :]
        losses_J = torch.stack(window).sum(dim=0) if window else torch.ones_like(self._start_J)
        graph_MJ = relative_drops(self._start_J, self._end_MJ)
        weighted_J = self._weight_J * losses_J
        self._pull_M = graph_MJ @ weighted_J
        self._alpha_M = self._setup.project(mixture(graph_MJ, weighted_J, eta=self._settings.eta))
        self._rounds += 1
        self._mean_M += (self._alpha_M - self._mean_M) / self._rounds
        rate_factor = self._proxy.rate_factor
        self._proxy.train_on_mixture(self._alpha_M, self._chunk)
        return rate_factor

    def state_dict(self) -> dict[str, Any]:
        """Return the model, the graph, the losses and where the run stands."""
        return {
            "proxy": self._proxy.state_dict(),
            "objective": self._objective.state_dict(),
            "start": self._start_J,
            "end": self._end_MJ,
            "history": list(self._history),
            "alpha": self._alpha_M,
            "mean": self._mean_M,
            "rounds": self._rounds,
            "episode": self._episode,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of `state_dict`."""
        if state["rounds"]:
            self._proxy = Proxy(self._setup, total_steps=self._steps)
        self._proxy.load_state_dict(state["proxy"])
        self._objective.load_state_dict(state["objective"])
        self._start_J, self._end_MJ = state["start"], state["end"]
        self._history = list(state["history"])
        self._alpha_M, self._mean_M = state["alpha"], state["mean"]
        self._rounds, self._episode = state["rounds"], state["episode"]
