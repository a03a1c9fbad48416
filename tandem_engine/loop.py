r"""Algorithm 1: the one loop that learns alpha, for language models and analytic problems alike.

One episode t: sync w <- u; K probing steps of both twins; Delta; the step of alpha; E free steps
of u under the new alpha. Paper to code: u `proxy`, w `reference`, gamma `penalty`, K
`probing_steps`, E `free_steps`, eta_u and eta_w in the twins' optimiser settings.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from tandem_engine.errors import DivergedError
from tandem_engine.mixture_steps import MixtureStep
from tandem_engine.objective import Objective, RowBatch
from tandem_engine.schedules import Schedule
from tandem_engine.twins import Moments, OptimiserSettings, Twin, synchronise


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """Settings of Algorithm 1."""

    probing_steps: int
    free_steps: int
    penalty: float
    validation_reduction: Literal["mean", "sum"]
    proxy: OptimiserSettings
    reference: OptimiserSettings
    schedule: Schedule
    reference_moments: Moments = "persist"
    synchronise: bool = True
    gradient_cosine_every: int = 0
    """Episodes between two measurements of how gradients agree; 0 is never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One update of alpha and what was measured; losses in nats, lists per domain."""

    number: int
    step: int
    alpha_M: Tensor
    delta_M: Tensor
    rate_factor: float
    half_deltas: tuple[Tensor, Tensor] | None = None
    train_losses_M: Tensor | None = None
    """None is to be measured on some fixed train sequences."""
    twin_distance: float | None = None
    gradient_cosine: float | None = None
    answer_M: Tensor | None = None
    """What the method would return now, where that is not the mean of the trajectory's tail."""
    tried_M: Tensor | None = None
    """Mixture of the model in training, where it is not alpha."""


@dataclass(slots=True)
class TwinLoop:
    """State of a run of Algorithm 1; `run_episode` moves it on by one episode."""

    objective: Objective
    settings: LoopSettings
    mixture_step: MixtureStep
    alpha_M: Tensor
    proxy: Twin = field(init=False)
    reference: Twin = field(init=False)
    episode: int = 0
    step: int = 0

    def __post_init__(self) -> None:
        """Build the twins; w starts as u."""
        self.proxy = Twin(self.objective.build_model(), self.settings.proxy)
        self.reference = Twin(self.objective.build_model(), self.settings.reference)
        self.reference.copy_parameters_from(self.proxy)

    def run_episode(self) -> Episode:
        """Run one episode and return its record.

        Raises:
            DivergedError: a loss is no longer finite.
        """
        if self.settings.synchronise:
            synchronise(self.reference, self.proxy, self.settings.reference_moments)
        rate_factor = self.settings.schedule.factor(self.step)
        for _ in range(self.settings.probing_steps):
            self._probe()
        distance = self.proxy.distance_to(self.reference)
        halves_of_batch = self.objective.delta_batches(self.episode)
        gradient_cosine = self._gradient_cosine(*halves_of_batch)
        delta_M, halves, train_losses_M = self._measure(halves_of_batch)
        self.alpha_M = self.mixture_step(self.alpha_M, delta_M)
        for _ in range(self.settings.free_steps):
            self._step_proxy(self.objective.train_batch(self.alpha_M))
        self.episode += 1
        return Episode(
            number=self.episode,
            step=self.step,
            alpha_M=self.alpha_M.clone(),
            delta_M=delta_M,
            half_deltas=halves,
            train_losses_M=train_losses_M,
            twin_distance=distance,
            rate_factor=rate_factor,
            gradient_cosine=gradient_cosine,
        )

    def _probe(self) -> None:
        # The same train batch for both: otherwise Delta also measures the luck of the draw.
        batch = self.objective.train_batch(self.alpha_M)
        loss = self.reference_loss(batch, self.objective.validation_batch())
        self.reference.step(loss, rate_factor=self.settings.schedule.factor(self.step))
        self._step_proxy(batch)

    def reference_loss(self, train: RowBatch, validation: RowBatch) -> Tensor:
        r"""Return :math:`L_{val}(w) + \gamma L_{train}(\alpha, w)` (Eq. 4), a scalar."""
        judges = self.objective.judges
        weights = validation.validation_weights(self.settings.validation_reduction, judges)
        on_validation = self._weighted(self.reference, validation, weights)
        on_train = self._weighted(self.reference, train, train.train_weights(self.alpha_M))
        return on_validation + self.settings.penalty * on_train

    def _step_proxy(self, batch: RowBatch) -> None:
        loss = self._weighted(self.proxy, batch, batch.train_weights(self.alpha_M))
        self.proxy.step(loss, rate_factor=self.settings.schedule.factor(self.step))
        self.step += 1

    def _weighted(self, twin: Twin, batch: RowBatch, weights_R: Tensor) -> Tensor:
        losses_R = self.objective.row_losses(twin.model, batch)
        return (weights_R.to(losses_R) * losses_R).sum()

    def _gradient_cosine(self, first: RowBatch, second: RowBatch) -> float | None:
        r"""Return :math:`\cos(g_1, g_2)` of u's training loss on two batches (Figure 2)."""
        every = self.settings.gradient_cosine_every
        if not every or self.episode % every:
            return None
        gradients = []
        for batch in (first, second):
            loss = self._weighted(self.proxy, batch, batch.train_weights(self.alpha_M))
            parts = torch.autograd.grad(loss, self.proxy.parameters)
            gradients.append(torch.cat([part.flatten() for part in parts]))
        return float(nn.functional.cosine_similarity(gradients[0], gradients[1], dim=0))

    @torch.no_grad()
    def _measure(
        self, batches: tuple[RowBatch, RowBatch]
    ) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor]:
        r"""Measure :math:`\Delta_m = L^m_{train}(w_K) - L^m_{train}(u_K)` on two half batches.

        Both twins see the same rows; independent batches would bury Delta in noise.
        """
        domains = len(self.objective.domains)
        proxy, reference = [], []
        for batch in batches:
            proxy.append(
                batch.per_domain(self.objective.row_losses(self.proxy.model, batch), domains)
            )
            reference.append(
                batch.per_domain(self.objective.row_losses(self.reference.model, batch), domains)
            )
        first_M, second_M = (w - u for w, u in zip(reference, proxy, strict=True))
        delta_M = (first_M + second_M) / 2
        if not bool(torch.isfinite(delta_M).all()):
            bad = [
                name
                for name, value in zip(self.objective.domains, delta_M.tolist(), strict=True)
                if value != value or abs(value) == float("inf")  # noqa: PLR0124 - NaN test
            ]
            raise DivergedError(
                f"the train loss of {', '.join(bad)} is not finite in episode {self.episode + 1}",
                field="training.learning_rate",
                value=self.settings.proxy.learning_rate,
                hint="lower the learning rate or the penalty, or clip gradients harder",
            )
        return delta_M, (first_M, second_M), (proxy[0] + proxy[1]) / 2

    def state_dict(self) -> dict[str, Any]:
        """Return all that must survive a restart; holds at the end of an episode."""
        return {
            "proxy": self.proxy.state_dict(),
            "reference": self.reference.state_dict(),
            "objective": self.objective.state_dict(),
            "mixture_step": self.mixture_step.state_dict(),
            "alpha": self.alpha_M,
            "episode": self.episode,
            "step": self.step,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken: the following episodes are bitwise the same."""
        self.proxy.load_state_dict(state["proxy"])
        self.reference.load_state_dict(state["reference"])
        self.objective.load_state_dict(state["objective"])
        self.mixture_step.load_state_dict(state["mixture_step"])
        self.alpha_M = state["alpha"]
        self.episode = state["episode"]
        self.step = state["step"]
