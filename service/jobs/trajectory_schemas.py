"""The trajectory of a job as the interface shows it: columns, because that is what is plotted."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from service.jobs.lifecycle import JobState
from service.jobs.schemas import JOB_ID


class Rewind(BaseModel):
    """A resumed attempt wrote later steps again."""

    to_step: int = Field(
        description="Forget every point after this step. With `after_step`, `columns` goes on from "
        "here; with `after_seq`, what was written since comes as always.",
        examples=[100],
    )


class TrajectoryColumns(BaseModel):
    """One entry per episode in every list; lists of lists follow `domains` inside."""

    episode: list[int] = Field(description="1 for the first update of alpha.", examples=[[1, 2]])
    step: list[int] = Field(
        description="Training steps of the proxy u so far.", examples=[[10, 20]]
    )
    alpha: list[list[float]] = Field(
        description="Shares of tokens after the update.", examples=[[[0.55, 0.45], [0.6, 0.4]]]
    )
    answer: list[list[float] | None] = Field(
        description="Mixture that the method would return now, where that is not the mean of the "
        "trajectory's tail.",
        examples=[[None, None]],
    )
    tried: list[list[float] | None] = Field(
        description="Mixture that the model in training sees, where it is not alpha.",
        examples=[[None, None]],
    )
    delta: list[list[float]] = Field(
        description="L_train(w_K) - L_train(u_K), nats per token; of other methods what moves "
        "alpha, in their own unit, negative where a share gains, or 0.",
        examples=[[[-0.02, 0.01], [-0.01, 0.01]]],
    )
    delta_cosine: list[float | None] = Field(
        description="Cosine of the centred Deltas of two half batches, -1 to 1; near 0 is noise.",
        examples=[[0.8, 0.7]],
    )
    delta_norm: list[float] = Field(
        description="Norm of Delta, nats per token.", examples=[[0.022, 0.014]]
    )
    delta_per_rate: list[float | None] = Field(
        description="Norm of Delta over the learning rate, nats per token; null at a rate of 0.",
        examples=[[7.3, 4.8]],
    )
    train_loss: list[list[float]] = Field(
        description="Of u after probing, on the Delta batch; of other methods' proxy on some "
        "fixed train sequences; nats per token.",
        examples=[[[5.1, 5.3], [4.8, 5.0]]],
    )
    validation_loss: list[list[float]] = Field(
        description="Of u at the end of the episode, on some sequences of each domain's "
        "validation part, nats per token.",
        examples=[[[5.2, 5.4], [4.9, 5.1]]],
    )
    gap: list[list[float] | None] = Field(
        description="Generalisation gap: validation_loss - train_loss, nats per token.",
        examples=[[[0.1, 0.1], [0.1, 0.1]]],
    )
    target_loss: list[list[float] | None] = Field(
        description="As validation_loss, per target in the order of their names; null without "
        "targets.",
        examples=[[None, None]],
    )
    twin_distance: list[float | None] = Field(
        description="Euclidean norm of u - w after probing; null without twins.",
        examples=[[0.5, 0.6]],
    )
    distance_per_rate: list[float | None] = Field(
        description="That over learning rate x probing steps; null at a rate of 0.",
        examples=[[33.0, 41.0]],
    )
    gradient_cosine: list[float | None] = Field(
        description="Cosine of the gradients of u's training loss on two batches, -1 to 1; null "
        "in episodes that do not measure it.",
        examples=[[0.62, None]],
    )
    learning_rate: list[float] = Field(
        description="Of u at the end of the episode.", examples=[[0.003, 0.0029]]
    )
    entropy: list[float] = Field(description="Of alpha, in nats.", examples=[[0.69, 0.67]])
    smallest_share: list[float | None] = Field(description="Of alpha.", examples=[[0.45, 0.4]])
    travel: list[float] = Field(
        description="Sum of |alpha change| in L1 so far, no unit.", examples=[[0.1, 0.2]]
    )
    tokens: list[int] = Field(
        description="Training tokens of u so far.", examples=[[20_480, 40_960]]
    )
    epochs: list[list[float]] = Field(
        description="Passes over each domain's train sequences so far.",
        examples=[[[0.1, 0.2], [0.2, 0.4]]],
    )
    work: list[float | None] = Field(
        description="Compute of the run so far, in steps of plain training.",
        examples=[[23.3, 46.7]],
    )
    run: list[int] = Field(
        description="Place of the run in the job's plan, from 0. Episodes, steps and tokens count "
        "over all runs; learning rate, travel and epochs start again with each.",
        examples=[[0, 0]],
    )
    seed: list[int] = Field(description="Learning seed of the run, from 0.", examples=[[0, 0]])
    restart: list[int] = Field(
        description="Runs of this seed within the bounds that came before.", examples=[[0, 0]]
    )
    bounded: list[bool] = Field(
        description="Whether the bounds on shares hold in the run.", examples=[[True, True]]
    )


COLUMNS_EXAMPLE: dict[str, Any] = {
    name: field.examples[0]
    for name, field in TrajectoryColumns.model_fields.items()
    if field.examples
}


class Trajectory(BaseModel):
    """Points after a step."""

    object: Literal["trajectory"] = Field(
        default="trajectory", description="Kind of this object.", examples=["trajectory"]
    )
    job_id: str = Field(description="The job.", examples=[JOB_ID])
    domains: list[str] = Field(
        description="Names in the order of all lists.", examples=[["code", "manuals"]]
    )
    targets: list[str] = Field(
        description="Names in the order of `target_loss`.", examples=[["exam"]]
    )
    epoch: int = Field(
        description="Attempt that wrote the newest points; give it back as `epoch`.",
        examples=[1],
    )
    rewind: Rewind | None = Field(
        description="Set when points up to `after_step` were written again since `epoch`.",
        examples=[None],
    )
    columns: TrajectoryColumns = Field(
        description="The points, one column per quantity.", examples=[COLUMNS_EXAMPLE]
    )
    last_step: int = Field(
        description="Step of the last point here; give it back as `after_step`.", examples=[20]
    )
    next_seq: int | None = Field(
        description="Give it back as `after_seq`; null in the middle of a trajectory that is read "
        "by steps.",
        examples=[2],
    )
    last_seq: int = Field(
        description="Number of the job's newest write; a step that is written again has a new one.",
        examples=[2],
    )
    has_more: bool = Field(description="Whether more points can be read now.", examples=[False])
    job_state: JobState = Field(
        description="Final and no `has_more`: the trajectory is complete.", examples=["running"]
    )
    poll_after_ms: int | None = Field(
        description="When to ask again, milliseconds; null when the trajectory is complete.",
        examples=[2000],
    )
