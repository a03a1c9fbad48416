"""Exact counts, whole epochs, unbiased weights, resume by arithmetic."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tandem_engine.data.sampler import MixtureSampler, first_rows


class Numbered:
    """A split whose rows say which row they are."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length

    def rows(self, indices: np.ndarray) -> np.ndarray:
        return np.repeat(indices[:, None], 3, axis=1)

    def weights(self, indices: np.ndarray) -> np.ndarray:
        return np.ones(len(indices))

    mean_weight = 1.0


def sampler(*lengths: int, seed: int = 0) -> MixtureSampler:
    names = [f"domain-{index}" for index in range(len(lengths))]
    return MixtureSampler([Numbered(n) for n in lengths], names, seed=seed, stream="train")


def counts(domain_R: torch.Tensor, domains: int) -> list[int]:
    return torch.bincount(domain_R, minlength=domains).tolist()


def test_a_domain_is_read_whole_before_it_repeats() -> None:
    subject = sampler(5, 7)
    seen = torch.cat([subject.stratified(2).rows[0, :1] for _ in range(10)])
    assert sorted(seen[:5].tolist()) == [0, 1, 2, 3, 4]
    assert sorted(seen[5:].tolist()) == [0, 1, 2, 3, 4]
    assert seen[:5].tolist() != seen[5:].tolist()
    assert subject.epochs == [2.0, 10 / 7]


@given(st.integers(1, 6), st.integers(1, 20))
def test_stratified_counts_are_equal_over_time(domains: int, batch_size: int) -> None:
    subject = sampler(*[11] * domains)
    batches = [subject.stratified(batch_size) for _ in range(domains)]
    assert all(batch.domain_R.numel() == batch_size for batch in batches)
    total = np.sum([counts(batch.domain_R, domains) for batch in batches], axis=0)
    assert set(total.tolist()) == {batch_size}


@given(st.integers(2, 6), st.integers(1, 20))
def test_weights_of_a_stratified_batch_add_up_to_alpha_on_average(
    domains: int, batch_size: int
) -> None:
    subject = sampler(*[11] * domains)
    alpha = torch.arange(1, domains + 1, dtype=torch.float64)
    alpha /= alpha.sum()
    total = torch.zeros(domains, dtype=torch.float64)
    for _ in range(domains):
        batch = subject.stratified(batch_size)
        total.index_add_(0, batch.domain_R, batch.train_weights(alpha))
    torch.testing.assert_close(total / domains, alpha)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.integers(1, 40))
def test_counts_by_mixture_are_the_floor_or_the_ceiling(
    shares: list[float], batch_size: int
) -> None:
    alpha = torch.tensor(shares, dtype=torch.float64) + 1e-3
    alpha /= alpha.sum()
    drawn = counts(sampler(*[5] * len(shares)).by_mixture(batch_size, alpha).domain_R, len(shares))
    assert sum(drawn) == batch_size
    for count, share in zip(drawn, alpha.tolist(), strict=True):
        assert abs(count - batch_size * share) < 1 + 1e-6


def test_counts_by_mixture_are_right_on_average_and_a_zero_share_is_never_drawn() -> None:
    alpha = torch.tensor([0.55, 0.0, 0.07, 0.38], dtype=torch.float64)
    subject = sampler(5, 5, 5, 5)
    drawn = np.sum([counts(subject.by_mixture(4, alpha).domain_R, 4) for _ in range(500)], axis=0)
    assert drawn[1] == 0
    assert np.abs(drawn / 2000 - alpha.numpy()).max() < 0.01


def test_rows_drawn_by_alpha_are_not_weighted_by_it_again() -> None:
    alpha = torch.tensor([0.9, 0.1], dtype=torch.float64)
    batch = sampler(5, 5).by_mixture(10, alpha)
    assert batch.train_weights(alpha).tolist() == [0.1] * 10


def test_a_restored_sampler_goes_on_with_the_same_batches() -> None:
    alpha = torch.tensor([0.3, 0.7], dtype=torch.float64)
    first, second = sampler(4, 9), sampler(4, 9)
    for _ in range(5):
        first.stratified(3)
        first.by_mixture(3, alpha)
    second.load_state_dict(first.state_dict())
    for _ in range(5):
        assert torch.equal(first.stratified(3).rows, second.stratified(3).rows)
        assert torch.equal(first.by_mixture(3, alpha).rows, second.by_mixture(3, alpha).rows)


def test_streams_go_by_the_domains_name_and_not_by_its_place() -> None:
    one = MixtureSampler([Numbered(9), Numbered(9)], ["a", "b"], seed=1, stream="train")
    other = MixtureSampler([Numbered(9), Numbered(9)], ["b", "a"], seed=1, stream="train")
    assert torch.equal(one.stratified(2).rows.flip(0), other.stratified(2).rows)


def test_a_domain_smaller_than_its_part_of_a_batch_repeats_inside_it() -> None:
    batch = sampler(2, 50).stratified(12)
    assert sorted(batch.rows[:6, 0].tolist()) == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("count", [3, 50])
def test_evaluation_rows_are_always_the_same_and_never_repeat(count: int) -> None:
    rows = first_rows(Numbered(10), "a", seed=3, count=count)
    assert len(set(rows[:, 0].tolist())) == len(rows) == min(count, 10)
    assert np.array_equal(rows, first_rows(Numbered(10), "a", seed=3, count=count))
