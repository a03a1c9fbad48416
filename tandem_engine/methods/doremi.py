r"""DoReMi (Xie et al. 2023, arXiv 2305.10429, Algorithm 1; code sangmichaelxie/doremi, MIT).

A reference model trains on a fixed mixture. A proxy of the same shape then trains on a mixture
that leans towards the domains where it is furthest behind the reference. In each step t, on a
stratified batch:

.. math::

    s_m &= \operatorname{mean}_{\text{tokens of } m} \max(\ell_\theta - \ell_{ref}, 0) \\
    \alpha' &\propto \alpha^{t-1} \exp(\eta s), \qquad \alpha^t = (1 - c)\,\alpha' + c / M

and the proxy steps on its loss weighted by :math:`\alpha^t`. The answer is the mean of all
:math:`\alpha^t` with :math:`\alpha^0`.

`excess_clip: domain` takes the maximum after the mean, as DoGE's and Aioli's re-implementations.
A later round takes the answer of the one before as the reference's mixture.

Deviations: batches are stratified, so that no domain is ever absent (with fewer rows than domains
an absent one keeps its score); the optimiser and its schedule are the job's; reference and proxy
read the same order of data, where the original reverses the shards for one of them; the proxy's
loss weights domain means, not tokens, which is the same for rows of one length. The last point of
a round holds its answer.
"""

from typing import Any

import torch
from torch import Tensor

from tandem_engine import simplex
from tandem_engine.contracts.methods.online import DoremiMethod
from tandem_engine.loop import Episode
from tandem_engine.methods.protocol import MethodSetup
from tandem_engine.methods.proxy import Proxy
from tandem_engine.mixtures import natural
from tandem_engine.objective import RowBatch
from tandem_engine.twins import Twin


def update(alpha_M: Tensor, scores_M: Tensor, *, eta: float, smoothing: float) -> Tensor:
    r"""Return :math:`(1 - c)\operatorname{softmax}(\log\alpha + \eta s) + c / M`, shape (M,).

    Args:
        alpha_M: Shares before.
        scores_M: Excess losses, nats per token.
        eta: Rate of the exponent.
        smoothing: c.
    """
    moved_M = torch.softmax(alpha_M.log() + eta * scores_M, dim=0)
    return (1.0 - smoothing) * moved_M + smoothing / len(alpha_M)


def excess(
    proxy_RT: Tensor,
    reference_RT: Tensor,
    borne_RT: Tensor,
    domain_R: Tensor,
    scores_M: Tensor,
    *,
    clip: str,
) -> Tensor:
    """Return the excess loss per domain, nats per token, float64, (M,).

    Args:
        proxy_RT: Token losses of the proxy, 0 where none is borne.
        reference_RT: The same of the reference.
        borne_RT: Which tokens bear a loss.
        domain_R: Domain of each row.
        scores_M: What a domain without a token in the batch keeps.
        clip: `token` or `domain`.
    """
    difference_RT = (proxy_RT - reference_RT).double()
    if clip == "token":
        difference_RT = difference_RT.clamp_min(0.0)
    sums_M, counts_M = torch.zeros_like(scores_M), torch.zeros_like(scores_M)
    sums_M.index_add_(0, domain_R, (difference_RT * borne_RT).sum(dim=1).cpu())
    counts_M.index_add_(0, domain_R, borne_RT.sum(dim=1).double().cpu())
    means_M = (sums_M / counts_M).clamp_min(0.0)
    return torch.where(counts_M > 0, means_M, scores_M)


class Doremi:
    """A run: in each round a reference, then a proxy."""

    def __init__(self, setup: MethodSetup) -> None:
        """Take the run's setup."""
        settings = setup.spec.method
        assert isinstance(settings, DoremiMethod)  # noqa: S101 - the registry's promise
        self._settings, self._setup, self._objective = settings, setup, setup.objective
        learning = setup.spec.learning
        self._chunk, self._chunks = learning.episode_steps, learning.episodes
        self._reference = Proxy(setup, total_steps=self._chunk * self._chunks)
        self._proxy = Proxy(setup, total_steps=self._chunk * self._chunks)
        domains = len(setup.start_M)
        shares = natural(setup.tokens) if settings.reference_weights == "natural" else None
        self._reference_M = (
            torch.tensor(shares, dtype=torch.float64) if shares else simplex.uniform(domains)
        )
        self._scores_M = torch.zeros(domains, dtype=torch.float64)
        self._episode = 0
        self._begin_round()

    @property
    def proxy(self) -> Twin:
        """The model in training: the reference, then the proxy."""
        return (self._reference if self._in_reference(self._episode - 1) else self._proxy).twin

    def run_episode(self) -> Episode:
        """Train the model of the phase for K + E steps."""
        if self._episode and self._episode % (2 * self._chunks) == 0:
            self._reference_M = self._mean_M.clone()
            self._begin_round()
        elif self._episode % (2 * self._chunks) == self._chunks:
            self._proxy.restart()
        in_reference = self._in_reference(self._episode)
        model = self._reference if in_reference else self._proxy
        rate_factor = model.rate_factor
        for _ in range(self._chunk):
            if in_reference:
                model.train(self._objective.mixture_batch(self._reference_M), self._reference_M)
            else:
                self._proxy_step()
        self._episode += 1
        return Episode(
            number=self._episode,
            step=self._episode * self._chunk,
            alpha_M=self._alpha_M.clone(),
            answer_M=self._mean_M.clone(),
            tried_M=self._reference_M.clone() if in_reference else None,
            delta_M=-self._scores_M,
            rate_factor=rate_factor,
        )

    def _in_reference(self, episode: int) -> bool:
        return episode // self._chunks % 2 == 0

    def _begin_round(self) -> None:
        self._reference.restart()
        self._alpha_M = self._setup.start_M.clone()
        self._mean_M, self._updates = self._alpha_M.clone(), 1
        self._scores_M.zero_()

    def _proxy_step(self) -> None:
        batch = self._objective.stratified_batch()
        losses_RT, borne_RT = self._objective.token_losses(self._proxy.twin.model, batch)
        with torch.no_grad():
            reference_RT, _ = self._objective.token_losses(self._reference.twin.model, batch)
        self._move(losses_RT.detach(), reference_RT, borne_RT, batch)
        losses_R = losses_RT.sum(dim=1) / borne_RT.sum(dim=1)
        weights_R = batch.train_weights(self._alpha_M)
        self._proxy.descend((weights_R.to(losses_R) * losses_R).sum())

    def _move(
        self, losses_RT: Tensor, reference_RT: Tensor, borne_RT: Tensor, batch: RowBatch
    ) -> None:
        settings = self._settings
        self._scores_M = excess(
            losses_RT,
            reference_RT,
            borne_RT,
            batch.domain_R,
            self._scores_M,
            clip=settings.excess_clip,
        )
        moved_M = update(
            self._alpha_M, self._scores_M, eta=settings.eta, smoothing=settings.smoothing
        )
        self._alpha_M = self._setup.project(moved_M)
        self._updates += 1
        self._mean_M += (self._alpha_M - self._mean_M) / self._updates

    def state_dict(self) -> dict[str, Any]:
        """Return both models, the mixtures and where the run stands."""
        return {
            "reference": self._reference.state_dict(),
            "proxy": self._proxy.state_dict(),
            "objective": self._objective.state_dict(),
            "reference_mixture": self._reference_M,
            "alpha": self._alpha_M,
            "mean": self._mean_M,
            "updates": self._updates,
            "scores": self._scores_M,
            "episode": self._episode,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of `state_dict`."""
        self._reference.load_state_dict(state["reference"])
        self._proxy.load_state_dict(state["proxy"])
        self._objective.load_state_dict(state["objective"])
        self._reference_M = state["reference_mixture"]
        self._alpha_M, self._mean_M = state["alpha"], state["mean"]
        self._updates, self._scores_M = state["updates"], state["scores"]
        self._episode = state["episode"]
