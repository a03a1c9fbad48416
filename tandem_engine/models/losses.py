"""A GPT-NeoX-style causal LM from a `transformers` configuration, and its loss per sequence."""

import torch
from torch import Tensor, nn
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from tandem_engine.contracts.models import ModelSpec
from tandem_engine.seeding import seed_torch


def build_gpt_neox(
    spec: ModelSpec,
    *,
    vocabulary: int,
    context_length: int,
    seed: int,
    labels: tuple[str | int, ...],
) -> nn.Module:
    """Return a model with fresh weights; the same seed and labels give the same weights.

    Args:
        spec: Shape of the model.
        vocabulary: Tokens that the tokenizer knows.
        context_length: Tokens per sequence.
        seed: The job's root seed.
        labels: Names of the random stream of the weights.
    """
    config = GPTNeoXConfig(
        vocab_size=vocabulary,
        hidden_size=spec.hidden_size,
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        intermediate_size=spec.intermediate_size,
        max_position_embeddings=context_length,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        use_cache=False,
        attn_implementation="sdpa",
    )
    seed_torch(seed, *labels)
    model: nn.Module = GPTNeoXForCausalLM(config)
    return model.train()


def sequence_losses(model: nn.Module, tokens_BT: Tensor) -> Tensor:
    """Return the mean next-token loss of each sequence in nats per token, shape (B,).

    Args:
        model: A causal LM of `transformers`.
        tokens_BT: Token ids, shape (B, T + 1); the last T are predicted.
    """
    logits_BTV = model(input_ids=tokens_BT[:, :-1]).logits
    targets_BT = tokens_BT[:, 1:]
    losses_N = nn.functional.cross_entropy(
        logits_BTV.float().flatten(0, 1), targets_BT.flatten(), reduction="none"
    )
    return losses_N.view(targets_BT.shape).mean(dim=1)


@torch.no_grad()
def mean_loss(model: nn.Module, tokens_NT: Tensor, *, batch_size: int) -> float:
    """Return the mean loss over sequences in nats per token; tokens_NT has shape (N, T + 1)."""
    total = 0.0
    for chunk_BT in torch.split(tokens_NT, batch_size):
        total += float(sequence_losses(model, chunk_BT).double().sum())
    return total / tokens_NT.shape[0]
