"""A domain of a job, and the bounds on its share."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tandem_engine.contracts.sources import SourceSpec

SHARE_TOLERANCE = 1e-9
"""How far typed-in shares may miss a sum of 1 by rounding."""

Share = Annotated[float, Field(ge=0, le=1)]
Task = Literal["none", "open_ended", "multiple_choice", "yes_no"]


class DomainSpec(SourceSpec):
    """One dataset whose share is learned."""

    minimum_share: Share | None = Field(
        default=None,
        description="Smallest share of tokens that may be learned, 0 to 1; null is 0.",
        examples=[0.05],
    )
    maximum_share: Share | None = Field(
        default=None,
        description="Largest share of tokens that may be learned, 0 to 1; null is 1.",
        examples=[0.4],
    )
    maximum_epochs: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="Largest number of passes over the domain's tokens when "
        "`manifest.target_tokens` are read; caps the share at maximum_epochs x the domain's tokens "
        "in the manifest / target_tokens. null is no cap.",
        examples=[4.0],
    )
    task: Task = Field(
        default="none",
        description="How stage two scores responses to the domain's test prompts, beside the loss "
        "(scenario `sft`): `open_ended` by ROUGE-L of a greedy answer; `multiple_choice` by how "
        "often the completion is the likeliest of the record's `choices`; `yes_no` likewise among "
        "`answers`.",
        examples=["open_ended"],
    )
    answers: list[str] = Field(
        default=["yes", "no"],
        min_length=2,
        max_length=16,
        description="The possible completions of a `yes_no` task, as they are written in the data.",
        examples=[["Yes", "No"]],
    )

    @model_validator(mode="after")
    def _bounds_leave_a_share(self) -> Self:
        minimum, maximum = self.minimum_share, self.maximum_share
        if minimum is not None and maximum is not None and minimum > maximum:
            msg = (
                f"minimum_share {minimum} of domain {self.name!r} is above its maximum_share "
                f"{maximum}; lower the one or raise the other"
            )
            raise ValueError(msg)
        return self


def require_feasible_shares(domains: Sequence[DomainSpec]) -> None:
    """Check what the bounds on shares contradict without data; caps of epochs need the data.

    Raises:
        ValueError: the minima sum to more than 1, or the maxima to less.
    """
    minima = math.fsum(domain.minimum_share or 0.0 for domain in domains)
    if minima > 1 + SHARE_TOLERANCE:
        msg = f"the domains' minimum_share sum to {minima:.6g}, above 1; lower at least one"
        raise ValueError(msg)
    maxima = math.fsum(1.0 if d.maximum_share is None else d.maximum_share for d in domains)
    if maxima < 1 - SHARE_TOLERANCE:
        msg = f"the domains' maximum_share sum to {maxima:.6g}, below 1; raise at least one"
        raise ValueError(msg)
