"""CloudEvents of jobs: required attributes, stable ids, nothing internal."""

import json
from collections.abc import Callable
from datetime import datetime

import pytest
from support.occurrences import JOB, exported, failed, state_event, succeeded

from service.jobs.lifecycle import JobState
from service.notifications.cloud_events import cloud_events
from service.notifications.occurrences import Occurrence

REQUIRED = ("id", "source", "specversion", "type")


@pytest.mark.parametrize("make", [succeeded, failed, exported])
def test_every_event_has_the_required_attributes_and_valid_optional_ones(
    make: Callable[[], Occurrence],
) -> None:
    for event in cloud_events(make()):
        assert all(isinstance(event[name], str) and event[name] for name in REQUIRED)
        assert event["specversion"] == "1.0"
        assert event["subject"] == event["data"]["job_id"] == JOB
        assert event["datacontenttype"] == "application/json"
        assert datetime.fromisoformat(event["time"]).utcoffset() is not None
        # Names of attributes are lower-case letters and digits (CloudEvents 1.0, 3.1).
        assert all(name.isalnum() and name == name.lower() for name in event)
        assert json.loads(json.dumps(event)) == event


@pytest.mark.parametrize("state", JobState)
def test_the_type_names_the_state_that_was_entered(state: JobState) -> None:
    *_, event = cloud_events(state_event("running", state))
    assert event["type"] == f"tandem.job.{state}"
    assert event["id"] == f"{JOB}:7"
    assert (event["data"]["previous_state"], event["data"]["state"]) == ("running", state)


def test_success_is_preceded_by_the_manifest_under_an_id_of_its_own() -> None:
    manifest, job = cloud_events(succeeded())
    assert (manifest["type"], job["type"]) == ("tandem.manifest.written", "tandem.job.succeeded")
    assert manifest["id"] != job["id"]
    assert manifest["data"]["path"] == f"jobs/{JOB}/manifest"
    assert manifest["data"]["sha256"] == "cd" * 32
    assert job["data"]["mixture"] == {"code": 0.6, "manuals": 0.4}
    assert job["data"]["verdict"] == "not_evaluated"


def test_failure_says_why() -> None:
    (event,) = cloud_events(failed())
    assert event["data"]["error"] == {
        "code": "disk_full",
        "message": "no space left on /srv",
        "retryable": False,
        "hint": "free space",
    }


def test_an_export_has_format_and_content() -> None:
    (event,) = cloud_events(exported())
    assert event["type"] == "tandem.export.written"
    assert event["data"]["format"] == "megatron"
    assert set(event["data"]["files"]) == {"blend.json"}


def test_the_same_event_is_told_in_the_same_words() -> None:
    assert cloud_events(succeeded()) == cloud_events(succeeded())


def test_names_of_workers_and_keys_stay_inside() -> None:
    data = {"from": "queued", "to": "starting", "worker_id": "host-1", "requested_by": "abc"}
    (event,) = cloud_events(state_event(None, "starting", data=data))
    assert "host-1" not in json.dumps(event)
    assert "requested_by" not in event["data"]


def test_other_events_of_a_job_are_not_told() -> None:
    assert cloud_events(state_event(None, "running", type="phase", data={"phase": "x"})) == []
