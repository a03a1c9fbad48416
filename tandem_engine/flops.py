"""Floating point operations of a language model, counted from its shape."""

from typing import Any

from torch import nn


def per_trained_token(model: nn.Module, context_length: int) -> float:
    r"""Return the operations of one token, forward and backward, no unit.

    .. math:: 6 N + 12\, L\, d\, T

    with N the parameters that multiply (all but the input embedding, unless it is the output's
    too), L layers of width d and T tokens of context (Chowdhery et al. 2022, PaLM, Appendix B). The
    attention's term counts the whole context, as is usual, though a token sees half of it on
    average. A forward pass alone is a third.
    """
    causal: Any = model
    config = causal.config
    parameters = sum(p.numel() for p in model.parameters())
    if not config.tie_word_embeddings:
        parameters -= causal.get_input_embeddings().weight.numel()
    attention = 12 * config.num_hidden_layers * config.hidden_size * context_length
    return float(6 * parameters + attention)
