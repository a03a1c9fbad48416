"""The twin networks: the proxy u and the reference w, each with an optimiser of its own."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

Moments = Literal["persist", "clone", "fresh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiserSettings:
    """Values of one optimiser; frozen, so that no twin inherits what the other changed."""

    kind: Literal["adamw", "sgd"]
    learning_rate: float
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.95)
    gradient_clip: float | None = None


class Twin:
    """A model and its optimiser."""

    def __init__(self, model: nn.Module, settings: OptimiserSettings) -> None:
        """Take a model and the values of its optimiser."""
        self.model = model
        self._settings = settings
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimiser = _build_optimiser(self.parameters, settings)

    def step(self, loss: Tensor, *, rate_factor: float) -> None:
        """Take one step on `loss` at `rate_factor` times the peak learning rate."""
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.step_along_gradients(rate_factor=rate_factor)

    def step_along_gradients(self, *, rate_factor: float) -> None:
        """Take one step along the gradients that lie in the parameters, clipped."""
        for group in self.optimiser.param_groups:
            group["lr"] = self._settings.learning_rate * rate_factor
        if self._settings.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self._settings.gradient_clip)
        self.optimiser.step()

    @torch.no_grad()
    def copy_parameters_from(self, other: "Twin") -> None:
        """Set all parameters and buffers to those of `other`, in place."""
        for mine, theirs in zip(self.model.parameters(), other.model.parameters(), strict=True):
            mine.copy_(theirs)
        for buffer, other_buffer in zip(self.model.buffers(), other.model.buffers(), strict=True):
            buffer.copy_(other_buffer)

    def copy_moments_from(self, other: "Twin") -> None:
        """Set the optimiser's moments to copies of those of `other`."""
        for mine, theirs in zip(self.parameters, other.parameters, strict=True):
            self.optimiser.state[mine] = {
                key: value.clone() if isinstance(value, Tensor) else value
                for key, value in other.optimiser.state.get(theirs, {}).items()
            }

    def forget_moments(self) -> None:
        """Start the optimiser anew."""
        self.optimiser = _build_optimiser(self.parameters, self._settings)

    @torch.no_grad()
    def distance_to(self, other: "Twin") -> float:
        """Return the Euclidean distance of the parameters (Figure 7)."""
        squared = torch.zeros((), dtype=torch.float64)
        for mine, theirs in zip(self.parameters, other.parameters, strict=True):
            squared += (mine - theirs).double().square().sum().cpu()
        return float(squared.sqrt())

    def state_dict(self) -> dict[str, Any]:
        """Return parameters and moments."""
        return {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take parameters and moments."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])


def synchronise(reference: Twin, proxy: Twin, moments: Moments) -> None:
    """Set w to u at the start of an episode (Algorithm 1, line 3).

    `moments` says what AdamW of w keeps: `persist` its own moments, `clone` those of u, `fresh`
    none.
    """
    reference.copy_parameters_from(proxy)
    if moments == "clone":
        reference.copy_moments_from(proxy)
    elif moments == "fresh":
        reference.forget_moments()


def _build_optimiser(
    parameters: list[nn.Parameter], settings: OptimiserSettings
) -> torch.optim.Optimizer:
    if settings.kind == "sgd":
        return torch.optim.SGD(
            parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
    return torch.optim.AdamW(
        parameters,
        lr=settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
        fused=True,
    )
