"""The specification of a job: what a user submits and what the engine runs.

A field that is not set takes the value of the preset (`tandem_engine.presets.resolve`); a resolved
specification has every field set and is stored with the job, so that any result can be run again.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tandem_engine.contracts.base import Contract, Count
from tandem_engine.contracts.domains import DomainSpec, require_feasible_shares
from tandem_engine.contracts.evaluation import EvaluationSpec, SplitSpec
from tandem_engine.contracts.methods.base import JobSize, RunLength
from tandem_engine.contracts.methods.online import TandemMethod
from tandem_engine.contracts.methods.registry import AnyMethod
from tandem_engine.contracts.models import ModelSpec, TokenizerSpec
from tandem_engine.contracts.priors import require_mixture
from tandem_engine.contracts.targets import TargetSpec
from tandem_engine.contracts.training import LearningSpec, TrainingSpec

Scenario = Literal["data_abundant", "data_restricted", "sft"]


class ConsumerSpec(Contract):
    """The trainer that will read the mixture, where it counts tokens in its own way."""

    tokenizer: TokenizerSpec = Field(
        description="Its tokenizer, of the kind `huggingface` or `bytes`.",
        examples=[{"kind": "huggingface", "path": "allenai/dolma2-tokenizer"}],
    )
    documents: Annotated[int, Field(ge=1, le=10**6)] = Field(
        default=1000,
        description="Documents per domain that are drawn at random and counted.",
        examples=[1000],
    )

    @field_validator("tokenizer")
    @classmethod
    def _is_there_already(cls, tokenizer: TokenizerSpec) -> TokenizerSpec:
        if tokenizer.kind == "bpe":
            raise ValueError(
                "the trainer's tokenizer is there already: give kind `huggingface` and its path"
            )
        return tokenizer


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
    rows: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Whether each document that is read gets a row of its own; `auto`: up to "
        "100 million. Without, `tandem manifest expand` makes the rows of any file.",
        examples=["auto"],
    )
    consumer: ConsumerSpec | None = Field(
        default=None,
        description="Tokenizer of the trainer that the mixture is for: exports then count its "
        "tokens when they turn shares of tokens into shares of documents. null: the job's own.",
        examples=[None],
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
        description="Chooses the default preset. `data_abundant` and `data_restricted` pretrain on "
        "texts; `sft` fine-tunes on prompts and responses, of which only responses bear loss.",
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
    targets: list[TargetSpec] = Field(
        default=[],
        max_length=64,
        description="Text that the mixture is learned for: w validates on it and stage two tests "
        "on it, in place of the domains' own held-back parts. It need not resemble a domain.",
        examples=[[{"name": "exam", "uris": ["file:///data/exam.jsonl"], "weight": 1.0}]],
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
    method: AnyMethod = Field(
        default=TandemMethod(),
        description="How the mixture is learned: TANDEM, a peer's method or a free rule.",
        examples=[{"kind": "tandem"}],
    )
    learning: LearningSpec = Field(
        default=LearningSpec(),
        description="Algorithm 1. Of it, other methods use `total_steps`, `prior` (shares at the "
        "start), `seeds`, `unconstrained` and `checkpoint_every`; K + E is their steps from one "
        "point of the trajectory to the next.",
        examples=[{"probing_steps": 5}],
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

    @field_validator("targets")
    @classmethod
    def _targets_sorted_by_name(cls, targets: list[TargetSpec]) -> list[TargetSpec]:
        names = [target.name for target in targets]
        for name in names:
            if names.count(name) > 1:
                msg = f"target name {name!r} is used twice; names must differ"
                raise ValueError(msg)
        return sorted(targets, key=lambda target: target.name)

    @model_validator(mode="after")
    def _targets_have_names_of_their_own(self) -> Self:
        for target in self.targets:
            if target.name in self.domain_names:
                msg = f"target {target.name!r} has the name of a domain; give it another"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _records_fit_the_scenario(self) -> Self:
        for source in (*self.domains, *self.targets):
            where = f"{source.section}.{source.name}"
            if (self.scenario == "sft") == (source.records == "text"):
                fix = "messages or prompt_completion" if self.scenario == "sft" else "text"
                msg = (
                    f"{where}.records is {source.records!r}, but the scenario is "
                    f"{self.scenario!r}; set records to {fix}, or change the scenario"
                )
                raise ValueError(msg)
            if source.records != "text" and source.format == "text":
                msg = f"{where}.format is 'text', which holds no records; use jsonl or parquet"
                raise ValueError(msg)
        for domain in self.domains:
            if domain.task != "none" and self.scenario != "sft":
                msg = f"domains.{domain.name}.task is for the scenario 'sft'; leave it out"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _mixtures_are_of_the_domains(self) -> Self:
        prior = self.learning.prior.shares
        if prior is not None:
            require_mixture(prior, self.domain_names, "learning.prior.shares")
        for name, shares in self.evaluation.custom.items():
            require_mixture(shares, self.domain_names, f"evaluation.custom.{name}")
        return self

    @model_validator(mode="after")
    def _restarts_go_with_tandem(self) -> Self:
        if self.method.kind != "tandem" and self.learning.restarts:
            msg = (
                f"learning.restarts {self.learning.restarts} are for the method 'tandem', not "
                f"{self.method.kind!r}; set it to 0"
            )
            raise ValueError(msg)
        return self

    @property
    def job_size(self) -> JobSize:
        """What the length of a run depends on beside its method."""
        learning = self.learning
        return JobSize(
            total_steps=learning.total_steps,
            probing_steps=learning.probing_steps,
            free_steps=learning.free_steps,
            batch=self.training.batch_size,
            domains=len(self.domains),
            judges=len(self.targets) or len(self.domains),
            delta_rows=2 * max(1, learning.delta_sequences // 2) * len(self.domains),
            gradient_cosine_every=learning.gradient_cosine_every,
        )

    @property
    def run_length(self) -> RunLength:
        """Length and cost of one run of the method.

        Raises:
            ValueError: `learning.total_steps` are too few for the method; `resolve` sees to that.
        """
        return self.method.length(self.job_size)

    @property
    def split_seed(self) -> int:
        """Root of what is held back, and of what of it is tested on."""
        return self.seed if self.split.seed is None else self.split.seed

    @property
    def domain_names(self) -> list[str]:
        """Names in the order of every per-domain list: sorted."""
        return [domain.name for domain in self.domains]
