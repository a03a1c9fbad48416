"""Next-token losses of a causal language model, per sequence and over many."""

import torch
from torch import Tensor, nn

IGNORED = -100
"""Label of a token that bears no loss."""


def sequence_losses(model: nn.Module, coded_BT: Tensor) -> Tensor:
    """Return the mean next-token loss of each sequence in nats per token, shape (B,).

    Args:
        model: A causal LM of `transformers`.
        coded_BT: Token ids, shape (B, T + 1); the last T are predicted. A token that is read but
            not predicted is -1 - id (`tandem_engine.data.examples`).
    """
    losses_BT, counted_BT = token_losses(model, coded_BT)
    return losses_BT.sum(dim=1) / counted_BT.sum(dim=1)


def token_losses(model: nn.Module, coded_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next-token losses in nats, 0 where none is borne, and which tokens bear one.

    Both have the shape (B, T); the second is boolean. Arguments as for `sequence_losses`.
    """
    ids_BT = torch.where(coded_BT < 0, -1 - coded_BT, coded_BT)
    labels_BT = torch.where(coded_BT < 0, IGNORED, coded_BT)[:, 1:]
    logits_BTV = model(input_ids=ids_BT[:, :-1]).logits
    losses_N = nn.functional.cross_entropy(
        logits_BTV.float().flatten(0, 1),
        labels_BT.flatten(),
        reduction="none",
        ignore_index=IGNORED,
    )
    return losses_N.view(labels_BT.shape), labels_BT != IGNORED


@torch.no_grad()
def mean_loss(model: nn.Module, coded_NT: Tensor, *, batch_size: int) -> float:
    """Return the mean loss over all predicted tokens in nats per token.

    Args:
        model: A causal LM of `transformers`.
        coded_NT: Sequences as for `sequence_losses`, shape (N, T + 1).
        batch_size: Sequences of a forward pass.
    """
    total, counted = 0.0, 0
    for chunk_BT in torch.split(coded_NT, batch_size):
        tokens_B = (chunk_BT[:, 1:] >= 0).sum(dim=1)
        total += float((sequence_losses(model, chunk_BT).double() * tokens_B).sum())
        counted += int(tokens_B.sum())
    return total / counted
