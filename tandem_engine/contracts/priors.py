"""The prior on the mixture: where learning starts, and what may pull it back."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tandem_engine.contracts.base import Contract, Fraction
from tandem_engine.contracts.domains import Share

MIXTURE_TOLERANCE = 1e-6
"""How far the shares of a typed-in mixture may miss a sum of 1 by rounding."""


class PriorSpec(Contract):
    """A mixture that is known before learning. Learning starts at it, within the bounds."""

    kind: Literal["uniform", "natural", "temperature", "custom"] = Field(
        default="uniform",
        description="`uniform`: equal shares; `natural`: by tokens; `temperature`: share ~ "
        "tokens^temperature; `custom`: `shares`. Tokens are those of the train parts.",
        examples=["natural"],
    )
    temperature: Fraction = Field(
        default=0.25, description="tau in share ~ tokens^tau, no unit.", examples=[0.25]
    )
    shares: dict[str, Share] | None = Field(
        default=None,
        description="Share of tokens per domain, sums to 1; needed with kind `custom`, and only "
        "there.",
        examples=[{"code": 0.4, "manuals": 0.6}],
    )
    pull: Annotated[float, Field(ge=0)] = Field(
        default=0.0,
        description="Weight of the distance from the prior beside the validation loss, nats per "
        "token: pull / 2 |alpha - prior|^2, and with the `exponentiated` step pull KL(alpha, "
        "prior). 0 is none.",
        examples=[0.5],
    )

    @field_validator("shares")
    @classmethod
    def _ordered_by_name(cls, shares: dict[str, float] | None) -> dict[str, float] | None:
        return None if shares is None else dict(sorted(shares.items()))

    @model_validator(mode="after")
    def _shares_go_with_custom(self) -> Self:
        if self.kind == "custom" and self.shares is None:
            raise ValueError("kind `custom` needs `shares`: give one per domain, or another kind")
        if self.kind != "custom" and self.shares is not None:
            msg = f"`shares` go with kind `custom` only, not {self.kind!r}; leave one of them out"
            raise ValueError(msg)
        return self


def require_mixture(shares: Mapping[str, float], domains: Sequence[str], field: str) -> None:
    """Check that a mixture that a user typed in is one of exactly these domains.

    Args:
        shares: Share of tokens per domain.
        domains: Names of the job's domains.
        field: What to call the mixture in an error.

    Raises:
        ValueError: a domain is missing or unknown, or the shares do not sum to 1.
    """
    for problem, names in (
        ("no share for", [name for name in domains if name not in shares]),
        ("a share for the unknown", [name for name in shares if name not in domains]),
    ):
        if names:
            listed = ", ".join(map(repr, names))
            msg = f"{field} has {problem} {listed}; give one share for each of the job's domains"
            raise ValueError(msg)
    total = math.fsum(shares.values())
    if abs(total - 1) > MIXTURE_TOLERANCE:
        msg = f"the shares of {field} sum to {total:.6g}; make them sum to 1"
        raise ValueError(msg)
