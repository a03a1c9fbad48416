"""Solve any bi-level mixture problem that is given as functions, with the loop of the engine.

    class MeanMatching:
        domains = ["a", "b"]
        def initial_parameters(self): return torch.zeros(2, dtype=torch.float64)
        def train_losses(self, x): return ((x - self.train) ** 2).sum(1) / 2
        def val_losses(self, x): return ((x - self.validation) ** 2).sum(1) / 2

    trajectory = solve(MeanMatching(), BilevelSettings(episodes=500))
    trajectory.mixture

Full batches, no noise: the place to see what the algorithm itself does.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from tandem_engine import simplex
from tandem_engine.loop import LoopSettings, TwinLoop
from tandem_engine.mixture_steps import build_mixture_step
from tandem_engine.objective import RowBatch
from tandem_engine.polytope import Bounds
from tandem_engine.prior import build_pull
from tandem_engine.schedules import Schedule
from tandem_engine.trajectory import tail_mean
from tandem_engine.twins import Moments, OptimiserSettings


class BilevelProblem(Protocol):
    """M domains with differentiable full-batch losses over d parameters."""

    @property
    def domains(self) -> Sequence[str]:
        """Names of the domains."""
        ...

    def initial_parameters(self) -> Tensor:
        """Return the start, shape (d,); its dtype is that of the run."""
        ...

    def train_losses(self, parameters: Tensor) -> Tensor:
        """Return the train loss per domain, shape (M,)."""
        ...

    def val_losses(self, parameters: Tensor) -> Tensor:
        """Return the validation loss per domain, shape (M,)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BilevelSettings:
    """Settings of `solve`; the paper's letters are in brackets."""

    episodes: int = 1000
    """Updates of alpha (T)."""
    probing_steps: int = 5
    """Steps of both twins before an update (K)."""
    free_steps: int = 0
    """Steps of the proxy alone after it (E)."""
    penalty: float = 10.0
    """Penalty strength (gamma); the bias of the optimum falls as 1 / penalty."""
    lr_proxy: float = 0.1
    """Learning rate of u (eta_u)."""
    lr_reference: float | None = None
    """Learning rate of w (eta_w); None is lr_proxy / penalty for SGD, lr_proxy for AdamW."""
    lr_mixture: float = 0.1
    """Step of alpha (eta_alpha), or its length for `adagrad`."""
    mixture_step: Literal["raw", "adagrad", "exponentiated"] = "raw"
    """`raw`: alpha - lr_mixture penalty Delta, projected; see `tandem_engine.mixture_steps`."""
    val_reduction: Literal["mean", "sum"] = "mean"
    """Validation loss over domains; `sum` is Eq. 1."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """Optimiser of both twins."""
    lr_schedule: Literal["constant", "cosine"] = "constant"
    """Learning rates over all steps of u."""
    initial_mixture: Sequence[float] | None = None
    """Start of alpha in the order of `domains`, projected onto the bounds; None is uniform.

    It is the prior that `prior_pull` pulls towards, too.
    """
    minimum_share: Sequence[float] | None = None
    """Smallest share of each domain, in the order of `domains`; None is 0 for all."""
    maximum_share: Sequence[float] | None = None
    """Largest share of each domain, in the order of `domains`; None is 1 for all."""
    tail_fraction: float = 0.1
    """The resulting mixture is the mean of this last part of the trajectory."""
    seed: int = 0
    """Root of randomness; full-batch problems use none."""
    reference_moments: Moments = "persist"
    """What AdamW of w keeps at a sync."""
    prior_pull: float = 0.0
    """Weight lambda of lambda / 2 |alpha - initial_mixture|^2 beside the validation loss.

    See `tandem_engine.prior.Pull`; with `exponentiated` the distance is the KL divergence.
    """

    def __post_init__(self) -> None:
        """Refuse values that cannot run.

        Raises:
            ValueError: names the field, its value and what it must be.
        """
        for name, least in (("episodes", 1), ("probing_steps", 1), ("free_steps", 0)):
            if getattr(self, name) < least:
                msg = f"{name} is {getattr(self, name)}; it must be at least {least}"
                raise ValueError(msg)
        for name in ("penalty", "lr_proxy", "lr_mixture"):
            if not getattr(self, name) > 0:
                msg = f"{name} is {getattr(self, name)}; it must be above 0"
                raise ValueError(msg)
        if not 0 <= self.prior_pull < math.inf:
            msg = f"prior_pull is {self.prior_pull}; it must be 0 or above, and finite"
            raise ValueError(msg)
        if not 0 < self.tail_fraction <= 1:
            msg = f"tail_fraction is {self.tail_fraction}; it must be above 0 and at most 1"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """What `solve` found; rows are episodes, columns follow `domains`."""

    domains: tuple[str, ...]
    alpha: Tensor
    """Mixtures, shape (episodes + 1, M); the first row is the start."""
    delta: Tensor
    """Hyper-gradients, shape (episodes, M), in the unit of the losses."""
    mixture: Tensor
    """Mean of the tail of `alpha`, shape (M,)."""
    parameters: Tensor
    """The proxy's parameters at the end, shape (d,)."""


def solve(problem: BilevelProblem, settings: BilevelSettings | None = None) -> Trajectory:
    """Learn the mixture of `problem` with Algorithm 1.

    Raises:
        ValueError: the initial mixture or the bounds on shares do not fit the problem.
        DivergedError: a loss is no longer finite.
    """
    settings = settings or BilevelSettings()
    loop = _build_loop(_FunctionObjective(problem), settings)
    alphas, deltas = [loop.alpha_M], []
    for _ in range(settings.episodes):
        episode = loop.run_episode()
        alphas.append(episode.alpha_M)
        deltas.append(episode.delta_M)
    alpha = torch.stack(alphas)
    return Trajectory(
        domains=tuple(problem.domains),
        alpha=alpha,
        delta=torch.stack(deltas),
        mixture=tail_mean(alpha, settings.tail_fraction),
        parameters=next(loop.proxy.model.parameters()).detach().clone(),
    )


def _build_loop(objective: "_FunctionObjective", settings: BilevelSettings) -> TwinLoop:
    lr_reference = settings.lr_reference
    if lr_reference is None:
        # Else Delta would measure that w trained more than u. AdamW is free of the scale.
        scale = settings.penalty if settings.optimizer == "sgd" else 1.0
        lr_reference = settings.lr_proxy / scale
    steps = settings.episodes * (settings.probing_steps + settings.free_steps)
    domains = len(objective.domains)
    bounds = _bounds(settings, domains)
    start_M = _start(settings.initial_mixture, domains)
    return TwinLoop(
        objective=objective,
        settings=LoopSettings(
            probing_steps=settings.probing_steps,
            free_steps=settings.free_steps,
            penalty=settings.penalty,
            validation_reduction=settings.val_reduction,
            proxy=OptimiserSettings(kind=settings.optimizer, learning_rate=settings.lr_proxy),
            reference=OptimiserSettings(kind=settings.optimizer, learning_rate=lr_reference),
            schedule=Schedule(kind=settings.lr_schedule, total_steps=steps),
            reference_moments=settings.reference_moments,
        ),
        mixture_step=build_mixture_step(
            settings.mixture_step,
            learning_rate=settings.lr_mixture,
            penalty=settings.penalty,
            project=simplex.project if bounds is None else bounds.project,
            pull=build_pull(start_M, settings.prior_pull),
        ),
        alpha_M=start_M if bounds is None else bounds.project(start_M),
    )


def _bounds(settings: BilevelSettings, domains: int) -> Bounds | None:
    if settings.minimum_share is None and settings.maximum_share is None:
        return None
    bounds = []
    for name, default in (("minimum_share", 0.0), ("maximum_share", 1.0)):
        given = getattr(settings, name)
        values = [default] * domains if given is None else [float(share) for share in given]
        if len(values) != domains or not all(0 <= share <= 1 for share in values):
            msg = f"{name} {values} must hold {domains} shares from 0 to 1"
            raise ValueError(msg)
        bounds.append(torch.tensor(values, dtype=torch.float64))
    try:
        return Bounds(*bounds)
    except ValueError as error:
        msg = f"minimum_share and maximum_share leave no mixture: {error}"
        raise ValueError(msg) from error


def _start(initial: Sequence[float] | None, domains: int) -> Tensor:
    if initial is None:
        return simplex.uniform(domains)
    alpha_M = torch.as_tensor(initial, dtype=torch.float64)
    on_simplex = (
        alpha_M.shape == (domains,)
        and bool((alpha_M >= 0).all())
        and abs(float(alpha_M.sum()) - 1) < 1e-6  # noqa: PLR2004 - rounding of a typed-in mixture
    )
    if not on_simplex:
        msg = f"initial_mixture {list(initial)} must hold {domains} shares >= 0 that sum to 1"
        raise ValueError(msg)
    return alpha_M / alpha_M.sum()


class _Parameters(nn.Module):
    """A vector of parameters as a model, so that twins and optimisers need no second kind."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.vector = nn.Parameter(start.detach().clone())


class _FunctionObjective:
    """An `Objective` whose rows are the domains themselves: one row each, every time."""

    def __init__(self, problem: BilevelProblem) -> None:
        self._problem = problem
        self.domains = list(problem.domains)
        self.judges = count = len(self.domains)
        ones = torch.ones(count, dtype=torch.float64)
        self._train, self._validation = (
            RowBatch(rows=rows, domain_R=torch.arange(count), scale_R=ones, weight_R=ones)
            for rows in ("train", "val")
        )

    def build_model(self) -> nn.Module:
        return _Parameters(self._problem.initial_parameters())

    def train_batch(self, alpha_M: Tensor) -> RowBatch:  # noqa: ARG002 - full batch
        return self._train

    def validation_batch(self) -> RowBatch:
        return self._validation

    def delta_batches(self, episode: int) -> tuple[RowBatch, RowBatch]:  # noqa: ARG002 - full batch
        return self._train, self._train

    def row_losses(self, model: nn.Module, batch: RowBatch) -> Tensor:
        vector = next(model.parameters())
        if batch.rows == "train":
            return self._problem.train_losses(vector)
        return self._problem.val_losses(vector)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass
