"""How models are trained and alpha is learned: optimiser and Algorithm 1."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tandem_engine.contracts.base import Contract, Count, Positive
from tandem_engine.contracts.priors import PriorSpec


class TrainingSpec(Contract):
    """One optimiser setting for all models: AdamW with clipping (paper, Table 5)."""

    batch_size: Count = Field(default=8, description="Sequences per batch.", examples=[8])
    context_length: Annotated[int, Field(ge=8)] = Field(
        default=128, description="Tokens per sequence.", examples=[128]
    )
    learning_rate: Positive = Field(
        default=3e-3, description="Peak rate of u and of stage two (eta_u).", examples=[3e-3]
    )
    schedule: Literal["cosine", "constant"] = Field(
        default="cosine", description="Learning rate over all steps of u.", examples=["cosine"]
    )
    warmup_fraction: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.05, description="Part of the steps with a linear warm-up.", examples=[0.05]
    )
    final_rate_fraction: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="Cosine ends at this part of the peak rate.", examples=[0.0]
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(
        default=0.01, description="AdamW's decoupled weight decay.", examples=[0.01]
    )
    gradient_clip: Positive = Field(
        default=1.0, description="Largest norm of a gradient.", examples=[1.0]
    )
    beta1: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.9, description="AdamW's first moment decay.", examples=[0.9]
    )
    beta2: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.95, description="AdamW's second moment decay.", examples=[0.95]
    )


class LearningSpec(Contract):
    """How alpha is learned: the settings of Algorithm 1."""

    total_steps: Count = Field(
        default=500,
        description="Steps of u in each run, probing and free together; episodes of a run T = "
        "total / (K + E), floored.",
        examples=[500],
    )
    probing_steps: Count = Field(default=5, description="K, steps of both twins.", examples=[5])
    free_steps: Annotated[int, Field(ge=0)] = Field(
        default=5, description="E, steps of u alone under the new alpha.", examples=[5]
    )
    penalty: Positive = Field(default=1.0, description="gamma, no unit.", examples=[1.0])
    reference_learning_rate: Positive | None = Field(
        default=None,
        description="Peak rate of w (eta_w); null is eta_u, right for AdamW at every gamma.",
        examples=[None],
    )
    mixture_learning_rate: Positive = Field(
        default=0.1,
        description="eta_alpha for `raw`; the step's length c for `adagrad`.",
        examples=[0.1],
    )
    mixture_step: Literal["raw", "adagrad", "exponentiated"] = Field(
        default="adagrad",
        description="`raw`: alpha - eta gamma Delta (Eq. 5); `adagrad`: centred Delta over the "
        "root of its running squared norms; `exponentiated`: alpha exp(-eta gamma Delta), normed.",
        examples=["adagrad"],
    )
    validation_reduction: Literal["mean", "sum"] = Field(
        default="mean", description="L_val over domains: sum is Eq. 1.", examples=["mean"]
    )
    sampling: Literal["stratified", "sampled"] = Field(
        default="stratified",
        description="`stratified`: equal sequences per domain, loss weighted by alpha; `sampled`: "
        "sequences drawn by alpha.",
        examples=["stratified"],
    )
    delta_sequences: Count = Field(
        default=16, description="Sequences per domain that measure Delta.", examples=[16]
    )
    reference_moments: Literal["persist", "clone", "fresh"] = Field(
        default="persist",
        description="AdamW moments of w at a sync: its own, those of u, or zero.",
        examples=["persist"],
    )
    synchronise: bool = Field(
        default=True, description="Set w to u at every episode (Figure 7).", examples=[True]
    )
    gradient_cosine_every: Annotated[int, Field(ge=0)] = Field(
        default=10,
        description="Episodes from one measurement of the agreement of gradients (Figure 2) to "
        "the next; 0 is never. It costs one gradient on the Delta batch and changes nothing else.",
        examples=[10],
    )
    tail_fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.1, description="The result is the mean of this last part.", examples=[0.1]
    )
    checkpoint_every: Count = Field(
        default=5, description="Episodes between checkpoints.", examples=[5]
    )
    prior: PriorSpec = Field(
        default=PriorSpec(),
        description="alpha at the start, and what may pull it back.",
        examples=[{"kind": "natural"}],
    )
    seeds: Annotated[int, Field(ge=1, le=32)] = Field(
        default=1,
        description="Times that alpha is learned, each with its own weights and data order; the "
        "result is the mean, with an interval from two on.",
        examples=[3],
    )
    restarts: Annotated[int, Field(ge=0, le=16)] = Field(
        default=0,
        description="Runs that follow the first of a seed: u starts again from its initial "
        "weights, alpha from its mean over the seed's runs so far. The last one counts.",
        examples=[1],
    )
    unconstrained: bool = Field(
        default=False,
        description="Learn once more per seed without the bounds on shares and report that "
        "optimum too; without bounds there is nothing to add.",
        examples=[True],
    )

    @model_validator(mode="before")
    @classmethod
    def _initial_mixture_became_prior(cls, data: Any) -> Any:
        if isinstance(data, dict) and "initial_mixture" in data:
            given = data["initial_mixture"]
            msg = (
                f"initial_mixture {given!r} was replaced by prior: write "
                f'"prior": {{"kind": "{given}"}} instead'
            )
            raise ValueError(msg)
        return data

    @model_validator(mode="after")
    def _has_an_episode(self) -> Self:
        if self.episodes < 1:
            msg = (
                f"total_steps {self.total_steps} is below one episode of probing_steps + "
                f"free_steps = {self.episode_steps}; raise total_steps"
            )
            raise ValueError(msg)
        return self

    @property
    def episode_steps(self) -> int:
        """K + E: steps of u in one episode."""
        return self.probing_steps + self.free_steps

    @property
    def episodes(self) -> int:
        """T: updates of alpha in one run."""
        return self.total_steps // self.episode_steps
