"""What a running engine says: one JSON object per line on its standard output.

Every line is one `EngineRecord`; the field `type` says which. Lists that are per domain follow
the sorted domain names of the specification.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from tandem_engine.contracts.base import Contract

Phase = Literal["reading", "tokenizing", "learning", "evaluating", "finalizing"]

EXIT_SUCCEEDED = 0
EXIT_FAILED = 1
EXIT_STOPPED = 75
"""The engine was asked to stop (SIGTERM), wrote a checkpoint and left; run it again to go on."""


class PhaseRecord(Contract):
    """The job entered a phase; `total_units` is what `ProgressRecord` counts in it, if known."""

    type: Literal["phase"] = "phase"
    phase: Phase
    total_units: int | None = None


class ProgressRecord(Contract):
    """Work done in the current phase (documents, steps or models, see the phase)."""

    type: Literal["progress"] = "progress"
    phase: Phase
    done_units: int
    total_units: int | None = None
    message: str = ""


class DomainStatistics(Contract):
    """Size of a domain as read. Documents and tokens are after removal of exact duplicates."""

    name: str
    documents: int
    duplicates_removed: int
    bytes: int
    tokens: int
    train_documents: int
    train_tokens: int
    validation_tokens: int
    test_tokens: int
    train_sequences: int
    natural_share: float = Field(description="of the train tokens that bear loss")
    train_loss_tokens: int = Field(
        default=0, description="train tokens that bear loss: all, and in `sft` those of responses"
    )
    fingerprint: str = Field(description="sha256 over the documents in order")
    malformed_skipped: int = Field(default=0, description="records left out as malformed")
    first_skipped: list[str] = Field(default=[], description="what was wrong with the first ones")


class DomainsRecord(Contract):
    """All domains were read, split and packed."""

    type: Literal["domains"] = "domains"
    domains: list[DomainStatistics]


class ResumedRecord(Contract):
    """The engine goes on from a checkpoint of `episode`.

    Later points are rewritten; those up to it follow again, because a reader may have missed some.
    """

    type: Literal["resumed"] = "resumed"
    episode: int
    from_attempt: int


class TrajectoryPoint(Contract):
    """One episode: alpha after its update, and what was measured. Losses in nats per token.

    A job's runs follow each other (`tandem_engine.learning_plan`): `episode`, `step` and `tokens`
    count over all of them; the learning rate, travel and epochs start again with each. It holds no
    clock: the same specification and seed give bitwise the same points.
    """

    type: Literal["episode"] = "episode"
    episode: int = Field(description="1 for the first update of alpha")
    step: int = Field(description="training steps of the proxy so far")
    alpha: list[float]
    answer: list[float] | None = Field(
        default=None,
        description="mixture that the method would return now, where that is not the mean of the "
        "trajectory's tail",
    )
    tried: list[float] | None = Field(
        default=None, description="mixture that the model in training sees, where it is not alpha"
    )
    delta: list[float] = Field(
        description="L_train(w_K) - L_train(u_K), nats per token; of other methods what moves "
        "alpha, in their own unit, negative where a share gains, or 0"
    )
    delta_cosine: float | None = Field(
        description="cosine of the centred Deltas of two half batches, -1 to 1; near 0 is noise"
    )
    delta_norm: float
    delta_per_rate: float | None = Field(
        default=None, description="norm of Delta over the learning rate; null at a rate of 0"
    )
    train_loss: list[float] = Field(
        description="of u after probing, on the Delta batch; of other methods' proxy on some "
        "fixed train sequences"
    )
    validation_loss: list[float] = Field(
        description="of u at the end of the episode, on the domains' validation parts"
    )
    gap: list[float] = Field(
        default=[], description="validation_loss - train_loss, nats per token (Figure 9)"
    )
    target_loss: list[float] | None = Field(
        default=None, description="the same per target; null without targets"
    )
    twin_distance: float | None = Field(
        default=None,
        description="Euclidean norm of u - w after probing; null without twins",
    )
    distance_per_rate: float | None = Field(
        default=None, description="that over learning rate x K; null at a rate of 0"
    )
    gradient_cosine: float | None = Field(
        default=None,
        description="cosine of the gradients of u's training loss on the two half batches of "
        "Delta (Figure 2); null in episodes that do not measure it",
    )
    learning_rate: float
    entropy: float = Field(description="of alpha, in nats")
    smallest_share: float | None = Field(default=None, description="of alpha")
    travel: float = Field(description="sum over episodes of |alpha change| in L1, so far")
    tokens: int = Field(description="training tokens of u so far")
    epochs: list[float] = Field(description="passes over each domain's train sequences so far")
    work: float | None = Field(
        default=None,
        description="compute of the run so far in steps of plain training: batches that went "
        "forward and backward, and a third of those that only went forward",
    )
    run: int = Field(default=0, description="place of the run in the job's plan, from 0")
    seed: int = Field(default=0, description="learning seed of the run, from 0")
    restart: int = Field(default=0, description="runs of this seed that came before, 0 for none")
    bounded: bool = Field(default=True, description="whether the bounds on shares hold in the run")


class CheckpointRecord(Contract):
    """A checkpoint is whole on disk."""

    type: Literal["checkpoint"] = "checkpoint"
    episode: int
    sequence: int = Field(description="rises with every checkpoint of a job, over all attempts")
    path: str = Field(description="relative to the output folder")
    sha256: str
    bytes: int


class StageTwoRun(Contract):
    """One fresh model trained with one mixture and tested. Losses in nats per token."""

    type: Literal["stage_two_run"] = "stage_two_run"
    mixture: str = Field(description="the method's kind, or the name of a free rule")
    seed: int
    alpha: list[float]
    epochs: list[float]
    test_loss: list[float] = Field(description="per target, or per domain without targets")
    average_loss: float = Field(description="mean of `test_loss`, by the targets' weights")
    metrics: list[float | None] | None = Field(
        default=None,
        description="score per domain, 0 to 1, null without a task; null if no domain has one",
    )


class StageTwoRow(Contract):
    """One mixture over all seeds. Perplexity is exp of the loss; the average is exp of its mean."""

    mixture: str
    alpha: list[float]
    epochs: list[float]
    perplexity: list[float]
    average_perplexity: float
    average_loss: float
    average_loss_sd: float | None = Field(description="between seeds; null with one seed")
    seeds: int
    metrics: list[float | None] | None = Field(
        default=None, description="mean score per domain over seeds, as in `StageTwoRun`"
    )
    metrics_sd: list[float | None] | None = Field(
        default=None, description="between seeds; null with one seed"
    )


class Evidence(Contract):
    """What the trajectories say about the learned mixture; distances of mixtures are in L1."""

    moved: float = Field(description="distance of the result from the start")
    null_moved: float | None = Field(
        default=None, description="what noise alone would give, mean over draws of signs"
    )
    null_moved_high: float | None = Field(
        default=None, description="its 95 % quantile; a result below it is no signal"
    )
    travel: float = Field(description="sum of all changes of alpha in a run, mean over seeds")
    drift: float | None = Field(
        default=None, description="between the last two tenths; null with fewer than two episodes"
    )
    delta_cosine: float | None = Field(
        default=None, description="of the centred halves of Delta, mean over episodes, -1 to 1"
    )
    seed_agreement: float | None = Field(
        default=None,
        description="mean cosine between two seeds of how alpha moved; null with one seed",
    )
    generalisation_gap: list[float] = Field(
        default=[],
        description="validation minus train loss of u per domain at the end, nats per token",
    )


class Verdict(Contract):
    """What the evidence says, in one word and in sentences."""

    outcome: Literal["better", "tie", "worse", "no_effect", "not_evaluated"]
    text: str
    best_mixture: str | None
    warnings: list[str]
    evidence: Evidence | None = None


class MixtureResult(Contract):
    """The learned mixture; of each seed its last run within the bounds counts."""

    domains: list[str]
    alpha: list[float] = Field(description="mean of `alpha_by_seed`")
    trajectory_mean: list[float] = Field(description="of the seeds' whole trajectories")
    last: list[float] = Field(description="after the last episode, mean of the seeds")
    natural: list[float]
    alpha_by_seed: list[list[float]] = Field(
        default=[], description="mean of the last `tail_fraction` of each seed's trajectory"
    )
    interval: list[tuple[float, float]] | None = Field(
        default=None,
        description="95 % t-interval of each share's mean over seeds; null with one seed",
    )
    unconstrained: list[float] | None = Field(
        default=None, description="as `alpha`, learned without the bounds; null when not asked for"
    )


class ManifestSummary(Contract):
    """Where the manifest lies and how it is checked."""

    path: str = Field(description="relative to the output folder")
    sha256: str = Field(description="of the manifest's manifest.json")
    target_tokens: int
    planned_tokens: int


class Work(Contract):
    """Compute of learning, all runs together."""

    proxy_steps: float = Field(
        description="in steps of plain training of the proxy: batches forward and backward, and a "
        "third of those that only went forward"
    )
    tokens: float = Field(description="those steps' tokens")
    flops: float = Field(
        description="floating point operations of those tokens, by 6 N and the attention's term "
        "per token (`tandem_engine.flops`)"
    )


class ResultRecord(Contract):
    """The end of a job that succeeded; also written as `result.json`."""

    type: Literal["result"] = "result"
    mixture: MixtureResult
    domains: list[DomainStatistics]
    stage_two: list[StageTwoRow]
    evaluated_on: list[str] = Field(
        default=[], description="names of the test losses' columns: the targets, or the domains"
    )
    verdict: Verdict
    manifest: ManifestSummary
    episodes: int
    steps: int
    versions: dict[str, str]
    learning_seconds: float
    evaluation_seconds: float
    method: str = Field(default="tandem", description="kind of the method that learned")
    work: Work | None = None


class ErrorRecord(Contract):
    """The end of a job that did not succeed."""

    type: Literal["error"] = "error"
    code: str
    message: str
    retryable: bool
    hint: str = ""
    field: str | None = None
    value: str | None = None


EngineRecord = Annotated[
    PhaseRecord
    | ProgressRecord
    | DomainsRecord
    | ResumedRecord
    | TrajectoryPoint
    | CheckpointRecord
    | StageTwoRun
    | ResultRecord
    | ErrorRecord,
    Field(discriminator="type"),
]

ENGINE_RECORD: TypeAdapter[EngineRecord] = TypeAdapter(EngineRecord)
