"""What a method is to the rest of the engine, and what it is given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.language_model import LanguageModelObjective
from tandem_engine.loop import Episode
from tandem_engine.mixture_steps import MixtureStep
from tandem_engine.twins import Twin


class Method(Protocol):
    """One run of a method: a mixture that moves, or an answer that comes at the end."""

    @property
    def proxy(self) -> Twin:
        """The model whose losses a point of the trajectory shows."""
        ...

    def run_episode(self) -> Episode:
        """Go on to the next point; as many as the settings' `length` says."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return all that must survive a restart; holds between two episodes."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken: what follows is bitwise the same."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodSetup:
    """What a run has to work with."""

    objective: LanguageModelObjective
    """Data streams, losses and fresh models; it counts the work."""
    spec: JobSpec
    """Resolved; `seed` is the root of this run's randomness."""
    start_M: Tensor
    """alpha before the first episode: the prior within the bounds, float64, (M,)."""
    project: Callable[[Tensor], Tensor]
    """Maps a mixture to the nearest that the bounds on shares allow."""
    mixture_step: MixtureStep
    """TANDEM's step of alpha."""
    tokens: list[int]
    """Loss-bearing train tokens per domain."""
    stage_two_tokens: int
    """Loss-bearing tokens that a model of stage two trains on."""


MethodBuilder = Callable[[MethodSetup], Method]
