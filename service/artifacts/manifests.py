"""Finds the manifest of a job."""

from sqlalchemy.orm import Session

from service.dependencies import Caller
from service.errors import ManifestNotReadyError
from service.jobs.models import Manifest
from service.jobs.repository.trajectory import find_manifest
from service.jobs.service import get_job


def find_job_manifest(session: Session, caller: Caller, job_id: str) -> Manifest:
    """Return the manifest of a caller's job.

    Raises:
        NotFoundError: there is no such job of the caller.
        ManifestNotReadyError: it has not succeeded (yet).
    """
    job = get_job(session, caller, job_id)
    manifest = find_manifest(session, job.id)
    if manifest is None:
        raise ManifestNotReadyError(
            f"the job is {job.state}; the manifest is there when it has succeeded"
        )
    return manifest
