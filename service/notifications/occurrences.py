"""What an event says to the outside: a job's event with what else is known of the job by then."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service.db.base import Json
from service.jobs.lifecycle import JobState

STATE = "state"
EXPORT = "export"


@dataclass(frozen=True)
class WrittenManifest:
    """Where the manifest of a job that succeeded lies, relative to the job's folder."""

    path: str
    sha256: str
    target_tokens: int
    planned_tokens: int


@dataclass(frozen=True)
class Occurrence:
    """One event of a job.

    It holds only what never changes again, so that an event that is delivered twice says the same
    twice: `result`, `error` and `manifest` are there once the job has ended.
    """

    job_id: str
    seq: int
    at: datetime
    attempt: int
    type: str
    data: Mapping[str, Any]
    tenant_id: str
    name: str | None
    labels: Mapping[str, str]
    spec: Json
    spec_sha256: str
    result: Json | None = None
    error: Json | None = None
    manifest: WrittenManifest | None = None

    @property
    def state(self) -> JobState | None:
        """The state that the job entered; None if the event is of another kind."""
        return JobState(self.data["to"]) if self.type == STATE else None

    @property
    def time(self) -> str:
        """When it happened, RFC 3339 in UTC."""
        return self.at.astimezone(UTC).isoformat().replace("+00:00", "Z")

    @property
    def shares(self) -> dict[str, float]:
        """The learned share of tokens per domain; empty without a result."""
        if self.result is None:
            return {}
        mixture = self.result["mixture"]
        return dict(zip(mixture["domains"], mixture["alpha"], strict=True))
