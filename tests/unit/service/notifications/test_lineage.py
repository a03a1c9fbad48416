"""OpenLineage run events of jobs; the client library reads them in tests/interop."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from support.jobs import job_spec
from support.occurrences import (
    CODE,
    JOB,
    MANUALS,
    PRODUCER,
    exported,
    failed,
    state_event,
    succeeded,
)

from service.db.base import Json
from service.notifications.lineage import run_events, run_id
from service.notifications.occurrences import Occurrence


def only(occurrence: Occurrence) -> Json:
    (event,) = run_events(occurrence, PRODUCER)
    return event


def with_domains(*domains: Json, **spec: object) -> Json:
    return job_spec(domains=list(domains), **spec).model_dump(mode="json")


def facets_of(event: Json) -> list[Json]:
    """Return every facet, wherever it stands."""
    found: list[Json] = []

    def visit(node: Any, key: str) -> None:
        if isinstance(node, dict):
            if key in {"facets", "inputFacets", "outputFacets"}:
                found.extend(node.values())
            for name, value in node.items():
                visit(value, name)
        elif isinstance(node, list):
            for value in node:
                visit(value, key)

    visit(event, "")
    return found


@pytest.mark.parametrize("make", [succeeded, failed, exported])
def test_every_event_has_what_the_standard_requires(make: Callable[[], Occurrence]) -> None:
    for event in run_events(make(), PRODUCER):
        assert event["schemaURL"] == (
            "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
        )
        assert event["producer"] == "urn:tandem:release:0.1.0"
        assert datetime.fromisoformat(event["eventTime"]).utcoffset() is not None
        assert str(UUID(event["run"]["runId"])) == event["run"]["runId"]
        assert all(event["job"][name] for name in ("namespace", "name"))
        for dataset in event["inputs"] + event["outputs"]:
            assert all(dataset[name] for name in ("namespace", "name"))
        facets = facets_of(event)
        assert facets
        assert all({"_producer", "_schemaURL"} <= facet.keys() for facet in facets)
        assert json.loads(json.dumps(event)) == event


@pytest.mark.parametrize(
    ("target", "attempt", "kind"),
    [
        ("queued", 0, None),
        ("starting", 1, "START"),
        ("running", 1, None),
        ("queued", 1, None),
        ("starting", 2, "RUNNING"),
        ("cancelling", 2, None),
        ("cancelled", 2, "ABORT"),
        ("cancelled", 0, None),
        ("failed", 3, "FAIL"),
        ("succeeded", 1, "COMPLETE"),
    ],
)
def test_a_job_is_one_run_over_all_its_attempts(
    target: str, attempt: int, kind: str | None
) -> None:
    events = run_events(state_event("running", target, attempt=attempt), PRODUCER)
    assert [event["eventType"] for event in events] == ([] if kind is None else [kind])
    assert {event["run"]["runId"] for event in events} <= {str(run_id(JOB))}


def test_the_run_leads_back_to_the_job() -> None:
    facet = only(succeeded())["run"]["facets"]["tandem_job"]
    assert (facet["job_id"], facet["attempt"]) == (JOB, 1)


def test_jobs_of_one_name_or_else_of_one_specification_are_runs_of_one_job() -> None:
    assert only(succeeded())["job"]["name"] == "ten_research.web-mix.learn"
    unnamed = only(state_event(None, "starting", name=None))
    assert unnamed["job"]["name"] == "ten_research.abababababab.learn"
    assert unnamed["job"]["namespace"] == "tandem"


def test_inputs_are_the_domains_data_with_the_files_that_were_read() -> None:
    code, manuals = only(succeeded())["inputs"]
    assert (code["namespace"], code["name"]) == ("s3://corpora", "code")
    assert code["inputFacets"]["subset"]["inputCondition"] == {
        "type": "location",
        "locations": ["s3://corpora/code/*.jsonl.zst"],
    }
    assert (manuals["namespace"], manuals["name"]) == ("file", "/data/manuals.jsonl")
    assert "subset" not in manuals["inputFacets"]
    assert code["inputFacets"]["inputStatistics"]["rowCount"] == 100
    assert code["inputFacets"]["tandem_source"]["shares"] == {"code": 0.6}
    assert manuals["inputFacets"]["tandem_source"]["domains"] == ["manuals"]


def test_domains_of_one_dataset_are_one_input_without_rows_of_its_own() -> None:
    other = {"name": "manuals", "uris": ["s3://corpora/code/*.parquet"]}
    occurrence = succeeded()
    occurrence.spec.update(with_domains(CODE, other))
    (both,) = only(occurrence)["inputs"]
    assert both["inputFacets"]["tandem_source"]["domains"] == ["code", "manuals"]
    assert len(both["inputFacets"]["subset"]["inputCondition"]["locations"]) == 2
    assert "inputStatistics" not in both["inputFacets"]


def test_a_target_is_an_input_too() -> None:
    spec = with_domains(CODE, MANUALS, targets=[{"name": "exam", "uris": ["gs://b/exam.jsonl"]}])
    *_, exam = only(state_event(None, "starting", spec=spec))["inputs"]
    assert (exam["namespace"], exam["name"]) == ("gs://b", "exam.jsonl")
    assert exam["inputFacets"]["tandem_source"]["targets"] == ["exam"]


def test_the_output_is_the_manifest_with_the_learned_shares() -> None:
    (output,) = only(succeeded())["outputs"]
    assert (output["namespace"], output["name"]) == ("file", f"/srv/tandem/jobs/{JOB}/manifest")
    assert output["facets"]["version"]["datasetVersion"] == "cd" * 32
    facet = output["facets"]["tandem_mixture"]
    assert (facet["shares"], facet["unit"]) == ({"code": 0.6, "manuals": 0.4}, "tokens")
    assert only(state_event(None, "starting"))["outputs"] == []


def test_failure_says_why() -> None:
    facet = only(failed())["run"]["facets"]["errorMessage"]
    assert facet["message"] == "disk_full: no space left on /srv"
    assert facet["programmingLanguage"] == "PYTHON"


def test_an_export_starts_and_completes_with_the_mixture_in_and_the_configuration_out() -> None:
    start, end = run_events(exported(), PRODUCER)
    assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
    assert start["run"] == end["run"]
    assert start["run"]["runId"] != str(run_id(JOB))
    assert end["job"]["name"] == "ten_research.web-mix.export_megatron"
    (mixture,) = end["inputs"]
    (learned,) = only(succeeded())["outputs"]
    assert (mixture["namespace"], mixture["name"]) == (learned["namespace"], learned["name"])
    (written,) = end["outputs"]
    assert written["name"] == f"jobs/{JOB}/exports/megatron"
    assert set(written["facets"]["tandem_export"]["files"]) == {"blend.json"}


def test_a_result_of_an_older_release_is_told_too() -> None:
    occurrence = succeeded()
    assert occurrence.result is not None
    for name in ("method", "domains"):
        occurrence.result.pop(name, None)
    occurrence.spec.pop("targets")
    assert only(occurrence)["outputs"]
