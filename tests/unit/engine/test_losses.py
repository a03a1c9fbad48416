"""Losses by hand: which tokens count, and that the others cannot matter."""

from typing import Any

import torch
from torch import Tensor, nn

from tandem_engine.contracts.models import ModelSpec
from tandem_engine.models.causal_lm import build_model
from tandem_engine.models.losses import mean_loss, sequence_losses


class Fixed(nn.Module):
    """Predicts the same distribution everywhere."""

    def __init__(self, probabilities: list[float]) -> None:
        super().__init__()
        self.logits = torch.tensor(probabilities).log()

    def forward(self, input_ids: Tensor) -> Any:
        assert int(input_ids.min()) >= 0

        class Output:
            logits = self.logits.expand(*input_ids.shape, -1)

        return Output()


MODEL = Fixed([0.5, 0.25, 0.125, 0.125])


def test_a_text_counts_every_token_after_the_first() -> None:
    losses = sequence_losses(MODEL, torch.tensor([[3, 0, 1, 2]]))
    expected = -(torch.tensor([0.5, 0.25, 0.125]).log()).mean()
    torch.testing.assert_close(losses, expected[None])


def test_a_conversation_counts_only_what_is_learned() -> None:
    # Read 3, read 0, learn 1, then padding.
    losses = sequence_losses(MODEL, torch.tensor([[-4, -1, 1, -3]]))
    torch.testing.assert_close(losses, -torch.tensor([0.25]).log())


def test_the_mean_over_rows_goes_by_tokens() -> None:
    rows = torch.tensor([[-1, 0, 0, 0], [-1, -1, -1, 2]])
    expected = -(3 * torch.tensor(0.5).log() + torch.tensor(0.125).log()) / 4
    assert abs(mean_loss(MODEL, rows, batch_size=1) - float(expected)) < 1e-6


def test_neither_padding_nor_a_changed_prompt_label_moves_the_loss_of_a_real_model() -> None:
    spec = ModelSpec(architecture="qwen2", hidden_size=32, layers=2, heads=2, intermediate_size=64)
    model = build_model(spec, vocabulary=20, context_length=8, seed=0, labels=("x",))
    row = [-6, -3, -8, 4, 5]
    alone = sequence_losses(model, torch.tensor([row]))
    padded = sequence_losses(model, torch.tensor([[*row, -20, -20]]))
    torch.testing.assert_close(alone, padded, rtol=1e-5, atol=1e-6)
    # The loss has no gradient through what is predicted at prompt positions: learning only the
    # response leaves the loss a mean of its two tokens.
    model.zero_grad()
    logits = model(input_ids=torch.tensor([[5, 2, 7, 4]])).logits[0].log_softmax(-1)
    by_hand = -(logits[2, 4] + logits[3, 5]) / 2
    torch.testing.assert_close(alone[0], by_hand, rtol=1e-5, atol=1e-6)
