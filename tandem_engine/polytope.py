"""The simplex cut by bounds on the shares: where alpha lives when domains are constrained."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

SUM_TOLERANCE = 1e-9
"""How far bounds may miss a sum of 1 by rounding before they count as infeasible."""


def project(point_M: Tensor, lower_M: Tensor, upper_M: Tensor) -> Tensor:
    r"""Return the Euclidean projection onto the simplex with bounds.

    .. math:: \Pi(v) = \arg\min_{\ell \le a \le h, \sum a = 1} \|a - v\|^2
        = \min(\max(v - \theta, \ell), h)

    with the theta at which the entries sum to one. The sum falls piecewise linearly in theta and
    bends where an entry reaches a bound, at :math:`v_m - h_m` and :math:`v_m - \ell_m`: bisection
    over the sorted bends finds the linear piece, in which the equation is solved exactly
    (Pardalos, Kovoor 1990; Kiwiel 2008, "Breakpoint searching algorithms for the continuous
    quadratic knapsack problem"). With bounds 0 and 1 it is `simplex.project`. Clipping to the
    bounds and projecting in turn would end at another point.

    Args:
        point_M: Any finite point, shape (M,).
        lower_M: Lower bounds, shape (M,).
        upper_M: Upper bounds, shape (M,).

    Returns:
        The projection, shape (M,), float64, within the bounds exactly.

    Raises:
        ValueError: the point is not finite, shapes differ, or the bounds leave no point.
    """
    require_feasible(lower_M, upper_M)
    if point_M.shape != lower_M.shape or not bool(torch.isfinite(point_M).all()):
        msg = f"need a finite point of shape {tuple(lower_M.shape)}, got {point_M.tolist()}"
        raise ValueError(msg)
    point_M, lower_M, upper_M = (x.to(torch.float64) for x in (point_M, lower_M, upper_M))
    bend_2M = torch.cat([upper_M, lower_M])
    anchor_2M = torch.cat([point_M, point_M])
    # Sorted by theta; where far entries round to the same theta, the higher bound comes first.
    by_bound = torch.argsort(bend_2M, descending=True, stable=True)
    order = by_bound[torch.argsort((anchor_2M - bend_2M)[by_bound], stable=True)]
    # Invariant: the sum is at least 1 at `left` and at most 1 at `right`, as at the two ends.
    left, right = 0, len(order) - 1
    while right - left > 1:
        middle = (left + right) // 2
        bend = order[middle]
        # Differences first: a large common part, or a far entry, must cost no digits.
        shifted_M = point_M - anchor_2M[bend] + bend_2M[bend]
        if float(_clipped(shifted_M, lower_M, upper_M).sum()) >= 1.0:
            left = middle
        else:
            right = middle
    rank_2M = torch.argsort(order)
    at_upper_M, at_lower_M = rank_2M[: len(point_M)] >= right, rank_2M[len(point_M) :] <= left
    solved_M = torch.where(at_upper_M, upper_M, lower_M)
    free_M = ~(at_upper_M | at_lower_M)
    if bool(free_M.any()):
        missing = 1.0 - solved_M[~free_M].sum()
        shifted_M = point_M - point_M[free_M].max()
        theta = (shifted_M[free_M].sum() - missing) / int(free_M.sum())
        solved_M = torch.where(free_M, _clipped(shifted_M - theta, lower_M, upper_M), solved_M)
    return solved_M


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds on the shares, shape (M,) each, that leave at least one mixture.

    Raises:
        ValueError: they leave none; names the bound that is at fault.
    """

    lower_M: Tensor
    upper_M: Tensor

    def __post_init__(self) -> None:
        """Refuse bounds that leave no mixture."""
        require_feasible(self.lower_M, self.upper_M)

    def project(self, point_M: Tensor) -> Tensor:
        """Return the projection of a finite point, shape (M,), onto what the bounds leave."""
        return project(point_M, self.lower_M, self.upper_M)


def require_feasible(lower_M: Tensor, upper_M: Tensor) -> None:
    """Check that some point sums to one within the bounds.

    Raises:
        ValueError: names the bound that is at fault and its value.
    """
    if lower_M.shape != upper_M.shape or lower_M.dim() != 1 or lower_M.numel() == 0:
        msg = f"need two bounds of shape (M,), got {lower_M.tolist()} and {upper_M.tolist()}"
        raise ValueError(msg)
    for place, (low, high) in enumerate(zip(lower_M.tolist(), upper_M.tolist(), strict=True)):
        if not (-math.inf < low <= high < math.inf):  # also where one is NaN
            msg = f"lower bound {low} of entry {place} must be at or below its upper bound {high}"
            raise ValueError(msg)
    low, high = float(lower_M.sum()), float(upper_M.sum())
    if not low <= 1 + SUM_TOLERANCE:
        msg = f"the lower bounds sum to {low:.6g}, above 1: {lower_M.tolist()}"
        raise ValueError(msg)
    if not high >= 1 - SUM_TOLERANCE:
        msg = f"the upper bounds sum to {high:.6g}, below 1: {upper_M.tolist()}"
        raise ValueError(msg)


def _clipped(point_M: Tensor, lower_M: Tensor, upper_M: Tensor) -> Tensor:
    return torch.minimum(torch.maximum(point_M, lower_M), upper_M)
