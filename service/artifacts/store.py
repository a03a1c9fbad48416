"""Files of jobs in a folder: `jobs/<job id>/...`; nobody gets out of it by a name."""

import hashlib
from pathlib import Path

from service.errors import ArtifactGoneError


class FolderStore:
    """Reads what engines wrote; the engine's output folder of a job is `job_folder`."""

    def __init__(self, data_dir: Path) -> None:
        """Take the folder that all jobs' folders are in."""
        self._jobs = data_dir / "jobs"

    def job_folder(self, job_id: str) -> Path:
        """Return the output folder of a job."""
        return self._jobs / job_id

    def path(self, job_id: str, *parts: str) -> Path:
        """Return the path of a job's file.

        Raises:
            ArtifactGoneError: it is missing, or not inside of the job's folder.
        """
        folder = self.job_folder(job_id).resolve()
        path = folder.joinpath(*parts).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            raise ArtifactGoneError(f"{'/'.join(parts)} of {job_id} is not there any more")
        return path

    def read(self, job_id: str, *parts: str, sha256: str) -> bytes:
        """Return the bytes of a small file.

        Raises:
            ArtifactGoneError: it is missing, or not the file that the job wrote.
        """
        content = self.path(job_id, *parts).read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ArtifactGoneError(f"{'/'.join(parts)} of {job_id} was changed after the job")
        return content
