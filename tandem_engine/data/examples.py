r"""Conversations of one split, one to a row, read as padded rows of fixed length.

Ids carry the loss mask: a token that is read but not learned is stored as :math:`-1 - id`. Rows
are padded on the right by the end-of-text token, not learned. Attention is causal, so no token
that counts can see the padding, and a row needs no attention mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]


def unlearned(ids: Ids) -> Ids:
    """Return `ids` marked as read but not learned."""
    return (-1 - ids).astype(np.int32)


def plain_ids(coded: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the ids without the mask."""
    return np.where(coded < 0, -1 - coded, coded)


def fitted(coded: Ids, row_tokens: int) -> Ids:
    """Return a conversation cut to `row_tokens` tokens.

    The front of the prompt goes first, up to the last token before the first response, since an
    answer without its question teaches little less than a question without its answer; what is
    still too long loses its end. A row's first token is never predicted.

    Args:
        coded: Ids with the loss mask.
        row_tokens: context_length + 1.

    Raises:
        ValueError: nothing in it is learned.
    """
    learned = np.flatnonzero(coded[1:] >= 0)
    if not learned.size:
        raise ValueError("no token of a response is left to learn")
    excess = len(coded) - row_tokens
    if excess <= 0:
        return coded
    front = min(excess, int(learned[0]))
    return coded[front : front + row_tokens]


def loss_tokens(coded: npt.NDArray[np.integer]) -> int:
    """Return the number of tokens of a row that bear loss."""
    return int((coded[1:] >= 0).sum())


@dataclass(frozen=True, slots=True)
class ExampleSplit:
    """Rows of `context_length` + 1 coded ids, one conversation each."""

    tokens: Ids
    """All conversations, one after the other."""
    ends: npt.NDArray[np.int64]
    """Where each ends in `tokens`, shape (rows,)."""
    context_length: int
    padding: int
    """Id that fills a row up."""
    choices: Sequence[Sequence[str]] = ()
    """Completions that each conversation offers, in the order of rows; empty without a task."""

    def __len__(self) -> int:
        """Return the number of conversations."""
        return len(self.ends)

    def example(self, index: int) -> npt.NDArray[np.int64]:
        """Return the coded ids of one conversation, without padding, shape (length,).

        Raises:
            IndexError: the index is below 0 or not below the number of rows.
        """
        if not 0 <= index < len(self):
            msg = f"row indices must be in [0, {len(self)}), got {index}"
            raise IndexError(msg)
        start = int(self.ends[index - 1]) if index else 0
        return self.tokens[start : int(self.ends[index])].astype(np.int64)

    def rows(self, indices: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Return coded ids, shape (n, context_length + 1).

        Raises:
            IndexError: an index is below 0 or not below the number of rows.
        """
        padding = -1 - self.padding
        rows_NT = np.full((len(indices), self.context_length + 1), padding, dtype=np.int64)
        for row, index in enumerate(indices.tolist()):
            example = self.example(index)
            rows_NT[row, : len(example)] = example
        return rows_NT

    def weights(self, indices: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """Return the number of loss-bearing tokens of rows, shape (n,)."""
        return np.array([loss_tokens(self.example(index)) for index in indices.tolist()], float)

    @property
    def mean_weight(self) -> float:
        """Loss-bearing tokens of a row, on average."""
        return float(self.weights(np.arange(len(self))).mean())
