"""A domain of a job, and the bounds on its share."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tandem_engine.contracts.base import Contract

DOMAIN_NAME = r"^[A-Za-z0-9][A-Za-z0-9 ._()/+-]{0,127}$"
SHARE_TOLERANCE = 1e-9
"""How far typed-in shares may miss a sum of 1 by rounding."""

Share = Annotated[float, Field(ge=0, le=1)]


class DomainSpec(Contract):
    """One dataset whose share is learned."""

    name: str = Field(pattern=DOMAIN_NAME, description="Unique name.", examples=["manuals"])
    uris: list[str] = Field(
        min_length=1,
        max_length=1000,
        description="Files of the domain: absolute paths or `file://` URIs.",
        examples=[["file:///data/manuals.jsonl"]],
    )
    format: Literal["auto", "jsonl", "parquet", "text"] = Field(
        default="auto",
        description="File format; `auto` goes by the file's ending. A text file is one document.",
        examples=["jsonl"],
    )
    text_field: str = Field(
        default="text",
        min_length=1,
        description="Field (JSON lines) or column (Parquet) that holds a document's text.",
        examples=["text"],
    )
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

    @field_validator("uris")
    @classmethod
    def _are_local_and_unique(cls, uris: list[str]) -> list[str]:
        for uri in uris:
            if not uri.startswith(("/", "file:///")):
                msg = f"{uri!r} is neither an absolute path nor a file:// URI"
                raise ValueError(msg)
            if "\0" in uri:
                raise ValueError("a URI holds a NUL character; remove it")
        if len(set(uris)) != len(uris):
            raise ValueError("the same URI is listed twice; list it once")
        return uris

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
