"""Comparisons as the interface takes and shows them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.comparisons.schemas import TABLE_EXAMPLE, ComparisonTable
from service.jobs.lifecycle import JobState
from service.jobs.schemas import JOB_ID, JobError, Label, LabelName
from tandem_engine.contracts.comparisons import ComparisonSpec

COMPARISON_ID = "cmp_01jd8v5m3k2f7q9x4w6z0abcde"
_TIME = "2026-11-27T05:54:57.123456Z"
_CELL = {
    "entry": "tandem",
    "method": "tandem",
    "seed": 0,
    "job_id": JOB_ID,
    "state": "running",
    "reused": False,
    "episode": 12,
    "total_episodes": 26,
    "error": None,
}

ComparisonState = Literal["queued", "running", "succeeded", "partial", "failed"]
STATE_WORDS = (
    "`queued`, `running`, and at the end `succeeded` (every cell), `partial` (some failed or were "
    "cancelled) or `failed` (all did)."
)


class ComparisonCreate(BaseModel):
    """A request to compare methods."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="For people; need not be unique.", examples=["peers on software"]
    )
    labels: dict[LabelName, Label] = Field(
        default={},
        max_length=16,
        description="Up to 16 names (64 characters) and values (512 characters).",
        examples=[{"team": "pretraining"}],
    )
    spec: ComparisonSpec = Field(
        description="What to compare on what.",
        examples=[
            {
                "base": {
                    "domains": [
                        {"name": "code", "uris": ["file:///data/code.jsonl"]},
                        {"name": "manuals", "uris": ["file:///data/manuals.jsonl"]},
                    ]
                },
                "entries": ["tandem", "uniform", "doremi"],
                "seeds": 3,
            }
        ],
    )
    reuse: bool = Field(
        default=True,
        description="Let your jobs with the same specification, under way or succeeded, fill "
        "cells, unless a file of the data changed since.",
        examples=[True],
    )


class CellRead(BaseModel):
    """One entry with one seed."""

    entry: str = Field(description="Name of the entry.", examples=["tandem"])
    method: str = Field(description="Kind of its method.", examples=["tandem"])
    seed: int = Field(description="From 0.", examples=[0])
    job_id: str = Field(description="The job that fills the cell.", examples=[JOB_ID])
    state: JobState = Field(description="Of the job.", examples=["running"])
    reused: bool = Field(
        description="Whether the job was there before the comparison.", examples=[False]
    )
    episode: int = Field(description="Points of the trajectory so far.", examples=[12])
    total_episodes: int = Field(description="Points in all.", examples=[26])
    error: JobError | None = Field(
        description="Why the job failed; null otherwise.", examples=[None]
    )


class ComparisonLinks(BaseModel):
    """Where to go from a comparison; paths on this host."""

    self: str = Field(description="The comparison.", examples=[f"/v1/comparisons/{COMPARISON_ID}"])
    report: str = Field(
        description="The report; add `?format=html`.",
        examples=[f"/v1/comparisons/{COMPARISON_ID}/report"],
    )
    cancel: str = Field(
        description="POST to stop its jobs.", examples=[f"/v1/comparisons/{COMPARISON_ID}/cancel"]
    )
    retry: str = Field(
        description="POST to run failed and cancelled cells again.",
        examples=[f"/v1/comparisons/{COMPARISON_ID}/retry"],
    )


class ComparisonSummary(BaseModel):
    """A comparison in a list."""

    object: Literal["comparison"] = Field(
        default="comparison", description="Kind of this object.", examples=["comparison"]
    )
    id: str = Field(description="Unique; later ones sort later.", examples=[COMPARISON_ID])
    name: str | None = Field(description="As submitted.", examples=["peers on software"])
    labels: dict[str, str] = Field(description="As submitted.", examples=[{"team": "pretraining"}])
    state: ComparisonState = Field(description=STATE_WORDS, examples=["running"])
    cells_by_state: dict[JobState, int] = Field(
        description="Cells whose jobs are in a state.", examples=[{"succeeded": 7, "running": 2}]
    )
    created_at: datetime = Field(description="UTC.", examples=[_TIME])
    links: ComparisonLinks = Field(
        description="Where to go from here.",
        examples=[
            {
                name: field.examples[0]
                for name, field in ComparisonLinks.model_fields.items()
                if field.examples
            }
        ],
    )


class ComparisonRead(ComparisonSummary):
    """A comparison with its cells and what is known so far."""

    spec: dict[str, Any] = Field(
        description="As submitted; submit it again to compare the same.",
        examples=[{"entries": [{"method": {"kind": "tandem"}}], "seeds": 3}],
    )
    learning_budget: float = Field(
        description="Compute of learning per cell, in steps of plain training.", examples=[1962.3]
    )
    cells: list[CellRead] = Field(
        description="In the order in which they run: seed by seed.", examples=[[_CELL]]
    )
    table: ComparisonTable = Field(
        description="What the finished cells say.", examples=[TABLE_EXAMPLE]
    )


class ComparisonList(BaseModel):
    """One page of comparisons, newest first."""

    object: Literal["list"] = Field(
        default="list", description="Kind of this object.", examples=["list"]
    )
    data: list[ComparisonSummary] = Field(description="The comparisons.", examples=[[]])
    next_page_token: str | None = Field(
        description="Give it as `page_token` for the next page; null on the last.",
        examples=["WyIyMDI2LTExLTIzVDA1OjU0OjU3KzAwOjAwIiwgImpvYl8wMSJd"],
    )
