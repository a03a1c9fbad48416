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
from tandem_engine.models.losses import mean_loss, sequence_losses
from tandem_engine.objective import RowBatch

VALIDATION_SEQUENCES = 8
"""Validation sequences per domain that show u's generalisation gap in each episode."""


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
        self._watched = self._first_validation_rows(corpus.domains)
        self._watched_targets = self._first_validation_rows(corpus.targets)

    @property
    def domains(self) -> Sequence[str]:
        """Names of the domains, sorted."""
        return self._domains

    @property
    def judges(self) -> int:
        """Number of targets, or of domains where there are none."""
        return len(self._relative_weight_K)

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
        return sequence_losses(model, batch.rows.to(self._device, non_blocking=True))

    def validation_losses(self, model: nn.Module) -> list[float]:
        """Return the loss per domain on a few fixed validation sequences, nats per token."""
        return self._mean_losses(model, self._watched)

    def target_losses(self, model: nn.Module) -> list[float] | None:
        """Return the same per target, or None without targets."""
        return self._mean_losses(model, self._watched_targets) if self._watched_targets else None

    def _mean_losses(self, model: nn.Module, watched: Sequence[Tensor]) -> list[float]:
        size = self._spec.training.batch_size
        return [mean_loss(model, rows.to(self._device), batch_size=size) for rows in watched]

    def _first_validation_rows(self, sources: Sequence[Domain]) -> list[Tensor]:
        return [
            torch.from_numpy(
                first_rows(
                    source.validation,
                    source.name,
                    seed=self._spec.seed,
                    count=VALIDATION_SEQUENCES,
                )
            )
            for source in sources
        ]

    def state_dict(self) -> dict[str, Any]:
        """Return where the three streams stand."""
        return {
            "train": self._train.state_dict(),
            "delta": self._delta.state_dict(),
            "validation": self._validation.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put the three streams where `state_dict` saw them."""
        self._train.load_state_dict(state["train"])
        self._delta.load_state_dict(state["delta"])
        self._validation.load_state_dict(state["validation"])
