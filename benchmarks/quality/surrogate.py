"""The fitted oracle: many mixtures were tried; what is the best that they promise?

RegMix's idea (Liu et al. 2024, arXiv 2407.01492) with a form that suits small domains: the loss of
each domain is a quadratic function of the logarithm of its own share, shifted by the logarithms of
the others', because other domains help it a little. It is a yardstick, not a rival: it costs a
trained model for every mixture that it tries.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

Floats = npt.NDArray[np.float64]

SPREAD = 0.35
"""Standard deviation of the tried mixtures in the logarithm of a share, around the centre."""
RIDGE = 1e-3
"""Ridge penalty per model on standardised features: there are hardly more models than features."""


def mixtures_around(centre: Sequence[float], count: int, *, seed: int) -> list[list[float]]:
    """Return `count` mixtures with log-normal shares around `centre`, each with its mirror image.

    Args:
        centre: Shares above 0, shape (M,).
        count: Mixtures to return.
        seed: Of the draw.
    """
    generator = np.random.default_rng(seed)
    middle_M = np.log(np.asarray(centre, dtype=np.float64))
    drawn: list[list[float]] = []
    while len(drawn) < count:
        offset_M = SPREAD * generator.standard_normal(len(middle_M))
        for sign in (1.0, -1.0):
            share_M = np.exp(middle_M + sign * offset_M)
            drawn.append([float(share) for share in share_M / share_M.sum()])
    return drawn[:count]


def geometric_middle(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """Return the mixture halfway between two in the logarithms of the shares, shape (M,)."""
    middle_M = np.sqrt(np.asarray(first) * np.asarray(second))
    return [float(share) for share in middle_M / middle_M.sum()]


def fit(
    mixtures: Sequence[Sequence[float]], losses: Sequence[Sequence[float]], seeds: Sequence[int]
) -> "Surrogate":
    """Fit one ridge regression per domain.

    Args:
        mixtures: Shares above 0 of N trained models, shape (N, M).
        losses: Their losses, nats per token, shape (N, M).
        seeds: Root seed of each model, shape (N,); what a seed shifts all losses by is taken out.
    """
    log_NM = np.log(np.asarray(mixtures, dtype=np.float64))
    loss_NM = np.asarray(losses, dtype=np.float64)
    of_seed_NS = np.equal.outer(np.asarray(seeds), np.unique(seeds)).astype(np.float64)
    coefficients = []
    for domain in range(log_NM.shape[1]):
        shape_NF = _features(log_NM, domain)
        count = shape_NF.shape[1]
        features_NF = np.concatenate([shape_NF, of_seed_NS], axis=1)
        scale_F = features_NF.std(axis=0) + 1e-12
        mean_F = features_NF.mean(axis=0)
        scaled_NF = (features_NF - mean_F) / scale_F
        gram_FF = scaled_NF.T @ scaled_NF + RIDGE * len(log_NM) * np.eye(scaled_NF.shape[1])
        target_N = loss_NM[:, domain]
        weight_F = np.linalg.solve(gram_FF, scaled_NF.T @ (target_N - target_N.mean())) / scale_F
        # The constant is that of an average seed.
        constant = float(target_N.mean() - mean_F[:count] @ weight_F[:count])
        coefficients.append((weight_F[:count], constant))
    return Surrogate(coefficients, np.asarray(log_NM.min(axis=0)), np.asarray(log_NM.max(axis=0)))


class Surrogate:
    """A fitted loss per domain as a function of the mixture; valid where mixtures were tried."""

    def __init__(
        self, coefficients: list[tuple[Floats, float]], lowest_M: Floats, highest_M: Floats
    ) -> None:
        """Take weights and constant per domain and the tried range of log shares."""
        self._coefficients = coefficients
        self._lowest_M, self._highest_M = lowest_M, highest_M

    def losses(self, mixture: Sequence[float] | Floats) -> Floats:
        """Return the predicted losses of `mixture`, nats per token, shape (M,)."""
        log_1M = np.log(np.asarray(mixture, dtype=np.float64))[None]
        return np.array(
            [
                float(_features(log_1M, domain)[0] @ weight_F + constant)
                for domain, (weight_F, constant) in enumerate(self._coefficients)
            ]
        )

    def best(self) -> list[float]:
        """Return the mixture of the least average loss within the tried range, shape (M,)."""

        def average(log_M: Floats) -> float:
            share_M = np.exp(log_M - log_M.max())
            return float(self.losses(share_M / share_M.sum()).mean())

        # The range keeps the search where the quadratic was fitted; its edge is no discovery.
        found = minimize(
            average,
            (self._lowest_M + self._highest_M) / 2,
            bounds=list(zip(self._lowest_M, self._highest_M, strict=True)),
            method="L-BFGS-B",
        )
        share_M = np.exp(found.x - found.x.max())
        return [float(share) for share in share_M / share_M.sum()]


def _features(log_NM: Floats, domain: int) -> Floats:
    own_N1 = log_NM[:, domain : domain + 1]
    return np.concatenate([own_N1**2, log_NM], axis=1)
