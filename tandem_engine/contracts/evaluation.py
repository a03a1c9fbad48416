"""What is held back from training, and what the learned mixture is compared with."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tandem_engine.contracts.base import Contract, Count, Fraction, Positive
from tandem_engine.contracts.domains import Share
from tandem_engine.contracts.methods.registry import METHOD_NAMES
from tandem_engine.contracts.sources import SOURCE_NAME

MixtureName = Literal["natural", "uniform", "temperature", "unimax"]
CustomName = Annotated[str, Field(pattern=SOURCE_NAME)]


class SplitSpec(Contract):
    """Three-way split by document content: train, validation, test."""

    validation_fraction: Fraction = Field(
        default=0.1, description="Part of a domain's bytes that w validates on.", examples=[0.1]
    )
    test_fraction: Fraction = Field(
        default=0.1, description="Part of a domain's bytes for stage two's test.", examples=[0.1]
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = Field(
        default=None,
        description="Root of the split's randomness; null is the job's `seed`. Jobs with the same "
        "one test on the same text.",
        examples=[0],
    )

    @model_validator(mode="after")
    def _leaves_training_data(self) -> Self:
        held_out = self.validation_fraction + self.test_fraction
        if held_out > 0.5:  # noqa: PLR2004 - half for training is the least that makes sense
            msg = f"validation_fraction + test_fraction is {held_out}; keep it at 0.5 or below"
            raise ValueError(msg)
        return self


class EvaluationSpec(Contract):
    """Stage two: fresh models trained by resampling with each mixture at one budget."""

    enabled: bool = Field(default=True, description="Run stage two.", examples=[True])
    steps: Count = Field(default=500, description="Steps per model.", examples=[500])
    mixtures: list[MixtureName] = Field(
        default=["natural", "uniform", "temperature", "unimax"],
        description="Free rules to compare the learned mixture with; bounds on shares do not "
        "apply to them.",
        examples=[["natural", "uniform"]],
    )
    temperature: Fraction = Field(
        default=0.25, description="tau in share ~ tokens^tau.", examples=[0.25]
    )
    unimax_epochs: Positive = Field(
        default=4.0, description="Largest number of epochs of a domain in UniMax.", examples=[4.0]
    )
    seeds: Annotated[int, Field(ge=1, le=32)] = Field(
        default=2, description="Models per mixture; gives the noise.", examples=[2]
    )
    test_sequences: Count = Field(
        default=64, description="Test sequences per domain, at most.", examples=[64]
    )
    metric_records: Count = Field(
        default=32,
        description="Test records per domain with a `task` that are scored, at most.",
        examples=[100],
    )
    metric_tokens: Count = Field(
        default=64, description="Longest answer to an open-ended prompt, tokens.", examples=[64]
    )
    checkpoint_every: Count = Field(
        default=500, description="Steps of a stage-two model between checkpoints.", examples=[500]
    )
    custom: dict[CustomName, dict[str, Share]] = Field(
        default={},
        max_length=64,
        description="Mixtures of your own by name, compared like the free rules: share of tokens "
        "for each of the job's domains, summing to 1.",
        examples=[{"mine": {"code": 0.4, "manuals": 0.6}}],
    )

    @field_validator("mixtures")
    @classmethod
    def _are_unique(cls, mixtures: list[MixtureName]) -> list[MixtureName]:
        if len(set(mixtures)) != len(mixtures):
            raise ValueError("a mixture is listed twice; list it once")
        return mixtures

    @field_validator("custom")
    @classmethod
    def _have_names_of_their_own(
        cls, custom: dict[str, dict[str, float]]
    ) -> dict[str, dict[str, float]]:
        for name in METHOD_NAMES:
            if name in custom:
                msg = f"custom mixture {name!r} has the name of one of ours; give it another"
                raise ValueError(msg)
        # The order of a request must not change a result.
        return {name: dict(sorted(custom[name].items())) for name in sorted(custom)}
