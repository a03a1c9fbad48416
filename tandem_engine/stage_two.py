"""Stage two: fresh models, one per mixture and seed, trained by resampling at one budget.

The paper's evidence: the mixture is learned once, then a new model is trained on data drawn with
it. Free rules get the same model, steps, batches and seeds.
"""

import json
from collections.abc import Callable
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from tandem_engine.contracts.records import ProgressRecord, StageTwoRun
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import Corpus
from tandem_engine.data.sampler import MixtureSampler, first_rows
from tandem_engine.models.causal_lm import build_model
from tandem_engine.models.losses import mean_loss, sequence_losses
from tandem_engine.reporting import Emit
from tandem_engine.task_metrics import Question, questions_of, score
from tandem_engine.training import adamw_settings, training_schedule
from tandem_engine.twins import Twin


class StageTwo:
    """All stage-two runs of a job; resumable between steps."""

    def __init__(
        self,
        corpus: Corpus,
        spec: JobSpec,
        device: torch.device,
        mixtures: dict[str, list[float]],
    ) -> None:
        """Take a corpus, a resolved specification, the device and shares by mixture name.

        Raises:
            DatasetMalformedError: a test record's completion is none of its choices.
        """
        self._questions = scored_records(corpus, spec)
        self._corpus = corpus
        self._spec = spec
        self._device = device
        # Seed by seed, so that a job cut short has compared all mixtures at least once.
        self._plan = [
            (name, seed, shares)
            for seed in range(spec.evaluation.seeds)
            for name, shares in mixtures.items()
        ]
        self.runs: list[StageTwoRun] = []
        self._current: dict[str, Any] | None = None

    def run(
        self, emit: Emit, checkpoint: Callable[[], None], stop_here: Callable[[], None]
    ) -> None:
        """Train and test the remaining models.

        Args:
            emit: Takes a record per finished model and progress.
            checkpoint: Called where the state is worth saving.
            stop_here: Called between steps; may raise to stop.
        """
        for name, seed, shares in self._plan[len(self.runs) :]:
            emit(
                ProgressRecord(
                    phase="evaluating",
                    done_units=len(self.runs),
                    total_units=len(self._plan),
                    message=f"training with {name}, seed {seed}",
                )
            )
            self.runs.append(self._run_one(name, seed, shares, checkpoint, stop_here))
            self._current = None
            emit(self.runs[-1])
            checkpoint()

    def _run_one(
        self,
        name: str,
        seed: int,
        shares: list[float],
        checkpoint: Callable[[], None],
        stop_here: Callable[[], None],
    ) -> StageTwoRun:
        evaluation, training = self._spec.evaluation, self._spec.training
        run = _Run(self._corpus, self._spec, self._device, seed)
        if self._current is not None:
            run.load_state_dict(self._current)
        schedule = training_schedule(training, evaluation.steps)
        alpha_M = torch.tensor(shares, dtype=torch.float64)
        while run.step < evaluation.steps:
            run.train(alpha_M, schedule.factor(run.step))
            if run.step % evaluation.checkpoint_every == 0 and run.step < evaluation.steps:
                self._current = run.state_dict()
                checkpoint()
            stop_here()
        losses = losses_on_test(run.twin.model, self._corpus, self._spec, self._device)
        weights = [judge.weight for judge in self._corpus.judges]
        return StageTwoRun(
            mixture=name,
            seed=seed,
            alpha=shares,
            epochs=run.sampler.epochs,
            test_loss=losses,
            average_loss=fmean(losses, weights),
            metrics=self._metrics(run.twin.model),
        )

    def _metrics(self, model: nn.Module) -> list[float | None] | None:
        """Return the score per domain, None where a domain has no task; None without any task."""
        tokenizer = self._corpus.tokenizer
        if tokenizer is None or not any(self._questions):
            return None
        return [
            score(
                model,
                questions,
                tokenizer,
                self._spec.evaluation,
                context_length=self._corpus.context_length,
                device=self._device,
                batch_size=self._spec.training.batch_size,
            )
            if questions
            else None
            for questions in self._questions
        ]

    def state_dict(self) -> dict[str, Any]:
        """Return all that must survive a restart."""
        return {
            "runs": json.dumps([run.model_dump() for run in self.runs]),
            "current": self._current,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.runs = [StageTwoRun.model_validate(run) for run in json.loads(state["runs"])]
        self._current = state["current"]


class _Run:
    """One model in training. All mixtures of a seed start from the same weights."""

    def __init__(self, corpus: Corpus, spec: JobSpec, device: torch.device, seed: int) -> None:
        self._batch_size = spec.training.batch_size
        self._device = device
        model = build_model(
            spec.model,
            vocabulary=corpus.vocabulary_size,
            context_length=spec.training.context_length,
            seed=spec.seed,
            labels=("weights", "stage_two", seed),
        ).to(device)
        rate = spec.training.learning_rate
        self.twin = Twin(model, adamw_settings(spec.training, learning_rate=rate))
        self.sampler = MixtureSampler(
            [domain.train for domain in corpus.domains],
            [domain.name for domain in corpus.domains],
            seed=spec.seed,
            stream=f"stage_two_{seed}",
        )
        self.step = 0

    def train(self, alpha_M: Tensor, rate_factor: float) -> None:
        batch = self.sampler.by_mixture(self._batch_size, alpha_M)
        losses_R = sequence_losses(self.twin.model, batch.rows.to(self._device))
        loss = (batch.train_weights(alpha_M).to(losses_R) * losses_R).sum()
        self.twin.step(loss, rate_factor=rate_factor)
        self.step += 1

    def state_dict(self) -> dict[str, Any]:
        return {
            "twin": self.twin.state_dict(),
            "sampler": self.sampler.state_dict(),
            "step": self.step,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.twin.load_state_dict(state["twin"])
        self.sampler.load_state_dict(state["sampler"])
        self.step = state["step"]


def losses_on_test(
    model: nn.Module, corpus: Corpus, spec: JobSpec, device: torch.device
) -> list[float]:
    """Return the test loss per target, or per domain without targets, in nats per token.

    The sequences are the same for every model.
    """
    losses = []
    for judge in corpus.judges:
        rows = first_rows(
            judge.test, judge.name, seed=spec.split_seed, count=spec.evaluation.test_sequences
        )
        tokens = torch.from_numpy(rows).to(device)
        losses.append(mean_loss(model, tokens, batch_size=spec.training.batch_size))
    return losses


def scored_records(corpus: Corpus, spec: JobSpec) -> list[list[Question]]:
    """Return the test records per domain that are scored; empty for a domain without a task.

    Raises:
        DatasetMalformedError: a record's completion is none of its choices.
    """
    by_name = {domain.name: domain for domain in spec.domains}
    count = spec.evaluation.metric_records
    return [
        questions_of(
            domain, by_name[domain.name], corpus.tokenizer, seed=spec.split_seed, count=count
        )
        if corpus.tokenizer is not None and by_name[domain.name].task != "none"
        else []
        for domain in corpus.domains
    ]
