"""A whole job: read, learn, evaluate, write; resumable at every checkpoint."""

import csv
import hashlib
import io
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from tandem_engine.checkpoint import CheckpointStore
from tandem_engine.contracts.records import (
    DomainsRecord,
    PhaseRecord,
    ProgressRecord,
    ResultRecord,
    ResumedRecord,
    TrajectoryPoint,
    Work,
)
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import Corpus, load_corpus
from tandem_engine.devices import prepare_device, translated_memory_errors
from tandem_engine.evidence import gather
from tandem_engine.files import write_text
from tandem_engine.flops import per_trained_token
from tandem_engine.free_rules import free_rules
from tandem_engine.inputs.access import EVERYWHERE, Access
from tandem_engine.manifests.measure import measure_job
from tandem_engine.manifests.write import write_manifest
from tandem_engine.models.causal_lm import build_model
from tandem_engine.presets import resolve
from tandem_engine.reporting import Emit, StopFlag
from tandem_engine.share_limits import baselines_outside
from tandem_engine.stage_one import StageOne
from tandem_engine.stage_two import StageTwo, scored_records
from tandem_engine.stage_two_table import tabulate
from tandem_engine.verdict import judge


def run_job(
    spec: JobSpec,
    out: Path,
    *,
    emit: Emit,
    attempt: int = 1,
    stop: StopFlag | None = None,
    cache: Path | None = None,
    access: Access = EVERYWHERE,
) -> ResultRecord:
    """Run `spec` to its end, from the newest checkpoint in `out` if there is one.

    Args:
        spec: What to learn; filled in from its preset here.
        out: Folder of the job's files.
        emit: Takes every record as it happens; the last one is the result.
        attempt: Number of this attempt; checkpoints of later ones are not read.
        stop: When set, the job writes a checkpoint and raises at the next boundary.
        cache: Folder of tokens that jobs share; default: `cache` in `out`.
        access: Where data may come from.

    Raises:
        TandemError: bad input, a full device or disk, divergence, or a requested stop.
    """
    spec = resolve(spec)
    write_text(out / "spec.json", spec.model_dump_json(indent=2) + "\n")
    device = prepare_device(spec.runtime)
    stop = StopFlag() if stop is None else stop

    def on_progress(record: PhaseRecord | ProgressRecord) -> None:
        emit(record)
        stop.leave_if_requested()

    corpus = load_corpus(spec, cache or out / "cache", on_progress, access)
    emit(DomainsRecord(domains=[domain.statistics for domain in corpus.domains]))
    # Before the learning: a tokenizer that cannot be loaded must not be found out hours later.
    lengths = measure_job(corpus, spec, access)
    with translated_memory_errors():
        job = _Job(spec, out, corpus, device, emit=emit, attempt=attempt, stop=stop)
        return job.run(lengths)


class _Job:
    """The two stages of one attempt and what they share: checkpoints and the stop flag."""

    def __init__(
        self,
        spec: JobSpec,
        out: Path,
        corpus: Corpus,
        device: torch.device,
        *,
        emit: Emit,
        attempt: int,
        stop: StopFlag,
    ) -> None:
        self._spec, self._out, self._corpus, self._device = spec, out, corpus, device
        self._emit, self._stop = emit, stop
        digest = hashlib.sha256(spec.model_dump_json().encode()).hexdigest()
        self._store = CheckpointStore(out, attempt=attempt, spec_sha256=digest)
        self._stage_one = StageOne(corpus, spec, device)
        self._stage_two: StageTwo | None = None
        if spec.evaluation.enabled:
            # Bad test records must not be found out after the learning.
            scored_records(corpus, spec)
        self._seconds = {"learning": 0.0, "evaluating": 0.0}

    def run(self, consumer_lengths: Sequence[dict[str, Any]] = ()) -> ResultRecord:
        restored = self._store.restore()
        stage_two_state: dict[str, Any] | None = None
        if restored is not None:
            self._stage_one.load_state_dict(restored.state["stage_one"])
            self._seconds = dict(restored.state["seconds"])
            stage_two_state = restored.state["stage_two"]
            self._emit(
                ResumedRecord(episode=len(self._stage_one.points), from_attempt=restored.attempt)
            )
            # A killed reader may not have stored what came before the checkpoint: say it again.
            for point in self._stage_one.points:
                self._emit(point)
        self._learn()
        self._evaluate(stage_two_state)
        return self._finish(consumer_lengths)

    def _learn(self) -> None:
        self._emit(PhaseRecord(phase="learning", total_units=self._stage_one.total_episodes))
        self._clock = time.perf_counter()
        self._stage_one.run(self._after_episode)

    def _after_episode(self, point: TrajectoryPoint) -> None:
        self._tick("learning")
        self._emit(point)
        every = self._spec.learning.checkpoint_every
        if point.episode % every == 0 or self._stage_one.between_runs or self._stop.requested:
            self._checkpoint()
        self._stop.leave_if_requested()

    def _evaluate(self, state: dict[str, Any] | None) -> None:
        if not self._spec.evaluation.enabled:
            return
        learned = {self._spec.method.kind: self._stage_one.result().alpha}
        # A rule that is learned with may have other settings than the one of its name in stage two.
        shares = learned | free_rules(self._corpus, self._spec) | learned
        self._stage_two = StageTwo(self._corpus, self._spec, self._device, shares)
        if state is not None:
            self._stage_two.load_state_dict(state)
        total = len(shares) * self._spec.evaluation.seeds
        self._emit(PhaseRecord(phase="evaluating", total_units=total))
        self._clock = time.perf_counter()
        self._stage_two.run(self._emit, self._checkpoint_evaluation, self._stop.leave_if_requested)

    def _checkpoint_evaluation(self) -> None:
        self._tick("evaluating")
        self._checkpoint()

    def _finish(self, consumer_lengths: Sequence[dict[str, Any]]) -> ResultRecord:
        self._emit(PhaseRecord(phase="finalizing"))
        stage_one = self._stage_one
        mixture = stage_one.result()
        runs = self._stage_two.runs if self._stage_two else []
        limits = stage_one.limits
        shares = {run.mixture: run.alpha for run in runs if run.mixture != self._spec.method.kind}
        outside = limits.broken_by(shares) if limits else []
        result = ResultRecord(
            mixture=mixture,
            domains=[domain.statistics for domain in self._corpus.domains],
            stage_two=tabulate(runs),
            evaluated_on=[judge.name for judge in self._corpus.judges],
            verdict=judge(
                mixture,
                gather(
                    mixture,
                    stage_one.first_start().tolist(),
                    stage_one.final_points(),
                    stage_one.null_distances(),
                ),
                runs,
                learned=self._spec.method.kind,
                targets=bool(self._spec.targets),
                outside=outside,
                notes=[*stage_one.active_limits(), *baselines_outside(outside)],
            ),
            manifest=write_manifest(
                self._out / "manifest",
                self._corpus,
                mixture.alpha,
                self._spec,
                method=self._spec.method.kind,
                consumer_lengths=consumer_lengths,
            ),
            episodes=len(stage_one.points),
            steps=stage_one.points[-1].step,
            versions=_versions(),
            learning_seconds=self._seconds["learning"],
            evaluation_seconds=self._seconds["evaluating"],
            method=self._spec.method.kind,
            work=self._work(),
        )
        points, targets = stage_one.points, [target.name for target in self._spec.targets]
        write_text(self._out / "trajectory.csv", trajectory_csv(mixture.domains, points, targets))
        write_text(self._out / "result.json", result.model_dump_json(indent=2) + "\n")
        self._emit(result)
        return result

    def _work(self) -> Work:
        """Return the compute of learning."""
        training = self._spec.training
        with torch.device("meta"):  # its shape is enough: no weights are made or read
            model = build_model(
                self._spec.model.evolve(pretrained=False),
                vocabulary=self._corpus.vocabulary_size,
                context_length=training.context_length,
                seed=self._spec.seed,
                labels=("flops",),
            )
        tokens = self._stage_one.work * training.batch_size * training.context_length
        return Work(
            proxy_steps=self._stage_one.work,
            tokens=tokens,
            flops=tokens * per_trained_token(model, training.context_length),
        )

    def _checkpoint(self) -> None:
        state = {
            "stage_one": self._stage_one.state_dict(),
            "stage_two": self._stage_two.state_dict() if self._stage_two else None,
            "seconds": self._seconds,
        }
        self._emit(self._store.save(state, episode=len(self._stage_one.points)))

    def _tick(self, phase: str) -> None:
        now = time.perf_counter()
        self._seconds[phase] += now - self._clock
        self._clock = now


def trajectory_csv(
    domains: Sequence[str], points: Sequence[TrajectoryPoint], targets: Sequence[str] = ()
) -> str:
    """Return the trajectory as CSV: one row per episode, `alpha:<domain>` and so on as columns."""
    per_domain = (
        *("alpha", "answer", "tried", "delta", "train_loss", "validation_loss", "gap", "epochs"),
    )
    left_out = {*per_domain, "type", "target_loss"}
    scalars = [name for name in TrajectoryPoint.model_fields if name not in left_out]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        [
            *scalars,
            *(f"{field}:{name}" for field in per_domain for name in domains),
            *(f"target_loss:{name}" for name in targets),
        ]
    )
    for point in points:
        values = [getattr(point, name) for name in scalars]
        for field in per_domain:
            values += getattr(point, field) or [None] * len(domains)
        values += point.target_loss or []
        writer.writerow(["" if value is None else value for value in values])
    return buffer.getvalue()


def _versions() -> dict[str, str]:
    # Read from the module: an installed distribution may be missing on a bare GPU machine.
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "transformers": transformers.__version__,
    }
