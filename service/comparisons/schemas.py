"""The table of a comparison; losses in nats per token, lists of columns follow `evaluated_on`."""

from typing import Any

from pydantic import BaseModel, Field


class EntryRow(BaseModel):
    """One entry over its finished seeds; null where nothing is known yet."""

    entry: str = Field(description="Name of the entry.", examples=["tandem"])
    method: str = Field(description="Kind of its method.", examples=["tandem"])
    seeds_done: int = Field(description="Cells that succeeded.", examples=[3])
    seeds_total: int = Field(description="Cells in all.", examples=[3])
    failures: list[str] = Field(
        description="Why cells failed or that they were cancelled, by seed.", examples=[[]]
    )
    alpha: list[float] | None = Field(
        description="Learned share per domain, mean over seeds.", examples=[[0.6, 0.4]]
    )
    alpha_sd: list[float] | None = Field(
        description="Between seeds; null with fewer than two.", examples=[[0.01, 0.01]]
    )
    perplexity: list[float] | None = Field(
        description="exp of the mean test loss per column, no unit.", examples=[[12.1, 8.4]]
    )
    perplexity_sd: list[float] | None = Field(
        description="Standard deviation between seeds; null with fewer than two.",
        examples=[[0.2, 0.1]],
    )
    average_loss: float | None = Field(
        description="Test loss, mean over columns (targets by their weights) and seeds.",
        examples=[2.311],
    )
    average_loss_sd: float | None = Field(
        description="Between seeds; null with fewer than two.", examples=[0.004]
    )
    average_perplexity: float | None = Field(
        description="exp of `average_loss`, no unit.", examples=[10.08]
    )
    average_perplexity_sd: float | None = Field(
        description="Between seeds; null with fewer than two.", examples=[0.04]
    )
    loss_by_seed: dict[int, float] = Field(
        description="Average test loss of each finished seed.", examples=[{"0": 2.31, "1": 2.312}]
    )
    metrics: list[float | None] | None = Field(
        description="Score per domain, 0 to 1, null without a task; null when there is none.",
        examples=[None],
    )
    metrics_sd: list[float | None] | None = Field(
        description="Between seeds; null with fewer than two.", examples=[None]
    )
    metric_average: float | None = Field(
        description="Mean of the domains' scores, 0 to 1.", examples=[None]
    )
    learning_seconds: float | None = Field(
        description="Wall clock of learning per seed, mean.", examples=[41.5]
    )
    learning_seconds_sd: float | None = Field(
        description="Between seeds; null with fewer than two.", examples=[1.5]
    )
    proxy_steps: float | None = Field(
        description="Compute of learning per seed, in steps of plain training, mean.",
        examples=[1962.3],
    )
    flops: float | None = Field(
        description="The same in floating point operations.", examples=[1.2e12]
    )
    tokens: float | None = Field(
        description="The same in tokens, of which reading counts a third.", examples=[2_009_429.0]
    )


class PairRow(BaseModel):
    """Whether two entries differ by more than noise, seed by seed."""

    first: str = Field(description="Name of an entry.", examples=["tandem"])
    second: str = Field(description="Name of another, with the higher loss.", examples=["uniform"])
    seeds: int = Field(description="Seeds that both have finished.", examples=[3])
    difference: float = Field(
        description="Average test loss of the first minus that of the second, mean over common "
        "seeds, nats per token.",
        examples=[-0.09],
    )
    standard_error: float = Field(
        description="Of the difference, nats per token.", examples=[0.006]
    )
    p: float = Field(
        description="Of Student's t-test, paired by seed, two-sided.",
        examples=[0.004],
    )
    p_holm: float = Field(
        description="The same, corrected for the number of pairs (Holm).", examples=[0.02]
    )


class ComparisonTable(BaseModel):
    """What the finished cells of a comparison say; best average first."""

    domains: list[str] = Field(
        description="Columns of `alpha`; empty before the first cell.",
        examples=[["code", "manuals"]],
    )
    evaluated_on: list[str] = Field(
        description="Columns of `perplexity`: the targets, or the domains.",
        examples=[["code", "manuals"]],
    )
    entries: list[EntryRow] = Field(description="A row per entry.", examples=[[]])
    pairs: list[PairRow] = Field(
        description="Every pair, most certain first; empty while there is no noise to judge by.",
        examples=[[]],
    )


TABLE_EXAMPLE: dict[str, Any] = {
    "domains": ["code", "manuals"],
    "evaluated_on": ["code", "manuals"],
    "entries": [
        {name: field.examples[0] for name, field in EntryRow.model_fields.items() if field.examples}
    ],
    "pairs": [
        {name: field.examples[0] for name, field in PairRow.model_fields.items() if field.examples}
    ],
}
