"""What the loop needs of a problem: rows of data, each of one domain, and a loss for each row.

Language models and analytic problems meet here, so that one loop serves both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class RowBatch:
    """Rows of several domains and the weight of a row per unit of its domain's weight."""

    rows: Any
    """What `Objective.row_losses` understands; token ids (R, T + 1) for language models."""
    domain_R: Tensor
    """Index of each row's domain, int64, shape (R,)."""
    scale_R: Tensor
    """A domain's loss is the scaled sum of its rows: 1 / rows of the domain, float64, (R,)."""
    weight_R: Tensor
    """What a row weighs in its domain's mean loss, its loss-bearing tokens, float64, (R,)."""
    drawn_by_alpha: bool = False
    """Rows were drawn with probability alpha, so alpha must not weight them again."""

    def train_weights(self, alpha_M: Tensor) -> Tensor:
        r"""Return weights (R,) with :math:`\sum_r c_r \ell_r = L_{train}(\alpha)`."""
        if self.drawn_by_alpha:
            return self.weight_R / self.weight_R.sum()
        return alpha_M[self.domain_R] * self.scale_R

    def validation_weights(self, reduction: Literal["mean", "sum"], judges: int) -> Tensor:
        r"""Return weights (R,) of :math:`L_{val} = \sum_k L^k_{val}` (Eq. 1) or its mean.

        The sum is over what w validates on: the M domains, or K targets.
        """
        return self.scale_R if reduction == "sum" else self.scale_R / judges

    def of_domain(self, domain: int) -> "RowBatch":
        """Return the rows of one domain; `rows` must be a tensor."""
        mine_R = self.domain_R == domain
        return RowBatch(
            rows=self.rows[mine_R],
            domain_R=self.domain_R[mine_R],
            scale_R=self.scale_R[mine_R],
            weight_R=self.weight_R[mine_R],
            drawn_by_alpha=self.drawn_by_alpha,
        )

    def per_domain(self, losses_R: Tensor, domains: int) -> Tensor:
        """Return the mean loss per domain, float64 (M,); NaN for a domain without rows."""
        sums_M = torch.zeros(domains, dtype=torch.float64)
        counts_M = torch.zeros(domains, dtype=torch.float64)
        weighted_R = self.weight_R * losses_R.detach().to("cpu", torch.float64)
        sums_M.index_add_(0, self.domain_R, weighted_R)
        counts_M.index_add_(0, self.domain_R, self.weight_R)
        return sums_M / counts_M


class Objective(Protocol):
    """A bi-level problem: train and validation losses of M domains over one set of parameters."""

    @property
    def domains(self) -> Sequence[str]:
        """Names in the order of every per-domain list."""
        ...

    @property
    def judges(self) -> int:
        """Number of losses that the validation loss is made of."""
        ...

    def build_model(self) -> nn.Module:
        """Return a model with the initial parameters, the same at every call."""
        ...

    def train_batch(self, alpha_M: Tensor) -> RowBatch:
        """Return the next train batch; both twins of a probing step share it."""
        ...

    def validation_batch(self) -> RowBatch:
        """Return the next validation batch."""
        ...

    def delta_batches(self, episode: int) -> tuple[RowBatch, RowBatch]:
        """Return two halves of the fresh train batch on which both twins are compared."""
        ...

    def row_losses(self, model: nn.Module, batch: RowBatch) -> Tensor:
        """Return the loss of each row in nats, shape (R,), differentiable."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return where the data streams stand."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put the data streams where `state_dict` saw them."""
        ...
