"""Settings of methods that answer once, after their models are trained."""

from typing import Annotated, Literal

from pydantic import Field

from tandem_engine.contracts.base import Count, Fraction, Positive
from tandem_engine.contracts.methods.base import (
    JobSize,
    MethodSettings,
    RunLength,
    WithValidation,
)


class _ManyProxies(WithValidation):
    proxies: Annotated[int, Field(ge=4, le=4096)] = Field(
        default=16, description="Mixtures that a small model is trained on.", examples=[16]
    )

    def proxy_chunks(self, size: JobSize) -> int:
        """Return the episodes of one proxy."""
        return size.total_steps // self.proxies // size.chunk

    def length(self, size: JobSize) -> RunLength:
        """`total_steps` is shared out among the proxies."""
        chunks = self.proxy_chunks(size)
        if chunks < 1:
            msg = (
                f"total_steps {size.total_steps} is below one episode of {size.chunk} steps for "
                f"each of {self.proxies} proxies; raise it to {self.proxies * size.chunk}, or "
                f"lower method.proxies"
            )
            raise ValueError(msg)
        episodes = self.proxies * chunks
        return RunLength(
            episodes=episodes,
            steps=episodes * size.chunk,
            trained_rows=episodes * size.chunk * size.batch,
            read_rows=self.proxies * size.judges * self.validation_sequences,
        )


class RegmixMethod(_ManyProxies):
    """RegMix: a regression from mixtures to losses, searched over many mixtures."""

    kind: Literal["regmix"] = Field(default="regmix", description="Method.", examples=["regmix"])
    regressor: Literal["lightgbm", "linear"] = Field(
        default="lightgbm",
        description="`lightgbm` needs that package on the worker.",
        examples=["lightgbm"],
    )
    prior_temperature: Fraction = Field(
        default=0.5, description="Mixtures scatter about shares ~ tokens^this.", examples=[0.5]
    )
    maximum_usage: Annotated[float, Field(gt=1)] = Field(
        default=15.0, description="Largest share, in shares of that prior.", examples=[15.0]
    )
    candidates: Annotated[int, Field(ge=100, le=1_000_000)] = Field(
        default=20_000, description="Mixtures that are predicted.", examples=[100_000]
    )
    averaged: Count = Field(
        default=128, description="Best predicted ones, whose mean is the answer.", examples=[128]
    )


class MixingLawsMethod(_ManyProxies):
    """Data mixing laws: losses as exponentials of linear functions of the mixture."""

    kind: Literal["mixing_laws"] = Field(
        default="mixing_laws", description="Method.", examples=["mixing_laws"]
    )
    prior_temperature: Fraction = Field(
        default=0.5, description="Mixtures scatter about shares ~ tokens^this.", examples=[0.5]
    )
    huber_delta: Positive = Field(
        default=0.05, description="Errors of a fit beyond it count linearly, nats.", examples=[0.05]
    )
    starts: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=16, description="Initial values that a fit is tried from.", examples=[16]
    )


class ChameleonMethod(MethodSettings):
    """Chameleon: shares by how much a domain's mean embedding is covered by the others'."""

    kind: Literal["chameleon"] = Field(
        default="chameleon", description="Method.", examples=["chameleon"]
    )
    ridge: Positive = Field(default=10.0, description="lambda of the scores.", examples=[10.0])
    temperature: Positive | None = Field(
        default=None,
        description="Of the softmax; null is the authors': 5 on 1 / score, and in the scenario "
        "`sft` 0.2 on the score.",
        examples=[5.0],
    )
    embedded_sequences: Count = Field(
        default=64, description="Train sequences per domain that are embedded.", examples=[64]
    )

    def length(self, size: JobSize) -> RunLength:
        """A plain run on equal shares, then one pass over some of the train rows."""
        steps = size.chunks * size.chunk
        return RunLength(
            episodes=size.chunks,
            steps=steps,
            trained_rows=steps * size.batch,
            read_rows=size.domains * self.embedded_sequences,
        )
