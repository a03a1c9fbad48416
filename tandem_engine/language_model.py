"""The bi-level problem of the paper: language models on packed sequences of M domains."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import Corpus
from tandem_engine.data.sampler import MixtureSampler, first_rows
from tandem_engine.models.gpt_neox import build_gpt_neox, mean_loss, sequence_losses
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
        validation = [domain.validation for domain in corpus.domains]
        self._train = MixtureSampler(train, self._domains, seed=spec.seed, stream="train")
        # Delta has a stream of its own: measuring must not use up what u trains on.
        self._delta = MixtureSampler(train, self._domains, seed=spec.seed, stream="delta")
        self._validation = MixtureSampler(
            validation, self._domains, seed=spec.seed, stream="validation"
        )
        self._watched = [
            torch.from_numpy(first_rows(split, name, seed=spec.seed, count=VALIDATION_SEQUENCES))
            for split, name in zip(validation, self._domains, strict=True)
        ]

    @property
    def domains(self) -> Sequence[str]:
        """Names of the domains, sorted."""
        return self._domains

    @property
    def epochs(self) -> list[float]:
        """Passes of u over each domain's train sequences so far."""
        return self._train.epochs

    def build_model(self) -> nn.Module:
        """Return the proxy's initial model."""
        return build_gpt_neox(
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
        """Return the next validation batch of w, stratified."""
        return self._validation.stratified(self._spec.training.batch_size)

    def delta_batches(self, episode: int) -> tuple[RowBatch, RowBatch]:  # noqa: ARG002 - a stream
        """Return two stratified halves of `delta_sequences` train sequences per domain."""
        half = max(1, self._spec.learning.delta_sequences // 2) * len(self._domains)
        return self._delta.stratified(half), self._delta.stratified(half)

    def row_losses(self, model: nn.Module, batch: RowBatch) -> Tensor:
        """Return the loss of each sequence, nats per token, shape (R,)."""
        return sequence_losses(model, batch.rows.to(self._device, non_blocking=True))

    def validation_losses(self, model: nn.Module) -> list[float]:
        """Return the loss per domain on a few fixed validation sequences, nats per token."""
        size = self._spec.training.batch_size
        return [mean_loss(model, rows.to(self._device), batch_size=size) for rows in self._watched]

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
