"""The bi-level problem of the paper: language models on packed sequences of M domains."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import Corpus, Domain
from tandem_engine.data.sampler import MixtureSampler, first_rows
from tandem_engine.models.causal_lm import build_model
from tandem_engine.models.losses import mean_loss, sequence_losses, token_losses
from tandem_engine.objective import RowBatch

WATCHED_SEQUENCES = 8
"""Sequences per domain that show a proxy's losses in each episode, beside what methods read."""


class Meter:
    """Counts the rows that models went over for learning."""

    def __init__(self) -> None:
        """Start at 0."""
        self.trained_rows = 0
        self.read_rows = 0

    def count(self, rows: int) -> None:
        """Count rows of a forward pass, with a backward one to follow if gradients are on."""
        if torch.is_grad_enabled():
            self.trained_rows += rows
        else:
            self.read_rows += rows

    def state_dict(self) -> dict[str, int]:
        """Return both counts."""
        return {"trained_rows": self.trained_rows, "read_rows": self.read_rows}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Take both counts."""
        self.trained_rows, self.read_rows = state["trained_rows"], state["read_rows"]


class LanguageModelObjective:
    """Train and validation losses of causal LMs per domain, in nats per token."""

    def __init__(
        self,
        corpus: Corpus,
        spec: JobSpec,
        device: torch.device,
        *,
        weights_seed: int | None = None,
    ) -> None:
        """Take the packed corpus, a resolved specification and the device of the models.

        `weights_seed` is the root of the initial weights where it is not `spec.seed`, the root of
        the order of the data.
        """
        self._spec = spec
        self._weights_seed = spec.seed if weights_seed is None else weights_seed
        self._device = device
        self.meter = Meter()
        self._corpus = corpus
        self._vocabulary = corpus.vocabulary_size
        self._domains = [domain.name for domain in corpus.domains]
        train = [domain.train for domain in corpus.domains]
        self._train = MixtureSampler(train, self._domains, seed=spec.seed, stream="train")
        # Delta has a stream of its own: measuring must not use up what u trains on.
        self._delta = MixtureSampler(train, self._domains, seed=spec.seed, stream="delta")
        self._validation = MixtureSampler(
            [judge.validation for judge in corpus.judges],
            [judge.name for judge in corpus.judges],
            seed=spec.seed,
            stream="validation",
        )
        weight_K = torch.tensor([judge.weight for judge in corpus.judges], dtype=torch.float64)
        self._relative_weight_K = weight_K * len(weight_K) / weight_K.sum()
        self._watched = self._validation_rows(corpus.domains, WATCHED_SEQUENCES)
        self._watched_targets = self._validation_rows(corpus.targets, WATCHED_SEQUENCES)
        self._watched_train = [
            torch.from_numpy(first_rows(d.train, d.name, seed=spec.seed, count=WATCHED_SEQUENCES))
            for d in corpus.domains
        ]

    @property
    def domains(self) -> Sequence[str]:
        """Names of the domains, sorted."""
        return self._domains

    @property
    def judges(self) -> int:
        """Number of targets, or of domains where there are none."""
        return len(self._relative_weight_K)

    @property
    def judge_weights(self) -> Tensor:
        """Weights of the judges, float64, shape (J,), summing to 1."""
        return self._relative_weight_K / len(self._relative_weight_K)

    @property
    def work(self) -> float:
        """Compute so far in steps of plain training: reading is a third of training."""
        rows = self.meter.trained_rows + self.meter.read_rows / 3
        return rows / self._spec.training.batch_size

    @property
    def epochs(self) -> list[float]:
        """Passes of u over each domain's train sequences so far."""
        return self._train.epochs

    def build_model(self) -> nn.Module:
        """Return the proxy's initial model."""
        return build_model(
            self._spec.model,
            vocabulary=self._vocabulary,
            context_length=self._spec.training.context_length,
            seed=self._weights_seed,
            labels=("weights", "proxy"),
        ).to(self._device)

    def train_batch(self, alpha_M: Tensor) -> RowBatch:
        """Return the next train batch of u."""
        if self._spec.learning.sampling == "sampled":
            return self._train.by_mixture(self._spec.training.batch_size, alpha_M)
        return self._train.stratified(self._spec.training.batch_size)

    def stratified_batch(self) -> RowBatch:
        """Return the next train batch with equal counts per domain."""
        return self._train.stratified(self._spec.training.batch_size)

    def mixture_batch(self, alpha_M: Tensor) -> RowBatch:
        """Return the next train batch, drawn by `alpha_M`."""
        return self._train.by_mixture(self._spec.training.batch_size, alpha_M)

    def restart_train(self) -> None:
        """Read the train sequences from the start again, in the same order, as for a new model."""
        self._train.restart()

    def validation_batch(self) -> RowBatch:
        r"""Return the next validation batch of w, stratified over what it validates on.

        Targets count by their weights :math:`v_k`: the sum of K losses is
        :math:`K \sum_k v_k L^k / \sum_k v_k`, their mean :math:`\sum_k v_k L^k / \sum_k v_k`.
        """
        batch = self._validation.stratified(self._spec.training.batch_size)
        return replace(batch, scale_R=batch.scale_R * self._relative_weight_K[batch.domain_R])

    def delta_batches(self, episode: int) -> tuple[RowBatch, RowBatch]:  # noqa: ARG002 - a stream
        """Return two stratified halves of `delta_sequences` train sequences per domain."""
        half = max(1, self._spec.learning.delta_sequences // 2) * len(self._domains)
        return self._delta.stratified(half), self._delta.stratified(half)

    def row_losses(self, model: nn.Module, batch: RowBatch) -> Tensor:
        """Return the loss of each sequence, nats per token, shape (R,)."""
        self.meter.count(len(batch.domain_R))
        return sequence_losses(model, batch.rows.to(self._device, non_blocking=True))

    def token_losses(self, model: nn.Module, batch: RowBatch) -> tuple[Tensor, Tensor]:
        """Return the loss of each token in nats, and which bear one, both (R, T)."""
        self.meter.count(len(batch.domain_R))
        return token_losses(model, batch.rows.to(self._device, non_blocking=True))

    @torch.no_grad()
    def judged_losses(self, model: nn.Module, count: int) -> Tensor:
        """Return the loss per target, or per domain without targets, nats per token, (J,).

        On up to `count` validation sequences of each, always the same.
        """
        rows = self._validation_rows(self._corpus.judges, count)
        self.meter.count(sum(map(len, rows)))
        return torch.tensor(self._mean_losses(model, rows), dtype=torch.float64)

    @torch.no_grad()
    def mean_hidden_state(self, model: nn.Module, domain: int, count: int) -> Tensor:
        """Return the mean of the last hidden states over train sequences of a domain, (D,).

        Over up to `count` sequences, always the same; float64, on the CPU.
        """
        source = self._corpus.domains[domain]
        coded = first_rows(source.train, source.name, seed=self._spec.seed, count=count)
        self.meter.count(len(coded))
        total, tokens = torch.zeros((), dtype=torch.float64), 0
        for chunk_BT in torch.split(torch.from_numpy(coded), self._spec.training.batch_size):
            ids_BT = torch.where(chunk_BT < 0, -1 - chunk_BT, chunk_BT).to(self._device)
            output = model(input_ids=ids_BT[:, :-1], output_hidden_states=True)
            state_BTD = output.hidden_states[-1].double().cpu()
            total = total + state_BTD.sum(dim=(0, 1))
            tokens += state_BTD.shape[0] * state_BTD.shape[1]
        return total / tokens

    def train_losses(self, model: nn.Module) -> list[float]:
        """Return the loss per domain on a few fixed train sequences, nats per token."""
        return self._mean_losses(model, self._watched_train)

    def validation_losses(self, model: nn.Module) -> list[float]:
        """Return the loss per domain on a few fixed validation sequences, nats per token."""
        return self._mean_losses(model, self._watched)

    def target_losses(self, model: nn.Module) -> list[float] | None:
        """Return the same per target, or None without targets."""
        return self._mean_losses(model, self._watched_targets) if self._watched_targets else None

    def _mean_losses(self, model: nn.Module, watched: Sequence[Tensor]) -> list[float]:
        size = self._spec.training.batch_size
        return [mean_loss(model, rows.to(self._device), batch_size=size) for rows in watched]

    def _validation_rows(self, sources: Sequence[Domain], count: int) -> list[Tensor]:
        seed = self._spec.seed
        return [
            torch.from_numpy(first_rows(s.validation, s.name, seed=seed, count=count))
            for s in sources
        ]

    def state_dict(self) -> dict[str, Any]:
        """Return where the three streams stand, and what was counted."""
        return {
            "train": self._train.state_dict(),
            "delta": self._delta.state_dict(),
            "validation": self._validation.state_dict(),
            "meter": self.meter.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put streams and counts where `state_dict` saw them."""
        self._train.load_state_dict(state["train"])
        self._delta.load_state_dict(state["delta"])
        self._validation.load_state_dict(state["validation"])
        self.meter.load_state_dict(state["meter"])
