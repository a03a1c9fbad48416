"""Jobs from their rows: what the tables hold, in the words of the interface."""

from service.db.base import Json
from service.jobs.lifecycle import JobState
from service.jobs.models import Job
from service.jobs.result_schemas import ResultRead
from service.jobs.schemas import JobError, JobLinks, JobRead, Progress
from tandem_engine.contracts.spec import JobSpec


def job_path(job_id: str) -> str:
    """Return the path of a job."""
    return f"/v1/jobs/{job_id}"


def domain_names(job: Job) -> list[str]:
    """Return the names in the order of every per-domain list."""
    return [domain["name"] for domain in job.spec["domains"]]


def target_names(job: Job) -> list[str]:
    """Return the names in the order of every per-target list; an older job has none."""
    return [target["name"] for target in job.spec.get("targets", [])]


def total_episodes(spec: Json) -> int:
    """Return the episodes of all runs of a job; one of an older release may lack fields."""
    learning = spec["learning"]
    runs: int = 1 + learning.get("restarts", 0)
    if learning.get("unconstrained", False) and any(map(_has_bounds, spec["domains"])):
        runs += 1
    episode_steps = learning["probing_steps"] + learning["free_steps"]
    seeds: int = learning.get("seeds", 1)
    episodes: int = learning["total_steps"] // episode_steps
    if spec.get("method", {"kind": "tandem"})["kind"] != "tandem":
        episodes = JobSpec.model_validate(spec).run_length.episodes
    return seeds * runs * episodes


def _has_bounds(domain: Json) -> bool:
    names = ("minimum_share", "maximum_share", "maximum_epochs")
    return any(domain.get(name) is not None for name in names)


def read_job(job: Job) -> JobRead:
    """Return a job as the interface shows it."""
    path = job_path(job.id)
    alpha = None
    if job.alpha is not None:
        alpha = dict(zip(domain_names(job), job.alpha, strict=True))
    return JobRead(
        id=job.id,
        parent_job_id=job.parent_job_id,
        name=job.name,
        labels=job.labels,
        state=JobState(job.state),
        phase=job.phase,
        spec=job.spec,
        spec_sha256=job.spec_sha256,
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        progress=Progress(
            episode=job.episode,
            total_episodes=total_episodes(job.spec),
            phase_done=job.phase_done,
            phase_total=job.phase_total,
            message=job.phase_message,
            tokens=job.tokens,
        ),
        alpha=alpha,
        result=None if job.result is None else ResultRead.model_validate(job.result),
        error=None if job.error is None else JobError.model_validate(job.error),
        created_at=job.created_at,
        started_at=job.started_at,
        deadline_at=job.deadline_at,
        finished_at=job.finished_at,
        links=JobLinks(
            self=path,
            cancel=f"{path}/cancel",
            pause=f"{path}/pause",
            resume=f"{path}/resume",
            retry=f"{path}/retry",
            clone=f"{path}/clone",
            events=f"{path}/events",
            trajectory=f"{path}/trajectory",
            mixture=f"{path}/mixture",
            manifest=f"{path}/manifest",
        ),
    )
