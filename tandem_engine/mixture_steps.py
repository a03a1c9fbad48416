"""Rules that turn a hyper-gradient Delta into the next alpha; all end with a projection.

The projection is a value: `simplex.project`, or one onto a part of the simplex. A pull towards a
prior, where there is one, comes right before it (`tandem_engine.prior.Pull`).
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from tandem_engine import simplex
from tandem_engine.prior import Pull

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
        self,
        *,
        learning_rate: float,
        penalty: float,
        project: Projection = simplex.project,
        pull: Pull | None = None,
    ) -> None:
        """Take eta_alpha (per nat), gamma, the projection and a pull, which has the rate eta."""
        self._rate = learning_rate
        self._scale = learning_rate * penalty
        self._project = project
        self._pull = pull

    def __call__(self, alpha_M: Tensor, delta_M: Tensor) -> Tensor:
        """Return the next alpha."""
        point_M = alpha_M - self._scale * delta_M
        return self._project(self._pull(point_M, self._rate) if self._pull else point_M)

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

    def __init__(
        self,
        *,
        length: float,
        penalty: float = 1.0,
        project: Projection = simplex.project,
        pull: Pull | None = None,
    ) -> None:
        r"""Take c, the Euclidean length of the first step, the projection and a pull.

        The pull's rate is the one that this step has along gamma Delta, as in the raw step:
        :math:`\eta_t = c / (\gamma \sqrt{\sum_{s \le t} \|\bar\Delta^s\|^2})`; gamma is of no
        other use here.
        """
        self._length = length
        self._penalty = penalty
        self._project = project
        self._pull = pull
        self._squared_norms = 0.0

    def __call__(self, alpha_M: Tensor, delta_M: Tensor) -> Tensor:
        """Return the next alpha; a first Delta of zero leaves it where it is."""
        centred_M = simplex.centre(delta_M)
        self._squared_norms += float(torch.dot(centred_M, centred_M))
        if self._squared_norms == 0.0:
            return alpha_M.clone()
        root = self._squared_norms**0.5
        point_M = alpha_M - self._length * centred_M / root
        if self._pull:
            point_M = self._pull(point_M, self._length / (self._penalty * root))
        return self._project(point_M)

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
        self,
        *,
        learning_rate: float,
        penalty: float,
        project: Projection = simplex.project,
        pull: Pull | None = None,
    ) -> None:
        """Take eta_alpha (per nat), gamma, the projection (which matters with bounds), a pull."""
        self._rate = learning_rate
        self._scale = learning_rate * penalty
        self._project = project
        self._pull = pull

    def __call__(self, alpha_M: Tensor, delta_M: Tensor) -> Tensor:
        """Return the next alpha."""
        exponent_M = alpha_M.log() - self._scale * simplex.centre(delta_M)
        if self._pull:
            exponent_M = self._pull.on_logarithms(exponent_M, self._rate)
        # softmax subtracts the maximum, so a large Delta cannot overflow exp().
        return self._project(torch.softmax(exponent_M, dim=0))

    def state_dict(self) -> dict[str, float]:
        """Nothing is remembered."""
        return {}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Nothing is remembered."""


def build_mixture_step(
    kind: str,
    *,
    learning_rate: float,
    penalty: float,
    project: Projection = simplex.project,
    pull: Pull | None = None,
) -> MixtureStep:
    """Return the rule called `kind`, with `project` as its projection and perhaps a pull.

    Raises:
        ValueError: there is no such rule.
    """
    if kind == "raw":
        return RawStep(learning_rate=learning_rate, penalty=penalty, project=project, pull=pull)
    if kind == "adagrad":
        return AdagradStep(length=learning_rate, penalty=penalty, project=project, pull=pull)
    if kind == "exponentiated":
        return ExponentiatedStep(
            learning_rate=learning_rate, penalty=penalty, project=project, pull=pull
        )
    msg = f"mixture_step {kind!r} is unknown; use 'raw', 'adagrad' or 'exponentiated'"
    raise ValueError(msg)
