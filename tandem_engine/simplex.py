"""The probability simplex: where alpha lives."""

import math

import torch
from torch import Tensor


def uniform(domains: int) -> Tensor:
    """Return the uniform mixture, shape (M,), float64."""
    return torch.full((domains,), 1.0 / domains, dtype=torch.float64)


def project(point_M: Tensor) -> Tensor:
    r"""Return the Euclidean projection onto the simplex.

    .. math:: \Pi(v) = \arg\min_{a \ge 0, \sum a = 1} \|a - v\|^2 = \max(v - \theta, 0)

    with theta from the sorted values (Held, Wolfe, Crowder 1974; Duchi et al. 2008). This is not
    clipping and renormalising: that moves a point that is already feasible in its active part.

    Args:
        point_M: Any finite point, shape (M,).

    Raises:
        ValueError: the point is not finite.
    """
    if not bool(torch.isfinite(point_M).all()):
        msg = f"cannot project a point that is not finite: {point_M.tolist()}"
        raise ValueError(msg)
    point_M = point_M.to(torch.float64)
    # A shift does not change the projection; without it a large common part costs digits.
    point_M = point_M - point_M.max()
    sorted_M = torch.sort(point_M, descending=True).values
    excess_M = torch.cumsum(sorted_M, dim=0) - 1.0
    index_M = torch.arange(1, point_M.numel() + 1, dtype=torch.float64)
    support = int((sorted_M - excess_M / index_M > 0).sum())
    theta = excess_M[support - 1] / support
    return torch.clamp(point_M - theta, min=0.0)


def entropy(alpha_M: Tensor) -> float:
    """Return the entropy of a mixture in nats, 0 to log M; 0 log 0 counts as 0."""
    return float(-sum(a * math.log(a) for a in alpha_M.tolist() if a > 0))


def centre(delta_M: Tensor) -> Tensor:
    """Return `delta_M` less its mean: the part that the projection does not remove."""
    return delta_M - delta_M.mean()
