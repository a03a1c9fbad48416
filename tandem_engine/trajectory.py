"""Summaries of a trajectory of mixtures."""

import math

import torch
from torch import Tensor

from tandem_engine import simplex


def tail(alpha_TM: Tensor, fraction: float) -> Tensor:
    """Return the last `fraction` of the updates, shape (episodes of the tail, M).

    Args:
        alpha_TM: Mixtures, shape (episodes + 1, M); the first row is the start and never counts.
        fraction: In (0, 1]; at least one update is taken.
    """
    updates = alpha_TM.shape[0] - 1
    return alpha_TM[-max(1, math.ceil(fraction * updates - 1e-9)) :]


def tail_mean(alpha_TM: Tensor, fraction: float) -> Tensor:
    """Return the mean of the last `fraction` of the updates (paper, Appendix E), shape (M,).

    The arguments are those of `tail`.
    """
    return tail(alpha_TM, fraction).mean(dim=0)


def centred_cosine(first_M: Tensor, second_M: Tensor) -> float | None:
    """Return the cosine of two centred Deltas, or None where one of them is constant.

    Uncentred, the common shift that the projection removes would inflate it.
    """
    first_M, second_M = simplex.centre(first_M), simplex.centre(second_M)
    norms = float(first_M.norm() * second_M.norm())
    if norms == 0.0:
        return None
    return max(-1.0, min(1.0, float(torch.dot(first_M, second_M)) / norms))
