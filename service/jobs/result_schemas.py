"""What a job that succeeded found, as the interface shows it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", from_attributes=True)


class DomainStatisticsRead(_Part):
    """Size of a domain as it was read; exact duplicates do not count."""

    name: str = Field(description="Name of the domain.", examples=["manuals"])
    documents: int = Field(description="Distinct documents.", examples=[3949])
    duplicates_removed: int = Field(description="Exact duplicates left out.", examples=[12])
    bytes: int = Field(description="UTF-8 bytes of text.", examples=[32_470_000])
    tokens: int = Field(description="Tokens, end-of-text included.", examples=[32_473_949])
    train_documents: int = Field(description="Documents of the train part.", examples=[3160])
    train_tokens: int = Field(description="Tokens of the train part.", examples=[25_970_000])
    validation_tokens: int = Field(
        description="Tokens of the part that w validates on.", examples=[3_250_000]
    )
    test_tokens: int = Field(description="Tokens of stage two's test.", examples=[3_250_000])
    train_sequences: int = Field(
        description="Packed sequences of the train part.", examples=[202_890]
    )
    natural_share: float = Field(
        description="Share of all train tokens that bear loss, 0 to 1.", examples=[0.572]
    )
    train_loss_tokens: int = Field(
        default=0,
        description="Train tokens that bear loss: all of them, and in the scenario `sft` those of "
        "responses; 0 in results of older releases.",
        examples=[25_970_000],
    )
    fingerprint: str = Field(
        description="sha256 over the documents in order.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    malformed_skipped: int = Field(
        default=0, description="Malformed records that `skip_malformed` left out.", examples=[2]
    )
    first_skipped: list[str] = Field(
        default=[],
        description="What was wrong with the first of them.",
        examples=[["/data/manuals.jsonl: line 17 is not JSON: ..."]],
    )


class StageTwoRead(_Part):
    """Fresh models trained with one mixture, over all seeds."""

    mixture: str = Field(
        description="The method's kind, or the name of a free rule.", examples=["tandem"]
    )
    alpha: list[float] = Field(description="Share per domain, in tokens.", examples=[[0.6, 0.4]])
    epochs: list[float] = Field(
        description="Passes over each domain's train part.", examples=[[1.2, 3.4]]
    )
    perplexity: list[float] = Field(
        description="exp of the test loss per entry of `evaluated_on`, no unit.",
        examples=[[12.1, 8.4]],
    )
    average_perplexity: float = Field(
        description="exp of `average_loss`, no unit.", examples=[10.08]
    )
    average_loss: float = Field(
        description="Mean of the test losses, of targets by their weights, nats per token.",
        examples=[2.311],
    )
    average_loss_sd: float | None = Field(
        description="Standard deviation between seeds, nats per token; null with one seed.",
        examples=[0.004],
    )
    seeds: int = Field(description="Models trained.", examples=[2])
    metrics: list[float | None] | None = Field(
        default=None,
        description="Score per domain, mean over seeds, 0 to 1: ROUGE-L or accuracy by the "
        "domain's `task`, null without one; null when no domain has a task.",
        examples=[[0.41, None]],
    )
    metrics_sd: list[float | None] | None = Field(
        default=None,
        description="Standard deviation of the scores between seeds; null with one seed.",
        examples=[[0.02, None]],
    )


class EvidenceRead(_Part):
    """What the trajectories say; distances of mixtures are in L1, from 0 to 2."""

    moved: float = Field(description="Of the result from the start.", examples=[0.31])
    null_moved: float | None = Field(
        description="Distance that noise alone would give: the mean over runs of the same steps "
        "with the sign of each Delta drawn at random.",
        examples=[0.09],
    )
    null_moved_high: float | None = Field(
        description="Its 95 % quantile; a result that moved less is no signal.", examples=[0.14]
    )
    travel: float = Field(
        description="Sum of all changes of alpha in a run, mean over seeds.", examples=[0.9]
    )
    drift: float | None = Field(
        description="Between the last two tenths of the episodes; null with too few.",
        examples=[0.02],
    )
    delta_cosine: float | None = Field(
        description="Of the centred halves of Delta, mean over episodes, -1 to 1.", examples=[0.6]
    )
    seed_agreement: float | None = Field(
        description="Mean cosine between two seeds of how alpha moved; null with one seed.",
        examples=[0.93],
    )
    generalisation_gap: list[float] = Field(
        description="Validation minus train loss of u per domain, mean over the last tenth of the "
        "episodes, nats per token.",
        examples=[[0.12, 0.4]],
    )


class VerdictRead(_Part):
    """What the evidence says."""

    outcome: Literal["better", "tie", "worse", "no_effect", "not_evaluated"] = Field(
        description="The learned mixture against the best free rule.", examples=["better"]
    )
    text: str = Field(
        description="The same in sentences.",
        examples=["The learned mixture has the lowest average test loss of 5 mixtures."],
    )
    best_mixture: str | None = Field(
        description="Mixture with the lowest loss; null without stage two.", examples=["tandem"]
    )
    warnings: list[str] = Field(
        description="Reasons for care, among them the bounds on shares that held.",
        examples=[["the cap of 4 epochs holds for domain code at 0.12"]],
    )
    evidence: EvidenceRead | None = Field(
        default=None,
        description="The numbers behind it; null in results of older releases.",
        examples=[
            {
                "moved": 0.31,
                "null_moved": 0.09,
                "null_moved_high": 0.14,
                "travel": 0.9,
                "drift": 0.02,
                "delta_cosine": 0.6,
                "seed_agreement": 0.93,
                "generalisation_gap": [0.12, 0.4],
            }
        ],
    )


class MixtureResultRead(_Part):
    """The learned mixture; lists follow `domains`. Of each seed the last run counts."""

    domains: list[str] = Field(description="Names, sorted.", examples=[["code", "manuals"]])
    alpha: list[float] = Field(
        description="The result: mean over the seeds of the trajectory's tail, shares in tokens.",
        examples=[[0.6, 0.4]],
    )
    trajectory_mean: list[float] = Field(
        description="Mean of the whole trajectory.", examples=[[0.55, 0.45]]
    )
    last: list[float] = Field(description="After the last episode.", examples=[[0.61, 0.39]])
    natural: list[float] = Field(
        description="Shares of the domains' own token counts.", examples=[[0.7, 0.3]]
    )
    alpha_by_seed: list[list[float]] = Field(
        default=[],
        description="Mean of the trajectory's tail, a row per seed.",
        examples=[[[0.58, 0.42], [0.62, 0.38]]],
    )
    interval: list[tuple[float, float]] | None = Field(
        default=None,
        description="Lower and upper end of the 95 % t-interval of each share's mean over seeds, "
        "cut to 0 and 1; null with one seed.",
        examples=[[[0.35, 0.85], [0.15, 0.65]]],
    )
    unconstrained: list[float] | None = Field(
        default=None,
        description="Learned without the bounds on shares, mean over the seeds; null when "
        "`learning.unconstrained` did not ask for it or there are no bounds.",
        examples=[[0.7, 0.3]],
    )


class ManifestSummaryRead(_Part):
    """The manifest in short."""

    path: str = Field(description="Relative to the job's folder.", examples=["manifest"])
    sha256: str = Field(
        description="Of the manifest's head, `GET .../manifest`.",
        examples=["2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"],
    )
    target_tokens: int = Field(description="Tokens asked for.", examples=[1_000_000])
    planned_tokens: int = Field(description="Tokens planned, whole documents.", examples=[999_871])


class WorkRead(_Part):
    """Compute of learning, all runs together."""

    proxy_steps: float = Field(
        description="In steps of plain training of the proxy: batches that went forward and "
        "backward, and a third of those that only went forward.",
        examples=[1864.0],
    )
    tokens: float = Field(description="Tokens of those steps.", examples=[1_908_736.0])
    flops: float = Field(description="Floating point operations.", examples=[1.2e12])


class ResultRead(_Part):
    """The end of a job that succeeded."""

    mixture: MixtureResultRead = Field(
        description="The learned mixture.",
        examples=[
            {
                "domains": ["code", "manuals"],
                "alpha": [0.6, 0.4],
                "trajectory_mean": [0.55, 0.45],
                "last": [0.61, 0.39],
                "natural": [0.7, 0.3],
                "alpha_by_seed": [[0.58, 0.42], [0.62, 0.38]],
                "interval": [[0.35, 0.85], [0.15, 0.65]],
                "unconstrained": None,
            }
        ],
    )
    domains: list[DomainStatisticsRead] = Field(
        description="Sizes of the domains as read.", examples=[[]]
    )
    stage_two: list[StageTwoRead] = Field(
        description="The learned mixture and the free rules, tested; empty without stage two.",
        examples=[[]],
    )
    evaluated_on: list[str] = Field(
        default=[],
        description="What the test losses are of, in their order: the targets, or the domains; "
        "empty in results of older releases, where they are of the domains.",
        examples=[["code", "manuals"]],
    )
    verdict: VerdictRead = Field(
        description="Whether the learned mixture beats the free rules.",
        examples=[
            {
                "outcome": "not_evaluated",
                "text": "Stage two was off.",
                "best_mixture": None,
                "warnings": [],
            }
        ],
    )
    manifest: ManifestSummaryRead = Field(
        description="Where the manifest lies and how large it is.",
        examples=[
            {
                "path": "manifest",
                "sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
                "target_tokens": 1_000_000,
                "planned_tokens": 999_871,
            }
        ],
    )
    episodes: int = Field(description="Updates of alpha, all runs together.", examples=[40])
    steps: int = Field(description="Steps of u, all runs together.", examples=[400])
    versions: dict[str, str] = Field(
        description="Versions of code and libraries.", examples=[{"torch": "2.13.0"}]
    )
    learning_seconds: float = Field(
        description="Wall clock of learning alpha, seconds.", examples=[81.5]
    )
    evaluation_seconds: float = Field(
        description="Wall clock of stage two, seconds.", examples=[240.1]
    )
    method: str = Field(
        default="tandem", description="Kind of the method that learned.", examples=["tandem"]
    )
    work: WorkRead | None = Field(
        default=None,
        description="Compute of learning; null in results of older releases.",
        examples=[{"proxy_steps": 1864.0, "tokens": 1_908_736.0, "flops": 1.2e12}],
    )
