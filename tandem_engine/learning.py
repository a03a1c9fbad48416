"""One run of stage one: learn alpha by the job's method, point by point."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tandem_engine import simplex
from tandem_engine.contracts.records import TrajectoryPoint
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import Corpus
from tandem_engine.free_rules import stage_two_tokens
from tandem_engine.language_model import LanguageModelObjective
from tandem_engine.learning_plan import PlannedRun
from tandem_engine.loop import Episode
from tandem_engine.methods.protocol import MethodSetup
from tandem_engine.methods.registry import build_method
from tandem_engine.mixture_steps import MixtureStep, Projection
from tandem_engine.trajectory import centred_cosine


class Learner:
    """A run of a method on a corpus, as the job's plan asks for it."""

    def __init__(
        self,
        corpus: Corpus,
        spec: JobSpec,
        device: torch.device,
        planned: PlannedRun,
        *,
        start_M: Tensor,
        mixture_step: MixtureStep,
        project: Projection,
    ) -> None:
        """Take a corpus, a resolved specification, the device and what is this run's own.

        Args:
            corpus: The packed domains.
            spec: The job's specification.
            device: Where the models live.
            planned: Place and random roots of the run.
            start_M: alpha before the first episode, shape (M,).
            mixture_step: TANDEM's step of alpha, new.
            project: Projection of other methods' mixtures on what is allowed.
        """
        self._spec = spec
        self._planned = planned
        self._start_M = start_M
        own = spec.evolve(seed=planned.data_root(spec.seed))
        self._objective = LanguageModelObjective(
            corpus, own, device, weights_seed=planned.weights_root(spec.seed)
        )
        self._method = build_method(
            MethodSetup(
                objective=self._objective,
                spec=own,
                start_M=start_M,
                project=project,
                mixture_step=mixture_step,
                tokens=[domain.statistics.train_loss_tokens for domain in corpus.domains],
                stage_two_tokens=stage_two_tokens(corpus, spec),
            )
        )
        self.points: list[TrajectoryPoint] = []

    def run(self, after_episode: Callable[[TrajectoryPoint], None]) -> None:
        """Run the remaining episodes; `after_episode` may raise to stop between two."""
        while len(self.points) < self._spec.run_length.episodes:
            point = self._point(self._method.run_episode())
            self.points.append(point)
            after_episode(point)

    def state_dict(self) -> dict[str, Any]:
        """Return all that must survive a restart beside the points."""
        return self._method.state_dict()

    def load_state_dict(self, state: dict[str, Any], points: Sequence[TrajectoryPoint]) -> None:
        """Go on where `state_dict` was taken, after the run's `points` so far."""
        self._method.load_state_dict(state)
        self.points = list(points)

    def _point(self, episode: Episode) -> TrajectoryPoint:
        learning, training, planned = self._spec.learning, self._spec.training, self._planned
        length, model = self._spec.run_length, self._method.proxy.model
        last = self.points[-1] if self.points else None
        before_M = torch.tensor(last.alpha, dtype=torch.float64) if last else self._start_M
        moved = float((episode.alpha_M - before_M).abs().sum())
        rate = training.learning_rate * episode.rate_factor
        if episode.train_losses_M is None:
            train = self._objective.train_losses(model)
        else:
            train = episode.train_losses_M.tolist()
        validation = self._objective.validation_losses(model)
        step = planned.run * length.steps + episode.step
        halves, distance = episode.half_deltas, episode.twin_distance
        return TrajectoryPoint(
            episode=planned.run * length.episodes + episode.number,
            step=step,
            alpha=episode.alpha_M.tolist(),
            answer=_listed(episode.answer_M),
            tried=_listed(episode.tried_M),
            delta=episode.delta_M.tolist(),
            delta_cosine=None if halves is None else centred_cosine(*halves),
            delta_norm=float(episode.delta_M.norm()),
            delta_per_rate=_over(float(episode.delta_M.norm()), rate),
            train_loss=train,
            validation_loss=validation,
            gap=[v - t for v, t in zip(validation, train, strict=True)],
            target_loss=self._objective.target_losses(model),
            twin_distance=distance,
            distance_per_rate=(
                None if distance is None else _over(distance, rate * learning.probing_steps)
            ),
            gradient_cosine=episode.gradient_cosine,
            learning_rate=rate,
            entropy=simplex.entropy(episode.alpha_M),
            smallest_share=float(episode.alpha_M.min()),
            travel=(last.travel if last else 0.0) + moved,
            tokens=step * training.batch_size * training.context_length,
            epochs=self._objective.epochs,
            work=self._objective.work,
            run=planned.run,
            seed=planned.seed,
            restart=planned.restart,
            bounded=planned.bounded,
        )


def _listed(mixture_M: Tensor | None) -> list[float] | None:
    return None if mixture_M is None else mixture_M.tolist()


def _over(value: float, rate: float) -> float | None:
    return value / rate if rate > 0 else None
