"""Which sequences a batch holds: exact counts, no randomness beyond seeded permutations.

Every domain's sequences are read in a permutation of their own per epoch, so a domain repeats only
after all of it was read. A stream's whole state is one position per domain: resuming is arithmetic.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tandem_engine.objective import RowBatch
from tandem_engine.seeding import numpy_generator

Indices = npt.NDArray[np.int64]


class Rows(Protocol):
    """Packed sequences of one domain."""

    def __len__(self) -> int:
        """Return the number of sequences."""
        ...

    def rows(self, indices: Indices) -> Indices:
        """Return token ids, shape (n, T + 1)."""
        ...

    def weights(self, indices: Indices) -> npt.NDArray[np.float64]:
        """Return what rows weigh in their domain's mean loss, loss-bearing tokens, shape (n,)."""
        ...

    @property
    def mean_weight(self) -> float:
        """Weight of a row, on average."""
        ...


class DomainStream:
    """An endless order over the sequences of one domain: a new permutation for each epoch."""

    def __init__(self, length: int, *, seed: int, labels: tuple[str, ...]) -> None:
        """Take the number of sequences and the name of the random stream."""
        self._length = length
        self._seed = seed
        self._labels = labels
        self._epoch = -1
        self._order: Indices = np.empty(0, dtype=np.int64)

    def take(self, position: int, count: int) -> Indices:
        """Return the sequence indices at positions `position` to `position + count`."""
        return np.array([self._at(position + i) for i in range(count)], dtype=np.int64)

    def _at(self, position: int) -> int:
        epoch, offset = divmod(position, self._length)
        if epoch != self._epoch:
            generator = numpy_generator(self._seed, *self._labels, epoch)
            self._order = generator.permutation(self._length)
            self._epoch = epoch
        return int(self._order[offset])


class MixtureSampler:
    """Batches over several domains, from one named stream of each.

    Domains are told apart by name, so their order in a request changes nothing.
    """

    def __init__(
        self, splits: Sequence[Rows], names: Sequence[str], *, seed: int, stream: str
    ) -> None:
        """Take packed splits with their domains' names and the stream's name."""
        self._splits = splits
        self._mean_weights = np.array([split.mean_weight for split in splits])
        self._streams = [
            DomainStream(len(split), seed=seed, labels=(stream, name))
            for split, name in zip(splits, names, strict=True)
        ]
        self._seed = seed
        self._stream = stream
        self._batches = 0
        self._positions = [0] * len(splits)

    @property
    def epochs(self) -> list[float]:
        """Passes over each domain so far."""
        return [
            position / len(split)
            for position, split in zip(self._positions, self._splits, strict=True)
        ]

    def restart(self) -> None:
        """Go back to the start of every domain's order."""
        self.load_state_dict({"batches": 0, "positions": [0] * len(self._splits)})

    def stratified(self, batch_size: int) -> RowBatch:
        """Return a batch with equal counts per domain; the remainder goes round in turn.

        With fewer rows than domains each batch holds some of them, scaled by how seldom they come.
        """
        domains = len(self._splits)
        base, extra = divmod(batch_size, domains)
        first = self._batches * extra
        counts = [base] * domains
        for offset in range(extra):
            counts[(first + offset) % domains] += 1
        # Without base rows a domain is there only now and then: its expected count scales it.
        per_domain = [1.0 / count if base else domains / batch_size for count in counts if count]
        return self._draw(counts, per_domain, drawn_by_alpha=False)

    def by_mixture(self, batch_size: int, alpha_M: Tensor) -> RowBatch:
        """Return a batch drawn by `alpha_M` with systematic sampling.

        A domain's count is the floor or the ceiling of batch_size * alpha and right on average.
        Where rows differ in weight, the counts are in proportion to alpha over a domain's mean
        weight, so that alpha is the share of loss-bearing tokens, as it is for rows of one length.
        """
        share_M = alpha_M.numpy() / self._mean_weights
        if len(set(self._mean_weights)) > 1:
            share_M = share_M / share_M.sum()
        offset = numpy_generator(self._seed, self._stream, "counts", self._batches).random()
        edges = np.floor(np.cumsum(share_M) * batch_size + offset).astype(np.int64)
        edges[-1] = batch_size  # the sum of alpha is 1 up to rounding
        counts = np.diff(np.minimum(edges, batch_size), prepend=0).tolist()
        per_domain = [1.0 / count for count in counts if count]
        return self._draw(counts, per_domain, drawn_by_alpha=True)

    def _draw(
        self, counts: Sequence[int], scale_of_present: Sequence[float], *, drawn_by_alpha: bool
    ) -> RowBatch:
        tokens, domain_of_row, scales, weights = [], [], [], []
        scale = iter(scale_of_present)
        for index, count in enumerate(counts):
            if not count:
                continue
            indices = self._streams[index].take(self._positions[index], count)
            self._positions[index] += count
            tokens.append(self._splits[index].rows(indices))
            domain_of_row += [index] * count
            weight_N = self._splits[index].weights(indices)
            weights.append(weight_N)
            scales.append(next(scale) * (weight_N / weight_N.mean()))
        self._batches += 1
        return RowBatch(
            rows=torch.from_numpy(np.concatenate(tokens)),
            domain_R=torch.tensor(domain_of_row),
            scale_R=torch.from_numpy(np.concatenate(scales)),
            weight_R=torch.from_numpy(np.concatenate(weights)),
            drawn_by_alpha=drawn_by_alpha,
        )

    def state_dict(self) -> dict[str, int | list[int]]:
        """Return where the stream stands."""
        return {"batches": self._batches, "positions": list(self._positions)}

    def load_state_dict(self, state: dict[str, int | list[int]]) -> None:
        """Put the stream where `state_dict` saw it."""
        batches, positions = state["batches"], state["positions"]
        assert isinstance(batches, int)  # noqa: S101 - our own state
        assert isinstance(positions, list)  # noqa: S101 - our own state
        self._batches, self._positions = batches, list(positions)


def first_rows(split: Rows, name: str, *, seed: int, count: int) -> Indices:
    """Return token ids of up to `count` sequences, always the same, for evaluation."""
    return split.rows(first_indices(len(split), name, seed=seed, count=count))


def first_indices(length: int, name: str, *, seed: int, count: int) -> Indices:
    """Return the indices of up to `count` of `length` sequences, always the same."""
    order = numpy_generator(seed, "evaluation", name).permutation(length)
    return order[: min(count, length)]
