"""One model in training, as peers' methods use it: plain steps at the job's learning rate."""

from typing import Any

import torch
from torch import Tensor

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.errors import DivergedError
from tandem_engine.language_model import LanguageModelObjective
from tandem_engine.methods.protocol import MethodSetup
from tandem_engine.objective import RowBatch
from tandem_engine.training import adamw_settings, training_schedule
from tandem_engine.twins import Twin


class Proxy:
    """A model, its optimiser and its place in the schedule.

    All proxies of a run start from the same weights, so that they differ by their data only.
    """

    def __init__(self, setup: MethodSetup, *, total_steps: int) -> None:
        """Take the run's setup and the steps that the schedule is for."""
        self._objective: LanguageModelObjective = setup.objective
        self._spec: JobSpec = setup.spec
        self._schedule = training_schedule(setup.spec.training, total_steps)
        self.restart()

    def restart(self) -> None:
        """Begin anew: weights, optimiser, schedule and the order of the data."""
        training = self._spec.training
        self.twin = Twin(
            self._objective.build_model(),
            adamw_settings(training, learning_rate=training.learning_rate),
        )
        self.step = 0
        self._objective.restart_train()

    @property
    def rate_factor(self) -> float:
        """Learning rate of the next step, as a part of the peak."""
        return self._schedule.factor(self.step)

    def train(self, batch: RowBatch, alpha_M: Tensor) -> None:
        r"""Take one step on :math:`\sum_m \alpha_m L^m` of a batch (or its mean, if drawn so)."""
        losses_R = self._objective.row_losses(self.twin.model, batch)
        self.descend((batch.train_weights(alpha_M).to(losses_R) * losses_R).sum())

    def train_on_mixture(self, alpha_M: Tensor, steps: int) -> None:
        """Take steps on batches that are drawn by `alpha_M`, as a model of stage two does."""
        for _ in range(steps):
            self.train(self._objective.mixture_batch(alpha_M), alpha_M)

    def descend(self, loss: Tensor) -> None:
        """Take one step on `loss`, a scalar.

        Raises:
            DivergedError: the loss is no longer finite.
        """
        self._require_finite(loss)
        self.twin.step(loss, rate_factor=self.rate_factor)
        self.step += 1

    def descend_along(self, gradients: list[Tensor]) -> None:
        """Take one step along given gradients, one per parameter, clipped like any other.

        Raises:
            DivergedError: a gradient is no longer finite.
        """
        self._require_finite(torch.stack([gradient.sum() for gradient in gradients]).sum())
        for parameter, gradient in zip(self.twin.parameters, gradients, strict=True):
            parameter.grad = gradient
        self.twin.step_along_gradients(rate_factor=self.rate_factor)
        self.step += 1

    def judged_losses(self, count: int) -> Tensor:
        """Return validation losses per judge, nats per token, float64, (J,)."""
        return self._objective.judged_losses(self.twin.model, count)

    def _require_finite(self, value: Tensor) -> None:
        if not bool(torch.isfinite(value)):
            raise DivergedError(
                f"the train loss is not finite in step {self.step + 1} of the proxy",
                field="training.learning_rate",
                value=self._spec.training.learning_rate,
                hint="lower the learning rate, or clip gradients harder",
            )

    def state_dict(self) -> dict[str, Any]:
        """Return model, optimiser and step."""
        return {"twin": self.twin.state_dict(), "step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take model, optimiser and step."""
        self.twin.load_state_dict(state["twin"])
        self.step = state["step"]
