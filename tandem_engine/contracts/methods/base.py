"""What settings of every method have in common: how long a run is, and what it costs."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from tandem_engine.contracts.base import Contract, Count


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSize:
    """What the length of a run depends on beside its method."""

    total_steps: int
    probing_steps: int
    free_steps: int
    batch: int
    domains: int
    judges: int
    """Targets, or domains where there are none."""
    delta_rows: int
    """Rows of one measurement of Delta."""
    gradient_cosine_every: int

    @property
    def chunk(self) -> int:
        """Steps of an episode, K + E; of other methods, steps from one point to the next."""
        return self.probing_steps + self.free_steps

    @property
    def chunks(self) -> int:
        """Whole episodes in the steps."""
        return self.total_steps // self.chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLength:
    """Length and cost of a run, known before it starts."""

    episodes: int
    """Points of the trajectory."""
    steps: int
    """Training steps that the trajectory counts."""
    trained_rows: int
    """Rows that go forward and backward."""
    read_rows: int = 0
    """Rows that only go forward; an upper bound where a validation part may be smaller."""


class MethodSettings(Contract, ABC):
    """Base of all methods' settings."""

    def model_post_init(self, _: Any) -> None:
        """Count `kind` as given: without it a copy could not be told apart from another method."""
        self.__pydantic_fields_set__.add("kind")

    @abstractmethod
    def length(self, size: JobSize) -> RunLength:
        """Return length and cost of a run.

        Raises:
            ValueError: the run would be too short for the method.
        """


class WithValidation(MethodSettings):
    """Methods that measure validation losses as they go."""

    validation_sequences: Count = Field(
        default=32,
        description="Validation sequences per domain or target of an evaluation, at most.",
        examples=[32],
    )
