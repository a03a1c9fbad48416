"""Rules that turn a hyper-gradient Delta into the next alpha; all end with a projection.

The projection is a value: `simplex.project`, or one onto a part of the simplex.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from tandem_engine import simplex

Projection = Callable[[Tensor], Tensor]
"""Maps any finite point, shape (M,), to the nearest mixture that is allowed."""


class MixtureStep(Protocol):
    """One rule, with whatever it must remember between episodes."""

    def __call__(self, alpha_M: Tensor, delta_M: Tensor) -> Tensor:
        """Return the next alpha, shape (M,), projected; the arguments are not changed."""
        ...

    def state_dict(self) -> dict[str, float]:
        """Return what must survive a restart."""
        ...

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Take the state of `state_dict`."""
        ...


class RawStep:
    r"""Projected gradient descent, Eq. 5 of the paper.

    .. math:: \alpha^{t+1} = \Pi(\alpha^t - \eta_\alpha \gamma \Delta)

    Algorithm 1, line 8, omits gamma; the two agree at gamma = 1 and the theory needs it.
    """

    def __init__(
        self, *, learning_rate: float, penalty: float, project: Projection = simplex.project
    ) -> None:
        """Take eta_alpha (per nat), gamma and the projection."""
        self._scale = learning_rate * penalty
        self._project = project

    def __call__(self, alpha_M: Tensor, delta_M: Tensor) -> Tensor:
        """Return the next alpha."""
        return self._project(alpha_M - self._scale * delta_M)

    def state_dict(self) -> dict[str, float]:
        """Nothing is remembered."""
        return {}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Nothing is remembered."""


class AdagradStep:
    r"""Projected descent with an AdaGrad-norm step, free of Delta's scale.

    .. math:: \alpha^{t+1} = \Pi\Big(\alpha^t - c\, \bar\Delta^t /
        \sqrt{\textstyle\sum_{s \le t} \|\bar\Delta^s\|^2}\Big)

    with the centred Delta. Raw steps depend on learning rate, K and T: the same eta_alpha moves
    nothing in one run and overshoots in another.
    """

    def __init__(self, *, length: float, project: Projection = simplex.project) -> None:
        """Take c, the Euclidean length of the first step, and the projection."""
        self._length = length
        self._project = project
        self._squared_norms = 0.0

    def __call__(self, alpha_M: Tensor, delta_M: Tensor) -> Tensor:
        """Return the next alpha; a Delta of zero leaves it where it is."""
        centred_M = simplex.centre(delta_M)
        self._squared_norms += float(torch.dot(centred_M, centred_M))
        if self._squared_norms == 0.0:
            return alpha_M.clone()
        return self._project(alpha_M - self._length * centred_M / self._squared_norms**0.5)

    def state_dict(self) -> dict[str, float]:
        """Return the running sum of squared norms."""
        return {"squared_norms": self._squared_norms}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Take the running sum of squared norms."""
        self._squared_norms = state["squared_norms"]


class ExponentiatedStep:
    r"""Mirror descent, the update of DoReMi and DoGE, beside the projected ones for comparison.

    .. math:: \alpha^{t+1}_m \propto \alpha^t_m \exp(-\eta_\alpha \gamma \bar\Delta_m)

    A share of 0 stays 0 for ever, unlike under the projected steps.
    """

    def __init__(
        self, *, learning_rate: float, penalty: float, project: Projection = simplex.project
    ) -> None:
        """Take eta_alpha (per nat), gamma and the projection, which matters only with bounds."""
        self._scale = learning_rate * penalty
        self._project = project

    def __call__(self, alpha_M: Tensor, delta_M: Tensor) -> Tensor:
        """Return the next alpha."""
        # softmax subtracts the maximum, so a large Delta cannot overflow exp().
        exponent_M = alpha_M.log() - self._scale * simplex.centre(delta_M)
        return self._project(torch.softmax(exponent_M, dim=0))

    def state_dict(self) -> dict[str, float]:
        """Nothing is remembered."""
        return {}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Nothing is remembered."""


def build_mixture_step(
    kind: str, *, learning_rate: float, penalty: float, project: Projection = simplex.project
) -> MixtureStep:
    """Return the rule called `kind`, with `project` as its projection.

    Raises:
        ValueError: there is no such rule.
    """
    if kind == "raw":
        return RawStep(learning_rate=learning_rate, penalty=penalty, project=project)
    if kind == "adagrad":
        return AdagradStep(length=learning_rate, project=project)
    if kind == "exponentiated":
        return ExponentiatedStep(learning_rate=learning_rate, penalty=penalty, project=project)
    msg = f"mixture_step {kind!r} is unknown; use 'raw', 'adagrad' or 'exponentiated'"
    raise ValueError(msg)
