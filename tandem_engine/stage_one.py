"""Stage one: all runs of a job's learning in order, as one resumable whole, and their result."""

import json
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tandem_engine import simplex
from tandem_engine.contracts.records import MixtureResult, TrajectoryPoint
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import Corpus
from tandem_engine.intervals import interval_over_seeds, mean_over_seeds
from tandem_engine.learning import Learner
from tandem_engine.learning_plan import PlannedRun, plan_runs
from tandem_engine.manifests.inventory import available_tokens, target_tokens
from tandem_engine.mixture_steps import MixtureStep, Projection, build_mixture_step
from tandem_engine.null_drift import Track, null_distances
from tandem_engine.prior import build_pull, prior_mixture
from tandem_engine.share_limits import share_limits
from tandem_engine.trajectory import tail, tail_mean


class StageOne:
    """The plan of a job's runs and the trajectory of all of them so far."""

    def __init__(self, corpus: Corpus, spec: JobSpec, device: torch.device) -> None:
        """Take a corpus, a resolved specification and the device.

        Raises:
            InvalidSpecError: the bounds on shares contradict the sizes of the domains.
        """
        self._corpus, self._spec, self._device = corpus, spec, device
        self._domains = [domain.name for domain in corpus.domains]
        available = available_tokens(corpus, spec)
        self.limits = share_limits(spec.domains, available, target_tokens(available, spec))
        tokens = [domain.statistics.train_loss_tokens for domain in corpus.domains]
        self._prior_M = prior_mixture(spec.learning.prior, self._domains, tokens)
        self.plan = plan_runs(spec)
        self._run_episodes = spec.run_length.episodes
        self.points: list[TrajectoryPoint] = []
        self._learner: Learner | None = None
        self._restored: dict[str, Any] | None = None

    @property
    def total_episodes(self) -> int:
        """Episodes of all runs."""
        return len(self.plan) * self._run_episodes

    @property
    def between_runs(self) -> bool:
        """Tell if the newest episode was the last one of its run."""
        return len(self.points) % self._run_episodes == 0

    def run(self, after_episode: Callable[[TrajectoryPoint], None]) -> None:
        """Run the remaining episodes; `after_episode` may raise to stop between two."""

        def keep(point: TrajectoryPoint) -> None:
            self.points.append(point)
            if self.between_runs:
                # Nothing of it is needed any more; the next run needs its memory.
                self._learner = None
            after_episode(point)

        for planned in self.plan[len(self.points) // self._run_episodes :]:
            self._learner = self._begin(planned)
            self._learner.run(keep)

    def result(self) -> MixtureResult:
        """Return the learned mixture: of each seed what its last run within the bounds answers."""
        trajectories = [self._alpha(planned) for planned in self._final_runs()]
        by_seed = [self._answer(planned) for planned in self._final_runs()]
        free = [self._answer(planned) for planned in self.plan if not planned.bounded]
        return MixtureResult(
            domains=self._domains,
            alpha=mean_over_seeds(by_seed),
            trajectory_mean=mean_over_seeds([tail_mean(t, 1.0).tolist() for t in trajectories]),
            last=mean_over_seeds([alpha_TM[-1].tolist() for alpha_TM in trajectories]),
            natural=[domain.statistics.natural_share for domain in self._corpus.domains],
            alpha_by_seed=by_seed,
            interval=interval_over_seeds(by_seed),
            unconstrained=mean_over_seeds(free) if free else None,
        )

    def _answer(self, planned: PlannedRun) -> list[float]:
        """Return the method's own answer, or the mean of the trajectory's tail."""
        answer = self._of(planned)[-1].answer
        if answer is not None:
            return answer
        return tail_mean(self._alpha(planned), self._spec.learning.tail_fraction).tolist()

    @property
    def work(self) -> float:
        """Compute of all runs so far, in steps of plain training."""
        newest = {point.run: point.work or 0.0 for point in self.points}
        return math.fsum(newest.values())

    def start(self, planned: PlannedRun) -> Tensor:
        """Return alpha before the first episode of a run, shape (M,).

        It is the prior, and in a restart the mean over all episodes of the seed's runs within the
        bounds that came before.
        """
        start_M = self._prior_M
        if planned.restart:
            earlier = [
                run
                for run in self.plan
                if run.seed == planned.seed and run.bounded and run.restart < planned.restart
            ]
            start_M = torch.cat([self._updates(run) for run in earlier]).mean(dim=0)
        if self.limits is None or not planned.bounded:
            return start_M
        return self.limits.bounds.project(start_M)

    def first_start(self) -> Tensor:
        """Return the prior within the bounds, shape (M,)."""
        return self.start(next(planned for planned in self.plan if planned.bounded))

    def final_points(self) -> list[TrajectoryPoint]:
        """Return the points of the runs that count, seed by seed."""
        return [point for planned in self._final_runs() for point in self._of(planned)]

    def null_distances(self) -> list[float]:
        """Return how far from the start noise alone would have taken the result, sorted.

        Empty for other methods than TANDEM: what moves them is no Delta.
        """
        if self._spec.method.kind != "tandem":
            return []
        tracks = [
            [self._track(run) for run in self.plan if run.seed == final.seed and run.bounded]
            for final in self._final_runs()
        ]
        return null_distances(
            tracks, tail_fraction=self._spec.learning.tail_fraction, seed=self._spec.seed
        )

    def active_limits(self) -> list[str]:
        """Return a sentence for every bound on a share that the result lies on."""
        if self.limits is None:
            return []
        fraction = self._spec.learning.tail_fraction
        tails = [tail(self._alpha(planned), fraction) for planned in self._final_runs()]
        return self.limits.active(torch.cat(tails))

    def state_dict(self) -> dict[str, Any]:
        """Return all that must survive a restart; between two runs there are only points."""
        return {
            "points": json.dumps([point.model_dump() for point in self.points]),
            "learner": None if self._learner is None else self._learner.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.points = [TrajectoryPoint.model_validate(p) for p in json.loads(state["points"])]
        self._restored = state["learner"]

    def _mixture_step(self, *, bounded: bool) -> MixtureStep:
        limits = self.limits if bounded else None
        learning = self._spec.learning
        return build_mixture_step(
            learning.mixture_step,
            learning_rate=learning.mixture_learning_rate,
            penalty=learning.penalty,
            project=simplex.project if limits is None else limits.bounds.project,
            pull=build_pull(self._prior_M, learning.prior.pull),
        )

    def _within(self, *, bounded: bool) -> Projection:
        # Without bounds a mixture stays as it is, bit by bit.
        return self.limits.bounds.project if self.limits and bounded else torch.clone

    def _begin(self, planned: PlannedRun) -> Learner:
        learner = Learner(
            self._corpus,
            self._spec,
            self._device,
            planned,
            start_M=self.start(planned),
            mixture_step=self._mixture_step(bounded=planned.bounded),
            project=self._within(bounded=planned.bounded),
        )
        if self._restored is not None:
            learner.load_state_dict(self._restored, self._of(planned))
            self._restored = None
        return learner

    def _final_runs(self) -> list[PlannedRun]:
        last = self._spec.learning.restarts
        return [planned for planned in self.plan if planned.bounded and planned.restart == last]

    def _track(self, planned: PlannedRun) -> Track:
        points = self._of(planned)
        return Track(
            self._alpha(planned),
            torch.tensor([point.delta for point in points], dtype=torch.float64),
            torch.tensor([point.learning_rate for point in points], dtype=torch.float64),
        )

    def _of(self, planned: PlannedRun) -> list[TrajectoryPoint]:
        return [point for point in self.points if point.run == planned.run]

    def _alpha(self, planned: PlannedRun) -> Tensor:
        """Return the trajectory of a run with its start, shape (episodes so far + 1, M)."""
        return torch.cat([self.start(planned)[None], self._updates(planned)])

    def _updates(self, planned: PlannedRun) -> Tensor:
        """Return alpha after each episode of a run, shape (episodes so far, M)."""
        alphas = [point.alpha for point in self._of(planned)]
        return torch.tensor(alphas, dtype=torch.float64).reshape(-1, len(self._domains))
