"""Specifications, jobs and trajectory points for tests of the service and the worker."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.auth.models import Tenant
from service.db.session import Sessions, unit_of_work
from service.jobs import leases
from service.jobs.leases import Lease
from service.jobs.repository.jobs import NewJob, add_job
from tandem_engine.contracts.records import (
    ManifestSummary,
    MixtureResult,
    ResultRecord,
    TrajectoryPoint,
    Verdict,
)
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.presets import resolve

TENANT = "ten_test"
DOMAINS = ("code", "manuals")


def job_spec(**changes: object) -> JobSpec:
    """Return a resolved specification of two domains; its files need not exist."""
    document: dict[str, object] = {
        "domains": [{"name": name, "uris": [f"/data/{name}.jsonl"]} for name in DOMAINS]
    }
    return resolve(JobSpec.model_validate(document | changes))


def insert_job(session: Session, *, max_attempts: int = 3, tenant: str = TENANT) -> str:
    """Write a queued job of `tenant`, who is created when missing; return the job's id."""
    if session.scalars(select(Tenant).where(Tenant.id == tenant)).one_or_none() is None:
        session.add(Tenant(id=tenant, name=tenant))
        session.flush()  # the job refers to it
    job = NewJob.from_spec(job_spec(), tenant_id=tenant, max_attempts=max_attempts)
    return add_job(session, job).id


def hold_job(sessions: Sessions, job_id: str, worker: str = "worker-a") -> Lease:
    """Claim a job and say that it runs."""
    with unit_of_work(sessions) as work:
        claim = leases.claim(work.session, job_id, worker)
        assert claim is not None
        leases.mark_running(work.session, claim.lease, "learning")
    return claim.lease


def point(episode: int, *, share: float = 0.5, steps_per_episode: int = 10) -> TrajectoryPoint:
    """Return a plausible trajectory point of two domains."""
    return TrajectoryPoint(
        episode=episode,
        step=episode * steps_per_episode,
        alpha=[share, 1 - share],
        delta=[0.25, -0.125],
        delta_cosine=0.5,
        delta_norm=0.28,
        train_loss=[2.0, 2.5],
        validation_loss=[2.25, 2.75],
        twin_distance=0.01,
        learning_rate=3e-3,
        entropy=0.69,
        travel=0.1 * episode,
        tokens=episode * 20_480,
        epochs=[0.1, 0.2],
    )


def points(first: int, last: int, *, share: float = 0.5) -> list[TrajectoryPoint]:
    """Return the points of episodes `first` to `last`."""
    return [point(episode, share=share) for episode in range(first, last + 1)]


def result_record(*, sha256: str = "0" * 64) -> ResultRecord:
    """Return the result of a job of two domains."""
    return ResultRecord(
        mixture=MixtureResult(
            domains=list(DOMAINS),
            alpha=[0.6, 0.4],
            trajectory_mean=[0.55, 0.45],
            last=[0.61, 0.39],
            natural=[0.7, 0.3],
            alpha_by_seed=[[0.55, 0.45], [0.65, 0.35]],
            interval=[(0.0, 1.0), (0.0, 0.9)],
            unconstrained=[0.7, 0.3],
        ),
        domains=[],
        stage_two=[],
        verdict=Verdict(
            outcome="not_evaluated", text="Stage two was off.", best_mixture=None, warnings=[]
        ),
        manifest=ManifestSummary(
            path="manifest", sha256=sha256, target_tokens=1000, planned_tokens=990
        ),
        episodes=40,
        steps=400,
        versions={"tandem": "0.1.0"},
        learning_seconds=10.0,
        evaluation_seconds=0.0,
    )
