"""One run of stage one: learn alpha with language models by Algorithm 1."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tandem_engine import simplex
from tandem_engine.contracts.records import TrajectoryPoint
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.contracts.training import TrainingSpec
from tandem_engine.data.corpus import Corpus
from tandem_engine.language_model import LanguageModelObjective
from tandem_engine.learning_plan import PlannedRun
from tandem_engine.loop import Episode, LoopSettings, TwinLoop
from tandem_engine.mixture_steps import MixtureStep
from tandem_engine.schedules import Schedule
from tandem_engine.trajectory import centred_cosine
from tandem_engine.twins import OptimiserSettings


class Learner:
    """A run of Algorithm 1 on a corpus, as the job's plan asks for it."""

    def __init__(
        self,
        corpus: Corpus,
        spec: JobSpec,
        device: torch.device,
        planned: PlannedRun,
        *,
        start_M: Tensor,
        mixture_step: MixtureStep,
    ) -> None:
        """Take a corpus, a resolved specification, the device and what is this run's own.

        Args:
            corpus: The packed domains.
            spec: The job's specification.
            device: Where the models live.
            planned: Place and random roots of the run.
            start_M: alpha before the first episode, shape (M,).
            mixture_step: Step of alpha, new.
        """
        self._spec = spec
        self._planned = planned
        self._start_M = start_M
        self._objective = LanguageModelObjective(
            corpus,
            spec.evolve(seed=planned.data_root(spec.seed)),
            device,
            weights_seed=planned.weights_root(spec.seed),
        )
        self._loop = TwinLoop(
            objective=self._objective,
            settings=_loop_settings(spec),
            mixture_step=mixture_step,
            alpha_M=start_M,
        )
        self.points: list[TrajectoryPoint] = []

    def run(self, after_episode: Callable[[TrajectoryPoint], None]) -> None:
        """Run the remaining episodes; `after_episode` may raise to stop between two."""
        while len(self.points) < self._spec.learning.episodes:
            point = self._point(self._loop.run_episode())
            self.points.append(point)
            after_episode(point)

    def state_dict(self) -> dict[str, Any]:
        """Return all that must survive a restart beside the points."""
        return self._loop.state_dict()

    def load_state_dict(self, state: dict[str, Any], points: Sequence[TrajectoryPoint]) -> None:
        """Go on where `state_dict` was taken, after the run's `points` so far."""
        self._loop.load_state_dict(state)
        self.points = list(points)

    def _point(self, episode: Episode) -> TrajectoryPoint:
        learning, training, planned = self._spec.learning, self._spec.training, self._planned
        last = self.points[-1] if self.points else None
        before_M = torch.tensor(last.alpha, dtype=torch.float64) if last else self._start_M
        moved = float((episode.alpha_M - before_M).abs().sum())
        earlier = planned.run * learning.episodes
        rate = training.learning_rate * episode.rate_factor
        train = episode.train_losses_M.tolist()
        validation = self._objective.validation_losses(self._loop.proxy.model)
        step = earlier * learning.episode_steps + episode.step
        return TrajectoryPoint(
            episode=earlier + episode.number,
            step=step,
            alpha=episode.alpha_M.tolist(),
            delta=episode.delta_M.tolist(),
            delta_cosine=centred_cosine(*episode.half_deltas),
            delta_norm=float(episode.delta_M.norm()),
            delta_per_rate=_over(float(episode.delta_M.norm()), rate),
            train_loss=train,
            validation_loss=validation,
            gap=[v - t for v, t in zip(validation, train, strict=True)],
            target_loss=self._objective.target_losses(self._loop.proxy.model),
            twin_distance=episode.twin_distance,
            distance_per_rate=_over(episode.twin_distance, rate * learning.probing_steps),
            gradient_cosine=episode.gradient_cosine,
            learning_rate=rate,
            entropy=simplex.entropy(episode.alpha_M),
            smallest_share=float(episode.alpha_M.min()),
            travel=(last.travel if last else 0.0) + moved,
            tokens=step * training.batch_size * training.context_length,
            epochs=self._objective.epochs,
            run=planned.run,
            seed=planned.seed,
            restart=planned.restart,
            bounded=planned.bounded,
        )


def _over(value: float, rate: float) -> float | None:
    return value / rate if rate > 0 else None


def training_schedule(training: TrainingSpec, total_steps: int) -> Schedule:
    """Return the learning rate over `total_steps` steps."""
    return Schedule(
        kind=training.schedule,
        total_steps=total_steps,
        warmup_steps=round(training.warmup_fraction * total_steps),
        final_fraction=training.final_rate_fraction,
    )


def adamw_settings(training: TrainingSpec, *, learning_rate: float) -> OptimiserSettings:
    """Return AdamW's values from the specification."""
    return OptimiserSettings(
        kind="adamw",
        learning_rate=learning_rate,
        weight_decay=training.weight_decay,
        betas=(training.beta1, training.beta2),
        gradient_clip=training.gradient_clip,
    )


def _loop_settings(spec: JobSpec) -> LoopSettings:
    learning, training = spec.learning, spec.training
    reference_rate = learning.reference_learning_rate or training.learning_rate
    return LoopSettings(
        probing_steps=learning.probing_steps,
        free_steps=learning.free_steps,
        penalty=learning.penalty,
        validation_reduction=learning.validation_reduction,
        proxy=adamw_settings(training, learning_rate=training.learning_rate),
        reference=adamw_settings(training, learning_rate=reference_rate),
        schedule=training_schedule(training, learning.episodes * learning.episode_steps),
        reference_moments=learning.reference_moments,
        synchronise=learning.synchronise,
        gradient_cosine_every=learning.gradient_cosine_every,
    )
