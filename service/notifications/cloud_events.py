"""Events of jobs as CloudEvents 1.0 in structured mode, for webhooks."""

from collections.abc import Sequence
from typing import Any

from service.db.base import Json
from service.jobs.lifecycle import JobState
from service.notifications.occurrences import EXPORT, Occurrence

MEDIA_TYPE = "application/cloudevents+json"
SOURCE = "/v1/jobs"
"""Relative to the address of the interface; ids are unique in any case, jobs' ids are random."""

_ERROR_FIELDS = ("code", "message", "retryable", "hint")


def cloud_events(occurrence: Occurrence) -> Sequence[Json]:
    """Return what an event says, in the order of delivery; the ids are the same each time.

    Args:
        occurrence: A change of state or an export; of the former, success also says that there is
            a manifest.
    """
    if occurrence.type == EXPORT:
        return [_event(occurrence, "tandem.export.written", dict(occurrence.data))]
    state = occurrence.state
    if state is None:
        return []
    events = []
    if state == JobState.SUCCEEDED and occurrence.manifest is not None:
        events.append(
            _event(occurrence, "tandem.manifest.written", _manifest(occurrence), part="manifest")
        )
    events.append(_event(occurrence, f"tandem.job.{state}", _change(occurrence, state)))
    return events


def _event(occurrence: Occurrence, kind: str, data: Json, *, part: str = "") -> Json:
    identifier = f"{occurrence.job_id}:{occurrence.seq}"
    return {
        "specversion": "1.0",
        "id": f"{identifier}:{part}" if part else identifier,
        "source": SOURCE,
        "type": kind,
        "subject": occurrence.job_id,
        "time": occurrence.time,
        "datacontenttype": "application/json",
        "data": _job(occurrence) | data,
    }


def _job(occurrence: Occurrence) -> Json:
    return {
        "job_id": occurrence.job_id,
        "tenant_id": occurrence.tenant_id,
        "name": occurrence.name,
        "labels": dict(occurrence.labels),
        "seq": occurrence.seq,
        "attempt": occurrence.attempt,
    }


def _change(occurrence: Occurrence, state: JobState) -> Json:
    # Not the event's own data as it is: it names workers and keys.
    data: dict[str, Any] = {
        "state": state,
        "previous_state": occurrence.data["from"],
        "reason": occurrence.data.get("reason"),
    }
    if state == JobState.FAILED and occurrence.error is not None:
        data["error"] = {name: occurrence.error.get(name) for name in _ERROR_FIELDS}
    if state == JobState.SUCCEEDED and occurrence.result is not None:
        data["mixture"] = occurrence.shares
        data["verdict"] = occurrence.result["verdict"]["outcome"]
    return data


def _manifest(occurrence: Occurrence) -> Json:
    manifest = occurrence.manifest
    if manifest is None:
        return {}
    return {
        "path": f"jobs/{occurrence.job_id}/{manifest.path}",
        "sha256": manifest.sha256,
        "target_tokens": manifest.target_tokens,
        "planned_tokens": manifest.planned_tokens,
        "mixture": occurrence.shares,
    }
