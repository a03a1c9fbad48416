"""Jobs as the interface takes and shows them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.jobs.lifecycle import JobState
from service.jobs.result_schemas import ResultRead
from tandem_engine.contracts.spec import JobSpec

JOB_ID = "job_01jd8v5m3k2f7q9x4w6z0abcde"
_TIME = "2026-11-23T05:54:57.123456Z"

Label = Annotated[str, Field(max_length=512)]
LabelName = Annotated[str, Field(min_length=1, max_length=64)]


class JobCreate(BaseModel):
    """A request to learn a mixture."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="For people; need not be unique.",
        examples=["manuals against code"],
    )
    labels: dict[LabelName, Label] = Field(
        default={},
        max_length=16,
        description="Up to 16 names (64 characters) and values (512 characters).",
        examples=[{"team": "pretraining"}],
    )
    deadline_seconds: Annotated[float, Field(gt=0, le=10**8)] | None = Field(
        default=None,
        description="Time from now after which the job is cancelled if it is not over, with the "
        "error `deadline_exceeded`; null is never. Seconds.",
        examples=[86_400],
    )
    spec: JobSpec = Field(
        description="What to learn from and how; unset fields come from the preset.",
        examples=[
            {
                "domains": [
                    {"name": "code", "uris": ["file:///data/code.jsonl"]},
                    {"name": "manuals", "uris": ["file:///data/manuals.jsonl"]},
                ]
            }
        ],
    )


class JobClone(BaseModel):
    """A copy of a job, changed."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Of the new job; null is the other one's.",
        examples=["manuals against code, seed 1"],
    )
    labels: dict[LabelName, Label] | None = Field(
        default=None,
        max_length=16,
        description="Of the new job; null is the other one's.",
        examples=[{"team": "pretraining"}],
    )
    deadline_seconds: Annotated[float, Field(gt=0, le=10**8)] | None = Field(
        default=None,
        description="As of a new job; the other one's is not copied. Seconds.",
        examples=[86_400],
    )
    overrides: dict[str, Any] = Field(
        default={},
        description="JSON merge patch (RFC 7396) of the other job's `spec`, in which every field "
        "is filled in: another `preset` changes nothing there.",
        examples=[{"seed": 1, "learning": {"total_steps": 4000}}],
    )


class Progress(BaseModel):
    """How far a job is."""

    episode: int = Field(description="Updates of alpha so far.", examples=[12])
    total_episodes: int = Field(description="Updates of alpha in all runs.", examples=[40])
    phase_done: int | None = Field(
        description="Work done in the phase, in its own units.", examples=[120]
    )
    phase_total: int | None = Field(
        description="Work of the phase in all; null if unknown.", examples=[400]
    )
    message: str = Field(description="What is being worked on.", examples=["natural, seed 0"])
    tokens: int = Field(description="Training tokens of u so far.", examples=[245_760])


class JobError(BaseModel):
    """Why a job failed."""

    model_config = ConfigDict(extra="ignore")

    code: str = Field(description="Stable name for programs.", examples=["diverged"])
    message: str = Field(
        description="What happened.", examples=["the loss of domain code is not finite"]
    )
    retryable: bool = Field(
        description="Whether the same job may succeed if submitted again.", examples=[False]
    )
    hint: str = Field(
        default="", description="What to do.", examples=["lower training.learning_rate"]
    )
    field: str | None = Field(
        default=None,
        description="Field of the specification.",
        examples=["training.learning_rate"],
    )
    value: str | None = Field(default=None, description="Its value.", examples=["0.5"])


class JobLinks(BaseModel):
    """Where to go from a job; paths on this host."""

    self: str = Field(description="The job.", examples=[f"/v1/jobs/{JOB_ID}"])
    cancel: str = Field(description="POST to cancel.", examples=[f"/v1/jobs/{JOB_ID}/cancel"])
    pause: str = Field(description="POST to pause.", examples=[f"/v1/jobs/{JOB_ID}/pause"])
    resume: str = Field(
        description="POST to go on after a pause.", examples=[f"/v1/jobs/{JOB_ID}/resume"]
    )
    retry: str = Field(
        description="POST to try again after a failure.", examples=[f"/v1/jobs/{JOB_ID}/retry"]
    )
    clone: str = Field(
        description="POST for a changed copy.", examples=[f"/v1/jobs/{JOB_ID}/clone"]
    )
    events: str = Field(description="What happened.", examples=[f"/v1/jobs/{JOB_ID}/events"])
    trajectory: str = Field(
        description="alpha over time.", examples=[f"/v1/jobs/{JOB_ID}/trajectory"]
    )
    mixture: str = Field(description="The result.", examples=[f"/v1/jobs/{JOB_ID}/mixture"])
    manifest: str = Field(
        description="The resampling plan.", examples=[f"/v1/jobs/{JOB_ID}/manifest"]
    )


class JobRead(BaseModel):
    """One request to learn a mixture, and how it stands."""

    object: Literal["job"] = Field(
        default="job", description="Kind of this object.", examples=["job"]
    )
    id: str = Field(description="Unique; later jobs sort later.", examples=[JOB_ID])
    parent_job_id: str | None = Field(
        description="The job that this one is a copy of.", examples=[None]
    )
    name: str | None = Field(description="As submitted.", examples=["manuals against code"])
    labels: dict[str, str] = Field(description="As submitted.", examples=[{"team": "pretraining"}])
    state: JobState = Field(
        description="`succeeded`, `failed` and `cancelled` are final.", examples=["running"]
    )
    phase: str | None = Field(
        description="What a running job does: reading, tokenizing, learning, evaluating, "
        "finalizing; null otherwise.",
        examples=["learning"],
    )
    spec: dict[str, Any] = Field(
        description="The specification with every field filled in; submit it again to run the "
        "same job.",
        examples=[{"scenario": "data_restricted", "preset": "tiny-restricted", "seed": 0}],
    )
    spec_sha256: str = Field(
        description="sha256 of `spec` as JSON with sorted keys and no spaces.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    attempt: int = Field(
        description="Times that a worker took the job, drains included.", examples=[1]
    )
    max_attempts: int = Field(
        description="Attempts that may end by a fault before the job fails.", examples=[3]
    )
    progress: Progress = Field(
        description="How far the job is.",
        examples=[
            {
                "episode": 12,
                "total_episodes": 40,
                "phase_done": 120,
                "phase_total": 400,
                "message": "",
                "tokens": 245_760,
            }
        ],
    )
    alpha: dict[str, float] | None = Field(
        description="Newest share of tokens per domain; null before the first episode.",
        examples=[{"code": 0.6, "manuals": 0.4}],
    )
    result: ResultRead | None = Field(
        description="What was found; null until the job has succeeded.", examples=[None]
    )
    error: JobError | None = Field(
        description="Why the job failed, or missed its deadline; null otherwise.", examples=[None]
    )
    created_at: datetime = Field(description="UTC.", examples=[_TIME])
    started_at: datetime | None = Field(description="First attempt, UTC.", examples=[_TIME])
    deadline_at: datetime | None = Field(
        description="When it is cancelled if it is not over, UTC.", examples=[None]
    )
    finished_at: datetime | None = Field(
        description="Reached its final state, UTC.", examples=[None]
    )
    links: JobLinks = Field(
        description="Where to go from here.",
        examples=[
            {
                "self": f"/v1/jobs/{JOB_ID}",
                "cancel": f"/v1/jobs/{JOB_ID}/cancel",
                "pause": f"/v1/jobs/{JOB_ID}/pause",
                "resume": f"/v1/jobs/{JOB_ID}/resume",
                "retry": f"/v1/jobs/{JOB_ID}/retry",
                "clone": f"/v1/jobs/{JOB_ID}/clone",
                "events": f"/v1/jobs/{JOB_ID}/events",
                "trajectory": f"/v1/jobs/{JOB_ID}/trajectory",
                "mixture": f"/v1/jobs/{JOB_ID}/mixture",
                "manifest": f"/v1/jobs/{JOB_ID}/manifest",
            }
        ],
    )


JOB_EXAMPLE: dict[str, Any] = {
    name: field.examples[0] for name, field in JobRead.model_fields.items() if field.examples
}


class JobList(BaseModel):
    """One page of jobs, newest first."""

    object: Literal["list"] = Field(
        default="list", description="Kind of this object.", examples=["list"]
    )
    data: list[JobRead] = Field(description="The jobs.", examples=[[JOB_EXAMPLE]])
    next_page_token: str | None = Field(
        description="Give it as `page_token` for the next page; null on the last.",
        examples=["WyIyMDI2LTExLTIzVDA1OjU0OjU3KzAwOjAwIiwgImpvYl8wMSJd"],
    )


class EventRead(BaseModel):
    """Something that happened to a job."""

    model_config = ConfigDict(from_attributes=True)

    seq: int = Field(description="Number within the job, from 1.", examples=[3])
    at: datetime = Field(description="UTC.", examples=[_TIME])
    attempt: int = Field(description="During which attempt; 0 before the first.", examples=[1])
    type: str = Field(
        description="`state`, `phase`, `domains`, `checkpoint`, `rewind`, `stage_two_run`, "
        "`export`.",
        examples=["state"],
    )
    data: dict[str, Any] = Field(
        description="What it says; depends on the type.",
        examples=[{"from": "starting", "to": "running"}],
    )


class EventList(BaseModel):
    """One page of events, oldest first."""

    object: Literal["list"] = Field(
        default="list", description="Kind of this object.", examples=["list"]
    )
    data: list[EventRead] = Field(
        description="The events.",
        examples=[
            [
                {
                    "seq": 3,
                    "at": _TIME,
                    "attempt": 1,
                    "type": "state",
                    "data": {"from": "starting", "to": "running"},
                }
            ]
        ],
    )
    last_seq: int = Field(description="Give it as `after` for what comes next.", examples=[3])
    has_more: bool = Field(description="Whether more can be read now.", examples=[False])
