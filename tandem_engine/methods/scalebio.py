r"""ScaleBiO (Pan et al. 2024, arXiv 2406.19976), the nearest published relative of TANDEM.

The same penalty problem without synchronisation: u and w start from the same weights and never meet
again. In each step, on one train batch for both and a validation batch for w,

.. math::

    u &\leftarrow u - \eta\, \nabla \gamma L_{train}(\alpha, u), \qquad
    w \leftarrow w - \eta\, \nabla \big(L_{val}(w) + \gamma L_{train}(\alpha, w)\big) \\
    \theta &\leftarrow \operatorname{Adam}\big(\theta,\ \gamma\, J(\alpha)\,
        (L^m_{train}(w) - L^m_{train}(u))_m\big), \qquad \alpha = \operatorname{softmax}(\theta)

with :math:`J(\alpha) = \operatorname{diag}(\alpha) - \alpha\alpha^\top`, the softmax's derivative.
The domain losses are those of the steps themselves, so that alpha costs no further pass. The
answer is the last alpha, as the authors use it.

Deviations: AdamW at the job's rate and clip for u and w (gamma then does not matter to u); batches
are stratified. Code 2003pro/ScaleBiO, MIT-style licence.
"""

from typing import Any

import torch
from torch import Tensor

from tandem_engine.contracts.methods.online import ScalebioMethod
from tandem_engine.loop import Episode
from tandem_engine.methods.protocol import MethodSetup
from tandem_engine.methods.proxy import Proxy
from tandem_engine.objective import RowBatch
from tandem_engine.twins import Twin


def logit_gradient(alpha_M: Tensor, delta_M: Tensor, *, penalty: float) -> Tensor:
    r"""Return :math:`\gamma\, J(\alpha)\, \Delta`, the gradient on the logits, shape (M,)."""
    return penalty * alpha_M * (delta_M - alpha_M @ delta_M)


class Scalebio:
    """A run: two models side by side, and logits that Adam moves."""

    def __init__(self, setup: MethodSetup) -> None:
        """Take the run's setup."""
        settings = setup.spec.method
        assert isinstance(settings, ScalebioMethod)  # noqa: S101 - the registry's promise
        self._settings, self._setup, self._objective = settings, setup, setup.objective
        learning = setup.spec.learning
        self._chunk = learning.episode_steps
        total = learning.episodes * self._chunk
        self._proxy = Proxy(setup, total_steps=total)
        self._reference = Proxy(setup, total_steps=total)
        # Zeros count as the smallest float, so that every logit is finite.
        least = torch.finfo(torch.float64).tiny
        self._logit_M = setup.start_M.clamp_min(least).log().requires_grad_()
        self._adam = torch.optim.Adam([self._logit_M], lr=settings.mixture_learning_rate)
        self._alpha_M = setup.start_M.clone()
        self._episode = 0

    @property
    def proxy(self) -> Twin:
        """U, the model that only trains."""
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
            answer_M=self._alpha_M.clone(),
            delta_M=total_M / self._chunk,
            rate_factor=rate_factor,
            twin_distance=self._proxy.twin.distance_to(self._reference.twin),
        )

    def _step(self) -> Tensor:
        """Take one step of both models and of alpha; return Delta."""
        objective, penalty = self._objective, self._settings.penalty
        batch = objective.stratified_batch()
        u_R = objective.row_losses(self._proxy.twin.model, batch)
        w_R = objective.row_losses(self._reference.twin.model, batch)
        validation = objective.validation_batch()
        val_R = objective.row_losses(self._reference.twin.model, validation)
        on_validation = _weigh(validation.validation_weights("mean", objective.judges), val_R)
        train_weight_R = batch.train_weights(self._alpha_M)
        self._proxy.descend(penalty * _weigh(train_weight_R, u_R))
        self._reference.descend(on_validation + penalty * _weigh(train_weight_R, w_R))
        delta_M = self._delta(batch, w_R, u_R)
        self._logit_M.grad = logit_gradient(self._alpha_M, delta_M, penalty=penalty)
        self._adam.step()
        self._alpha_M = self._setup.project(torch.softmax(self._logit_M.detach(), dim=0))
        return delta_M

    def _delta(self, batch: RowBatch, w_R: Tensor, u_R: Tensor) -> Tensor:
        domains = len(self._alpha_M)
        difference_M = batch.per_domain(w_R, domains) - batch.per_domain(u_R, domains)
        # A domain without rows says nothing: it must not move.
        return torch.nan_to_num(difference_M, nan=0.0)

    def state_dict(self) -> dict[str, Any]:
        """Return both models, the logits with Adam's moments, and where the run stands."""
        return {
            "proxy": self._proxy.state_dict(),
            "reference": self._reference.state_dict(),
            "objective": self._objective.state_dict(),
            "logits": self._logit_M.detach().clone(),
            "adam": self._adam.state_dict(),
            "alpha": self._alpha_M,
            "episode": self._episode,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state of `state_dict`."""
        self._proxy.load_state_dict(state["proxy"])
        self._reference.load_state_dict(state["reference"])
        self._objective.load_state_dict(state["objective"])
        with torch.no_grad():
            self._logit_M.copy_(state["logits"])
        self._adam.load_state_dict(state["adam"])
        self._alpha_M, self._episode = state["alpha"], state["episode"]


def _weigh(weights_R: Tensor, losses_R: Tensor) -> Tensor:
    return (weights_R.to(losses_R) * losses_R).sum()
