"""Settings of methods that learn nothing: rules on the sizes of the domains."""

from typing import Literal

from pydantic import Field

from tandem_engine.contracts.base import Fraction, Positive
from tandem_engine.contracts.methods.base import JobSize, MethodSettings, RunLength


class _FreeRule(MethodSettings):
    def length(self, size: JobSize) -> RunLength:
        """A rule needs no training; one step shows the losses that training starts from."""
        return RunLength(episodes=1, steps=1, trained_rows=size.batch)


class UniformMethod(_FreeRule):
    """Equal shares."""

    kind: Literal["uniform"] = Field(default="uniform", description="Method.", examples=["uniform"])


class NaturalMethod(_FreeRule):
    """Shares by tokens."""

    kind: Literal["natural"] = Field(default="natural", description="Method.", examples=["natural"])


class TemperatureMethod(_FreeRule):
    """Shares by a power of the tokens."""

    kind: Literal["temperature"] = Field(
        default="temperature", description="Method.", examples=["temperature"]
    )
    temperature: Fraction = Field(
        default=0.25, description="tau in share ~ tokens^tau.", examples=[0.25]
    )


class UnimaxMethod(_FreeRule):
    """Even shares, but no domain beyond so many epochs of stage two."""

    kind: Literal["unimax"] = Field(default="unimax", description="Method.", examples=["unimax"])
    max_epochs: Positive = Field(default=4.0, description="Epochs.", examples=[4.0])
