"""Documents of one split in one flat token array, read as rows of fixed length.

Each document ends with the end-of-text token. Row i is tokens i*T to (i+1)*T, both included, so
that neighbours share one token and every token after the first is predicted exactly once.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tandem_engine.data.tokenise import TokenArray


@dataclass(frozen=True, slots=True)
class PackedSplit:
    """Rows of `context_length` + 1 tokens over the array `tokens` (uint16 or uint32)."""

    tokens: TokenArray
    context_length: int

    def __len__(self) -> int:
        """Return the number of whole rows; a tail of fewer than `context_length` + 1 is unused."""
        return max(0, (len(self.tokens) - 1) // self.context_length)

    def rows(self, indices: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Return the rows `indices`, shape (n, context_length + 1).

        Raises:
            IndexError: an index is below 0 or not below the number of rows.
        """
        starts_N = np.asarray(indices, dtype=np.int64)
        if starts_N.size and not 0 <= int(starts_N.min()) <= int(starts_N.max()) < len(self):
            msg = f"row indices must be in [0, {len(self)}), got {starts_N.min()}..{starts_N.max()}"
            raise IndexError(msg)
        places_NT = starts_N[:, None] * self.context_length + np.arange(self.context_length + 1)
        rows_NT: npt.NDArray[np.int64] = self.tokens[places_NT].astype(np.int64)
        return rows_NT

    def weights(self, indices: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """Return the weight of rows in a domain's loss, shape (n,): all are equally long."""
        return np.ones(len(indices))

    @property
    def mean_weight(self) -> float:
        """Weight of a row, on average."""
        return 1.0
