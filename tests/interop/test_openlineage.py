"""OpenLineage: its own client builds, from our words, the events that we send."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from support.occurrences import PRODUCER, exported, failed, state_event, succeeded

from service.notifications.datasets import name_dataset
from service.notifications.lineage import run_events
from service.notifications.occurrences import Occurrence

pytest.importorskip("openlineage.client")

from openlineage.client import event_v2, facet_v2
from openlineage.client.naming import dataset as naming
from openlineage.client.serde import Serde

FACETS: Mapping[str, Any] = {
    "errorMessage": facet_v2.error_message_run.ErrorMessageRunFacet,
    "processing_engine": facet_v2.processing_engine_run.ProcessingEngineRunFacet,
    "jobType": facet_v2.job_type_job.JobTypeJobFacet,
    "version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet,
    "inputStatistics": facet_v2.input_statistics_input_dataset.InputStatisticsInputDatasetFacet,
}
OCCURRENCES: Mapping[str, Callable[[], Occurrence]] = {
    "started": lambda: state_event("queued", "starting"),
    "started_again": lambda: state_event("queued", "starting", attempt=2),
    "succeeded": succeeded,
    "failed": failed,
    "cancelled": lambda: state_event("running", "cancelled"),
    "exported": exported,
}


def subset(fields: dict[str, Any]) -> Any:
    base = facet_v2.base_subset_dataset
    condition = dict(fields.pop("inputCondition"))
    condition.pop("type")
    location = base.LocationSubsetCondition(**condition)
    return base.InputSubsetInputDatasetFacet(inputCondition=location, **fields)


def facets(found: Mapping[str, Any]) -> dict[str, Any]:
    """Build facets by the client's classes; a class sets the schema's URL itself."""
    built: dict[str, Any] = {}
    for name, facet in found.items():
        fields = {key: value for key, value in facet.items() if key != "_schemaURL"}
        fields["producer"] = fields.pop("_producer")
        if name == "subset":
            built[name] = subset(fields)
        elif name in FACETS:
            built[name] = FACETS[name](**fields)
        else:
            assert name.startswith("tandem_")
            built[name] = facet
    return built


def build(event: Mapping[str, Any]) -> event_v2.RunEvent:
    """Build an event by the client's classes."""
    run, job = event["run"], event["job"]
    return event_v2.RunEvent(
        eventType=event_v2.RunState[event["eventType"]],
        eventTime=event["eventTime"],
        run=event_v2.Run(runId=run["runId"], facets=facets(run["facets"])),
        job=event_v2.Job(
            namespace=job["namespace"], name=job["name"], facets=facets(job["facets"])
        ),
        inputs=[
            event_v2.InputDataset(
                namespace=dataset["namespace"],
                name=dataset["name"],
                facets=facets(dataset.get("facets", {})),
                inputFacets=facets(dataset.get("inputFacets", {})),
            )
            for dataset in event["inputs"]
        ],
        outputs=[
            event_v2.OutputDataset(
                namespace=dataset["namespace"],
                name=dataset["name"],
                facets=facets(dataset["facets"]),
            )
            for dataset in event["outputs"]
        ],
        producer=event["producer"],
    )


def without_empty(node: Any) -> Any:
    """Return the node without empty mappings and lists: the client may leave either out."""
    if isinstance(node, dict):
        kept = {name: without_empty(value) for name, value in node.items()}
        return {name: value for name, value in kept.items() if value not in ({}, [], None)}
    if isinstance(node, list):
        return [without_empty(value) for value in node]
    return node


@pytest.mark.parametrize("name", OCCURRENCES)
def test_the_client_serialises_the_event_that_we_send(name: str) -> None:
    events = run_events(OCCURRENCES[name](), PRODUCER)
    assert events
    for event in events:
        written = json.loads(Serde.to_json(build(event)))
        assert without_empty(written) == without_empty(event)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://bucket/a/b.jsonl", naming.S3("bucket", "a/b.jsonl")),
        ("gs://bucket/a/b.jsonl", naming.GCS("bucket", "a/b.jsonl")),
        ("/data/a/b.jsonl", naming.LocalFileSystem("/data/a/b.jsonl")),
    ],
)
def test_datasets_are_named_as_the_client_names_them(uri: str, expected: Any) -> None:
    ours = name_dataset(uri)
    assert ours.namespace == expected.get_namespace()
    assert ours.name == expected.get_name()
