"""Events of a job of two domains, as receivers are told of them."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.notifications.hub import export_data
from service.notifications.lineage import Producer
from service.notifications.occurrences import Occurrence, WrittenManifest
from support.jobs import job_spec, result_record

JOB = "job_01jd8v5m3k2f7q9x4w6z0abcde"
PRODUCER = Producer("tandem", Path("/srv/tandem"), "0.1.0")
CODE = {"name": "code", "uris": ["s3://corpora/code/*.jsonl.zst"]}
MANUALS = {"name": "manuals", "uris": ["/data/manuals.jsonl"]}


def state_event(source: str | None, target: str, **changes: Any) -> Occurrence:
    """Return a change of state in the first attempt, unless `changes` say otherwise."""
    changes.setdefault("data", {"from": source, "to": target})
    spec = job_spec(domains=[CODE, MANUALS]).model_dump(mode="json")
    occurrence = Occurrence(
        job_id=JOB,
        seq=7,
        at=datetime(2026, 11, 28, 12, 30, 0, 250_000, tzinfo=UTC),
        attempt=1,
        type="state",
        data={},
        tenant_id="ten_research",
        name="web-mix",
        labels={"team": "data"},
        spec=spec,
        spec_sha256="ab" * 32,
    )
    return replace(occurrence, **changes)


def succeeded() -> Occurrence:
    """Return the end of a job that learned 0.6 and 0.4."""
    result = result_record().model_dump(mode="json", exclude={"type"})
    result["domains"] = [
        {"name": "code", "documents": 90, "duplicates_removed": 10},
        {"name": "manuals", "documents": 40, "duplicates_removed": 0},
    ]
    manifest = WrittenManifest("manifest", "cd" * 32, target_tokens=1000, planned_tokens=990)
    return state_event("running", "succeeded", result=result, manifest=manifest)


def failed() -> Occurrence:
    """Return the end of a job that ran out of disk."""
    error = {
        "code": "disk_full",
        "message": "no space left on /srv",
        "retryable": False,
        "hint": "free space",
        "field": None,
        "value": None,
    }
    return state_event("running", "failed", error=error)


def exported() -> Occurrence:
    """Return an export of the job that succeeded."""
    data = export_data(
        "megatron", mixture_id="mix_0123456789abcdef0123", files={"blend.json": "{}\n"}
    )
    return replace(succeeded(), seq=8, type="export", data=data)
