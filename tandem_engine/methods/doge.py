r"""DoGE (Fan et al. 2024, arXiv 2310.15393, Algorithm 1; code Olivia-fsm/DoGE, MIT).

One proxy. In each step t every domain's gradient :math:`g_m` is compared with that of the
validation loss, :math:`g_{val}`, all clipped to the job's `gradient_clip`:

.. math::

    s_m &= \operatorname{clip}\Big(\eta_t \frac{\langle g_m, g_{val} \rangle}
        {\operatorname{mean}_i \|g_i\| + 10^{-6}},\, 0,\, 5\,\eta_t\Big) \\
    \alpha' &\propto \alpha^{t-1} \exp(s / \mu), \qquad
        \alpha^t = (1 - \epsilon)\,\alpha' + \epsilon / M

and the proxy steps along :math:`\sum_m \alpha^t_m g_m`. :math:`\eta_t` is the learning rate of the
step. The answer is the mean of all :math:`\alpha^t` with :math:`\alpha^0`.

The division by the mean norm and the clip are the code's, not the paper's. Deviations: what the
score points at is the loss on the validation parts (targets by their weights), where the original
holds back a mix of train text; batches are stratified; an absent domain (fewer rows than domains)
scores 0. No matrix of all gradients is built: the gradients of the domains are kept one by one, or
with `low_memory` only two at a time, for one more pass over the batch, whose weighted gradient is
then clipped as a whole only.
"""

from typing import Any

import torch
from torch import Tensor, nn

from tandem_engine.contracts.methods.online import DogeMethod
from tandem_engine.loop import Episode
from tandem_engine.methods.protocol import MethodSetup
from tandem_engine.methods.proxy import Proxy
from tandem_engine.objective import RowBatch
from tandem_engine.twins import Twin

LEAST_NORM = 1e-6


def scores(dots_M: Tensor, norms_M: Tensor, *, rate: float, clip: float) -> Tensor:
    """Return how far each domain's gradient points the way of validation's, shape (M,).

    Args:
        dots_M: Inner products of clipped gradients, 0 for an absent domain.
        norms_M: Norms of the domains' clipped gradients.
        rate: Learning rate of the step.
        clip: Largest score, over the rate; the smallest is 0.
    """
    raw_M = rate * dots_M / (norms_M.mean() + LEAST_NORM)
    return raw_M.clamp(0.0, clip * rate)


def update(alpha_M: Tensor, scores_M: Tensor, *, mu: float, smoothing: float) -> Tensor:
    r"""Return :math:`(1 - \epsilon)\operatorname{softmax}(\log\alpha + s/\mu) + \epsilon/M`."""
    moved_M = torch.softmax(alpha_M.log() + scores_M / mu, dim=0)
    return (1.0 - smoothing) * moved_M + smoothing / len(alpha_M)


class Doge:
    """A run: one proxy whose mixture moves in every step."""

    def __init__(self, setup: MethodSetup) -> None:
        """Take the run's setup."""
        settings = setup.spec.method
        assert isinstance(settings, DogeMethod)  # noqa: S101 - the registry's promise
        self._settings, self._setup, self._objective = settings, setup, setup.objective
        learning, training = setup.spec.learning, setup.spec.training
        self._chunk = learning.episode_steps
        self._peak_rate, self._gradient_clip = training.learning_rate, training.gradient_clip
        self._proxy = Proxy(setup, total_steps=learning.episodes * self._chunk)
        self._alpha_M = setup.start_M.clone()
        self._mean_M, self._updates = self._alpha_M.clone(), 1
        self._episode = 0

    @property
    def proxy(self) -> Twin:
        """The model in training."""
        return self._proxy.twin

    def run_episode(self) -> Episode:
        """Take K + E steps."""
        rate_factor = self._proxy.rate_factor
        total_M = torch.zeros_like(self._alpha_M)
        for _ in range(self._chunk):
            total_M += self._step()
        self._episode += 1
        return Episode(
            number=self._episode,
            step=self._proxy.step,
            alpha_M=self._alpha_M.clone(),
            answer_M=self._mean_M.clone(),
            delta_M=-total_M / self._chunk,
            rate_factor=rate_factor,
        )

    def _step(self) -> Tensor:
        """Take one step; return the scores."""
        towards = self._clipped_gradient(self._validation_loss())
        batch = self._objective.stratified_batch()
        dots_M, norms_M = torch.zeros_like(self._alpha_M), torch.zeros_like(self._alpha_M)
        kept: list[tuple[int, list[Tensor]]] = []
        for domain in sorted(set(batch.domain_R.tolist())):
            gradient = self._clipped_gradient(self._domain_loss(batch, domain))
            dots_M[domain] = _dot(gradient, towards)
            norms_M[domain] = _dot(gradient, gradient) ** 0.5
            if not self._settings.low_memory:
                kept.append((domain, gradient))
        rate = self._peak_rate * self._proxy.rate_factor
        scores_M = scores(dots_M, norms_M, rate=rate, clip=self._settings.score_clip)
        moved_M = update(
            self._alpha_M, scores_M, mu=self._settings.mu, smoothing=self._settings.smoothing
        )
        self._alpha_M = self._setup.project(moved_M)
        self._updates += 1
        self._mean_M += (self._alpha_M - self._mean_M) / self._updates
        if self._settings.low_memory:
            self._proxy.train(batch, self._alpha_M)
        else:
            self._proxy.descend_along(_weighted_sum(kept, self._alpha_M))
        return scores_M

    def _validation_loss(self) -> Tensor:
        batch = self._objective.validation_batch()
        losses_R = self._objective.row_losses(self.proxy.model, batch)
        weights_R = batch.validation_weights("mean", self._objective.judges)
        return (weights_R.to(losses_R) * losses_R).sum()

    def _domain_loss(self, batch: RowBatch, domain: int) -> Tensor:
        mine = batch.of_domain(domain)
        losses_R = self._objective.row_losses(self.proxy.model, mine)
        return (mine.scale_R.to(losses_R) * losses_R).sum()

    def _clipped_gradient(self, loss: Tensor) -> list[Tensor]:
        gradient = list(torch.autograd.grad(loss, self.proxy.parameters))
        norm = nn.utils.get_total_norm(gradient)
        factor = (self._gradient_clip / (norm + 1e-6)).clamp(max=1.0)
        return [part * factor for part in gradient]

    def state_dict(self) -> dict[str, Any]:
        """Return the model, the mixture and where the run stands."""
        return {
            "proxy": self._proxy.state_dict(),
            "objective": self._objective.state_dict(),
            "alpha": self._alpha_M,
            "mean": self._mean_M,
            "updates": self._updates,
            "episode": self._episode,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of `state_dict`."""
        self._proxy.load_state_dict(state["proxy"])
        self._objective.load_state_dict(state["objective"])
        self._alpha_M, self._mean_M = state["alpha"], state["mean"]
        self._updates, self._episode = state["updates"], state["episode"]


def _dot(first: list[Tensor], second: list[Tensor]) -> float:
    pairs = zip(first, second, strict=True)
    return float(torch.stack([(a * b).sum().double() for a, b in pairs]).sum())


def _weighted_sum(kept: list[tuple[int, list[Tensor]]], alpha_M: Tensor) -> list[Tensor]:
    weights = [float(alpha_M[domain]) for domain, _ in kept]
    columns = zip(*(gradient for _, gradient in kept), strict=True)
    return [
        torch.stack([weight * part for weight, part in zip(weights, parts, strict=True)]).sum(dim=0)
        for parts in columns
    ]
