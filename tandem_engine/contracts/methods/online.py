"""Settings of methods that move alpha while a proxy trains."""

import math
from typing import Annotated, Literal

from pydantic import Field

from tandem_engine.contracts.base import Count, Fraction, Positive
from tandem_engine.contracts.methods.base import (
    JobSize,
    MethodSettings,
    RunLength,
    WithValidation,
)


class TandemMethod(MethodSettings):
    """TANDEM, the paper's Algorithm 1; its settings are those of `learning`."""

    kind: Literal["tandem"] = Field(default="tandem", description="Method.", examples=["tandem"])

    def length(self, size: JobSize) -> RunLength:
        """All steps train u; the K probing ones also w, on train and validation rows."""
        per_episode = size.chunk + 2 * size.probing_steps
        every = size.gradient_cosine_every
        cosines = math.ceil(size.chunks / every) * size.delta_rows if every else 0
        return RunLength(
            episodes=size.chunks,
            steps=size.chunks * size.chunk,
            trained_rows=size.chunks * per_episode * size.batch + cosines,
            read_rows=2 * size.chunks * size.delta_rows,
        )


class DoremiMethod(MethodSettings):
    """DoReMi: a proxy that is worst-case robust against a reference model."""

    kind: Literal["doremi"] = Field(default="doremi", description="Method.", examples=["doremi"])
    eta: Positive = Field(default=1.0, description="Rate of the exponent.", examples=[1.0])
    smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=1e-3, description="Part of each alpha that is uniform, c.", examples=[1e-3]
    )
    excess_clip: Literal["token", "domain"] = Field(
        default="token",
        description="Where excess losses below 0 count as 0: per token, as in the original, or in "
        "the mean of a domain, as DoGE and Aioli have it.",
        examples=["token"],
    )
    reference_weights: Literal["uniform", "natural"] = Field(
        default="natural", description="Mixture that the reference trains on.", examples=["natural"]
    )
    rounds: Annotated[int, Field(ge=1, le=8)] = Field(
        default=1,
        description="Rounds; each later one's reference trains on the answer of the one before.",
        examples=[1],
    )

    def length(self, size: JobSize) -> RunLength:
        """Each round trains a reference and a proxy, which also reads with the reference."""
        episodes = 2 * self.rounds * size.chunks
        return RunLength(
            episodes=episodes,
            steps=episodes * size.chunk,
            trained_rows=episodes * size.chunk * size.batch,
            read_rows=self.rounds * size.chunks * size.chunk * size.batch,
        )


class DogeMethod(MethodSettings):
    """DoGE: domains whose gradient points the way of the validation loss gain share."""

    kind: Literal["doge"] = Field(default="doge", description="Method.", examples=["doge"])
    mu: Positive = Field(
        default=0.05,
        description="Scores are divided by it: small moves alpha far.",
        examples=[0.05],
    )
    smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="Part of each alpha that is uniform.", examples=[0.0]
    )
    score_clip: Positive = Field(
        default=5.0, description="Largest score, over the learning rate.", examples=[5.0]
    )
    low_memory: bool = Field(
        default=False,
        description="Keep two gradients in place of one per domain, at half as much work again.",
        examples=[False],
    )

    def length(self, size: JobSize) -> RunLength:
        """A step trains on a batch of the domains and one of what is validated on."""
        steps = size.chunks * size.chunk
        passes = 3 if self.low_memory else 2
        return RunLength(
            episodes=size.chunks, steps=steps, trained_rows=passes * steps * size.batch
        )


class SkillItMethod(WithValidation):
    """Skill-It: a graph of what each domain teaches, weighted by the losses that are left."""

    kind: Literal["skill_it"] = Field(
        default="skill_it", description="Method.", examples=["skill_it"]
    )
    eta: Positive = Field(default=0.2, description="Rate of the exponent.", examples=[0.2])
    window: Count = Field(default=3, description="Evaluations that are summed.", examples=[3])

    def graph_chunks(self, size: JobSize) -> int:
        """Return the episodes that train on one domain alone, for the graph."""
        return max(1, size.chunks // size.domains)

    def length(self, size: JobSize) -> RunLength:
        """A short run on each domain alone, then one that moves its mixture."""
        episodes = size.domains * self.graph_chunks(size) + size.chunks
        evaluations = size.domains + size.chunks
        return RunLength(
            episodes=episodes,
            steps=episodes * size.chunk,
            trained_rows=episodes * size.chunk * size.batch,
            read_rows=evaluations * size.judges * self.validation_sequences,
        )


class AioliMethod(WithValidation):
    """Aioli: the graph is measured again in each round, by training on near one-hot mixtures."""

    kind: Literal["aioli"] = Field(default="aioli", description="Method.", examples=["aioli"])
    rounds: Count = Field(default=10, description="Updates of alpha.", examples=[10])
    sweeps: Count = Field(
        default=1, description="Visits of each near one-hot mixture in a round.", examples=[1]
    )
    focus: Fraction = Field(
        default=0.75, description="Share of the domain that a visit is for.", examples=[0.75]
    )
    eta: Positive = Field(default=1.0, description="Rate of the exponent.", examples=[1.0])
    learn_fraction: Annotated[float, Field(gt=0, le=0.5)] = Field(
        default=0.5, description="Part of the steps that visits may take.", examples=[0.5]
    )

    def round_steps(self, size: JobSize) -> int:
        """Return the steps of a round."""
        return size.total_steps // self.rounds

    def visit_steps(self, size: JobSize) -> int:
        """Return the steps of one visit."""
        visits = self.sweeps * size.domains
        return int(self.learn_fraction * self.round_steps(size)) // visits

    def length(self, size: JobSize) -> RunLength:
        """One model; each round evaluates once and after every visit."""
        if self.focus * size.domains <= 1:
            msg = (
                f"aioli's focus {self.focus} is no more than an even share of {size.domains} "
                f"domains; raise method.focus above {1 / size.domains:.4g}"
            )
            raise ValueError(msg)
        if self.visit_steps(size) < 1:
            needed = math.ceil(self.sweeps * size.domains / self.learn_fraction) * self.rounds
            msg = (
                f"aioli visits {size.domains} domains {self.sweeps} times in each of {self.rounds} "
                f"rounds: total_steps {size.total_steps} leaves no step for a visit; raise "
                f"total_steps to {needed}, or lower method.rounds"
            )
            raise ValueError(msg)
        steps = self.rounds * self.round_steps(size)
        evaluations = self.rounds * (1 + self.sweeps * size.domains)
        return RunLength(
            episodes=self.rounds,
            steps=steps,
            trained_rows=steps * size.batch,
            read_rows=evaluations * size.judges * self.validation_sequences,
        )


class ScalebioMethod(MethodSettings):
    """ScaleBiO: the penalty method without sync, alpha a softmax that Adam moves."""

    kind: Literal["scalebio"] = Field(
        default="scalebio", description="Method.", examples=["scalebio"]
    )
    penalty: Positive = Field(
        default=10.0, description="Weight of the train loss beside validation's.", examples=[10.0]
    )
    mixture_learning_rate: Positive = Field(
        default=0.01, description="Adam's rate on the logits of alpha.", examples=[0.01]
    )

    def length(self, size: JobSize) -> RunLength:
        """Every step trains u on train rows, and w on the same and on validation rows."""
        steps = size.chunks * size.chunk
        return RunLength(episodes=size.chunks, steps=steps, trained_rows=3 * steps * size.batch)
