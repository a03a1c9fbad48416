"""The specification of a job: what a user submits and what the engine runs.

A field that is not set takes the value of the preset (`tandem_engine.presets.resolve`); a resolved
specification has every field set and is stored with the job, so that any result can be run again.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tandem_engine.contracts.base import Contract
from tandem_engine.contracts.domains import DomainSpec, require_feasible_shares

Scenario = Literal["data_abundant", "data_restricted"]
MixtureName = Literal["natural", "uniform", "temperature", "unimax"]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class TokenizerSpec(Contract):
    """How text becomes tokens."""

    kind: Literal["bytes", "huggingface"] = Field(
        default="bytes",
        description="`bytes`: one token per UTF-8 byte plus end-of-text; `huggingface`: `path`.",
        examples=["bytes"],
    )
    path: str | None = Field(
        default=None,
        description="Folder of a Hugging Face tokenizer on the worker; only with `huggingface`.",
        examples=["/models/pythia-160m"],
    )

    @model_validator(mode="after")
    def _path_goes_with_huggingface(self) -> Self:
        if (self.kind == "huggingface") != (self.path is not None):
            raise ValueError("`path` is needed with kind `huggingface` and only there")
        return self


class ModelSpec(Contract):
    """Shape of the proxy u, the reference w and the stage-two models (GPT-NeoX style)."""

    hidden_size: Count = Field(default=128, description="Width, in units.", examples=[128])
    layers: Count = Field(default=2, description="Transformer blocks.", examples=[2])
    heads: Count = Field(default=4, description="Attention heads.", examples=[4])
    intermediate_size: Count = Field(default=512, description="MLP width.", examples=[512])

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.hidden_size % self.heads:
            msg = f"hidden_size {self.hidden_size} is not a multiple of heads {self.heads}"
            raise ValueError(msg)
        # Rotary embeddings turn pairs of units in a quarter of each head.
        if (self.hidden_size // self.heads) % 8:
            msg = f"hidden_size / heads is {self.hidden_size // self.heads}; use a multiple of 8"
            raise ValueError(msg)
        return self


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
        description="Steps of u, probing and free together; episodes T = total / (K + E), floored.",
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
    initial_mixture: Literal["uniform", "natural"] = Field(
        default="uniform", description="alpha at the start.", examples=["uniform"]
    )
    tail_fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.1, description="The result is the mean of this last part.", examples=[0.1]
    )
    checkpoint_every: Count = Field(
        default=5, description="Episodes between checkpoints.", examples=[5]
    )

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
        """T: updates of alpha."""
        return self.total_steps // self.episode_steps


class SplitSpec(Contract):
    """Three-way split by document content: train, validation, test."""

    validation_fraction: Fraction = Field(
        default=0.1, description="Part of a domain's bytes that w validates on.", examples=[0.1]
    )
    test_fraction: Fraction = Field(
        default=0.1, description="Part of a domain's bytes for stage two's test.", examples=[0.1]
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
    checkpoint_every: Count = Field(
        default=500, description="Steps of a stage-two model between checkpoints.", examples=[500]
    )

    @field_validator("mixtures")
    @classmethod
    def _are_unique(cls, mixtures: list[MixtureName]) -> list[MixtureName]:
        if len(set(mixtures)) != len(mixtures):
            raise ValueError("a mixture is listed twice; list it once")
        return mixtures


class ManifestSpec(Contract):
    """The resampling plan that a trainer loads."""

    target_tokens: Count | None = Field(
        default=None,
        description="Tokens to train on; null is what the domains hold together.",
        examples=[1_000_000],
    )
    documents: Literal["train", "all"] = Field(
        default="train",
        description="`train` leaves the validation and test documents out, so that a model trained "
        "on the manifest can still be tested on them; `all` reads them too.",
        examples=["train"],
    )


class RuntimeSpec(Contract):
    """Where it runs."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="`auto` is cuda when there is one.", examples=["auto"]
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None,
        description="CPU threads; null is the machine's cores. Bitwise equality needs the same.",
        examples=[2],
    )


class JobSpec(Contract):
    """One request to learn a mixture."""

    scenario: Scenario = Field(
        default="data_restricted",
        description="Chooses the default preset.",
        examples=["data_restricted"],
    )
    preset: str | None = Field(
        default=None,
        description="Name of a preset (GET /v1/presets); null is the scenario's own.",
        examples=["tiny-restricted"],
    )
    domains: list[DomainSpec] = Field(
        min_length=2,
        max_length=256,
        description="Two or more domains; they are ordered by name.",
        examples=[
            [
                {"name": "code", "uris": ["file:///data/code.jsonl"]},
                {"name": "manuals", "uris": ["file:///data/manuals.jsonl"]},
            ]
        ],
    )
    tokenizer: TokenizerSpec = Field(
        default=TokenizerSpec(), description="Tokenizer.", examples=[{"kind": "bytes"}]
    )
    model: ModelSpec = Field(
        default=ModelSpec(), description="Model.", examples=[{"hidden_size": 128}]
    )
    training: TrainingSpec = Field(
        default=TrainingSpec(), description="Optimiser.", examples=[{"batch_size": 16}]
    )
    learning: LearningSpec = Field(
        default=LearningSpec(), description="Algorithm 1.", examples=[{"probing_steps": 5}]
    )
    split: SplitSpec = Field(
        default=SplitSpec(), description="Data split.", examples=[{"test_fraction": 0.1}]
    )
    evaluation: EvaluationSpec = Field(
        default=EvaluationSpec(), description="Stage two.", examples=[{"seeds": 2}]
    )
    manifest: ManifestSpec = Field(
        default=ManifestSpec(), description="Manifest.", examples=[{"target_tokens": 1_000_000}]
    )
    runtime: RuntimeSpec = Field(
        default=RuntimeSpec(), description="Device.", examples=[{"device": "auto"}]
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        default=0, description="Root of all randomness.", examples=[0]
    )

    @field_validator("domains")
    @classmethod
    def _sorted_by_name(cls, domains: list[DomainSpec]) -> list[DomainSpec]:
        names = [domain.name for domain in domains]
        for name in names:
            if names.count(name) > 1:
                msg = f"domain name {name!r} is used twice; names must differ"
                raise ValueError(msg)
        require_feasible_shares(domains)
        # The order of a request must not change a result: everything goes by name.
        return sorted(domains, key=lambda domain: domain.name)

    @property
    def domain_names(self) -> list[str]:
        """Names in the order of every per-domain list: sorted."""
        return [domain.name for domain in self.domains]
