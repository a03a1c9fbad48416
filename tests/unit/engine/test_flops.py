"""Floating point operations, against a count by hand."""

import torch

from tandem_engine.contracts.models import ModelSpec
from tandem_engine.flops import per_trained_token
from tandem_engine.models.causal_lm import build_model


def test_every_weight_that_multiplies_counts_six_times_and_attention_by_its_context() -> None:
    spec = ModelSpec(hidden_size=32, layers=2, heads=2, intermediate_size=64)
    with torch.device("meta"):
        model = build_model(spec, vocabulary=100, context_length=16, seed=0, labels=("x",))
    # Per layer: attention 4 matrices with biases, MLP 2, two norms; then a norm and the head.
    attention = 4 * (32 * 32 + 32)
    mlp = 32 * 64 + 64 + 64 * 32 + 32
    parameters = 2 * (attention + mlp + 4 * 32) + 2 * 32 + 100 * 32
    assert per_trained_token(model, 16) == 6 * parameters + 12 * 2 * 32 * 16


def test_a_tied_embedding_counts_as_the_head() -> None:
    spec = ModelSpec(hidden_size=32, layers=1, heads=2, intermediate_size=64)
    counts = []
    for tied in (False, True):
        shape = spec.evolve(tie_embeddings=tied)
        with torch.device("meta"):
            model = build_model(shape, vocabulary=100, context_length=16, seed=0, labels=("x",))
        counts.append(per_trained_token(model, 16))
    assert counts[0] == counts[1]
