"""Stage one: learn alpha with language models; a resumable run of the loop."""

import json
from collections.abc import Callable
from typing import Any

import torch

from tandem_engine import simplex
from tandem_engine.contracts.records import MixtureResult, TrajectoryPoint
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.contracts.training import TrainingSpec
from tandem_engine.data.corpus import Corpus
from tandem_engine.language_model import LanguageModelObjective
from tandem_engine.loop import Episode, LoopSettings, TwinLoop
from tandem_engine.manifest import available_tokens, target_tokens
from tandem_engine.mixture_steps import build_mixture_step
from tandem_engine.schedules import Schedule
from tandem_engine.share_limits import share_limits
from tandem_engine.trajectory import centred_cosine, tail, tail_mean
from tandem_engine.twins import OptimiserSettings


class Learner:
    """A run of Algorithm 1 on a corpus, with its trajectory so far."""

    def __init__(self, corpus: Corpus, spec: JobSpec, device: torch.device) -> None:
        """Take a corpus, a resolved specification and the device.

        Raises:
            InvalidSpecError: the bounds on shares contradict the sizes of the domains.
        """
        self._spec = spec
        self._natural = [domain.statistics.natural_share for domain in corpus.domains]
        available = available_tokens(corpus, spec)
        self.limits = share_limits(spec.domains, available, target_tokens(available, spec))
        self._objective = LanguageModelObjective(corpus, spec, device)
        self._loop = TwinLoop(
            objective=self._objective,
            settings=_loop_settings(spec),
            mixture_step=build_mixture_step(
                spec.learning.mixture_step,
                learning_rate=spec.learning.mixture_learning_rate,
                penalty=spec.learning.penalty,
                project=simplex.project if self.limits is None else self.limits.bounds.project,
            ),
            alpha_M=self._start(),
        )
        self.points: list[TrajectoryPoint] = []

    @property
    def finished(self) -> bool:
        """Tell if all episodes were run."""
        return len(self.points) == self._spec.learning.episodes

    def run(self, after_episode: Callable[[TrajectoryPoint], None]) -> None:
        """Run the remaining episodes; `after_episode` may raise to stop between two."""
        while not self.finished:
            point = self._point(self._loop.run_episode())
            self.points.append(point)
            after_episode(point)

    def result(self) -> MixtureResult:
        """Return the learned mixture: the mean of the tail, and what stands beside it."""
        alpha_TM = self.trajectory()
        return MixtureResult(
            domains=list(self._objective.domains),
            alpha=tail_mean(alpha_TM, self._spec.learning.tail_fraction).tolist(),
            trajectory_mean=tail_mean(alpha_TM, 1.0).tolist(),
            last=alpha_TM[-1].tolist(),
            natural=self._natural,
        )

    def trajectory(self) -> torch.Tensor:
        """Return the trajectory with its start, shape (episodes + 1, M)."""
        return torch.stack(
            [self._start(), *(torch.tensor(p.alpha, dtype=torch.float64) for p in self.points)]
        )

    def active_limits(self) -> list[str]:
        """Return a sentence for every bound on a share that the result lies on."""
        if self.limits is None:
            return []
        return self.limits.active(tail(self.trajectory(), self._spec.learning.tail_fraction))

    def state_dict(self) -> dict[str, Any]:
        """Return all that must survive a restart."""
        return {
            "loop": self._loop.state_dict(),
            "points": json.dumps([point.model_dump() for point in self.points]),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._loop.load_state_dict(state["loop"])
        self.points = [TrajectoryPoint.model_validate(p) for p in json.loads(state["points"])]

    def _start(self) -> torch.Tensor:
        start_M = simplex.uniform(len(self._natural))
        if self._spec.learning.initial_mixture == "natural":
            start_M = torch.tensor(self._natural, dtype=torch.float64)
        return start_M if self.limits is None else self.limits.bounds.project(start_M)

    def _point(self, episode: Episode) -> TrajectoryPoint:
        training = self._spec.training
        last = self.points[-1] if self.points else None
        before_M = torch.tensor(last.alpha, dtype=torch.float64) if last else self._start()
        moved = float((episode.alpha_M - before_M).abs().sum())
        return TrajectoryPoint(
            episode=episode.number,
            step=episode.step,
            alpha=episode.alpha_M.tolist(),
            delta=episode.delta_M.tolist(),
            delta_cosine=centred_cosine(*episode.half_deltas),
            delta_norm=float(episode.delta_M.norm()),
            train_loss=episode.train_losses_M.tolist(),
            validation_loss=self._objective.validation_losses(self._loop.proxy.model),
            twin_distance=episode.twin_distance,
            learning_rate=training.learning_rate * episode.rate_factor,
            entropy=simplex.entropy(episode.alpha_M),
            travel=(last.travel if last else 0.0) + moved,
            tokens=episode.step * training.batch_size * training.context_length,
            epochs=self._objective.epochs,
        )


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
    )
