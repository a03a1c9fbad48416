"""Events of jobs as OpenLineage run events: which data a job read, which mixture it wrote.

A Tandem job is one run of an OpenLineage job, whichever attempt; the OpenLineage job is what is
repeated: all jobs of a tenant with one name, or, without a name, with one specification.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from service.db.base import Json
from service.jobs.lifecycle import JobState
from service.notifications.datasets import DatasetName, is_part, name_dataset, name_manifest
from service.notifications.occurrences import EXPORT, Occurrence, WrittenManifest

MEDIA_TYPE = "application/json"
SPEC_URL = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS_URL = "https://openlineage.io/spec/facets"

EventType = Literal["START", "RUNNING", "COMPLETE", "FAIL", "ABORT"]

_ENDS: Mapping[JobState, EventType] = {
    JobState.SUCCEEDED: "COMPLETE",
    JobState.FAILED: "FAIL",
    JobState.CANCELLED: "ABORT",
}


@dataclass(frozen=True)
class Producer:
    """Who emits lineage: the deployment's namespace, its artifacts, its release."""

    namespace: str
    data_dir: Path
    version: str

    @property
    def uri(self) -> str:
        """Name of the release, as `producer` of events and facets."""
        return f"urn:tandem:release:{self.version}"

    def facet(self, schema: str, **fields: object) -> Json:
        """Return a facet of the standard; `schema` is version, file and, if it differs, name."""
        file, _, name = schema.partition("#")
        url = f"{_FACETS_URL}/{file}.json#/$defs/{name or file.rpartition('/')[2]}"
        return {"_producer": self.uri, "_schemaURL": url, **fields}

    def own_facet(self, name: str, **fields: object) -> Json:
        """Return a facet of ours; docs/events.md says what it holds."""
        url = f"urn:tandem:facet:1-0-0:{name}"
        return {"_producer": self.uri, "_schemaURL": url, **fields}


def run_id(job_id: str, *parts: str) -> UUID:
    """Return the run of a job, or of an export of it; the same at every delivery."""
    return uuid5(NAMESPACE_URL, ":".join(("urn:tandem:run", job_id, *parts)))


def run_events(occurrence: Occurrence, producer: Producer) -> Sequence[Json]:
    """Return what an event says about lineage, in the order of delivery; often nothing.

    Args:
        occurrence: A change of state or an export.
        producer: Who says it.
    """
    if occurrence.type == EXPORT:
        return [export_event(occurrence, producer, kind) for kind in ("START", "COMPLETE")]
    kind = _event_type(occurrence)
    return [] if kind is None else [job_event(occurrence, producer, kind)]


def job_event(occurrence: Occurrence, producer: Producer, kind: EventType) -> Json:
    """Return a run event of the job that learns; its end names the mixture and every input."""
    facets = {
        "processing_engine": producer.facet(
            "1-1-1/ProcessingEngineRunFacet", name="tandem", version=producer.version
        ),
        "tandem_job": producer.own_facet(
            "TandemJobRunFacet",
            job_id=occurrence.job_id,
            attempt=occurrence.attempt,
            spec_sha256=occurrence.spec_sha256,
            labels=dict(occurrence.labels),
        ),
    }
    if kind == "FAIL":
        facets["errorMessage"] = producer.facet(
            "1-0-1/ErrorMessageRunFacet",
            message=_error_text(occurrence.error),
            programmingLanguage="PYTHON",
        )
    outputs = []
    if kind == "COMPLETE" and occurrence.manifest is not None:
        outputs.append(_mixture(occurrence, producer, occurrence.manifest))
    return _run_event(
        occurrence,
        producer,
        kind,
        run={"runId": str(run_id(occurrence.job_id)), "facets": facets},
        job="learn",
        inputs=_sources(occurrence, producer),
        outputs=outputs,
    )


def export_event(occurrence: Occurrence, producer: Producer, kind: EventType) -> Json:
    """Return a run event of an export: the mixture in, the trainer's configuration out."""
    data = occurrence.data
    trainer, sha256 = str(data["format"]), str(data["sha256"])
    written = {
        "namespace": producer.namespace,
        "name": f"jobs/{occurrence.job_id}/exports/{trainer}",
        "facets": {
            "version": producer.facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=sha256),
            "tandem_export": producer.own_facet("TandemExportDatasetFacet", **data),
        },
    }
    mixture = [_mixture(occurrence, producer, occurrence.manifest)] if occurrence.manifest else []
    return _run_event(
        occurrence,
        producer,
        kind,
        run={"runId": str(run_id(occurrence.job_id, "export", trainer, sha256)), "facets": {}},
        job=f"export_{trainer}",
        inputs=mixture,
        outputs=[written],
    )


def _event_type(occurrence: Occurrence) -> EventType | None:
    state = occurrence.state
    if state == JobState.STARTING:
        return "START" if occurrence.attempt == 1 else "RUNNING"
    if state is None or occurrence.attempt == 0:
        return None  # cancelled in the queue: it never ran and has read nothing
    return _ENDS.get(state)


def _run_event(
    occurrence: Occurrence,
    producer: Producer,
    kind: EventType,
    *,
    run: Json,
    job: str,
    inputs: list[Json],
    outputs: list[Json],
) -> Json:
    repeated = occurrence.name or occurrence.spec_sha256[:12]
    job_type = producer.facet(
        "2-0-4/JobTypeJobFacet", processingType="BATCH", integration="TANDEM", jobType="JOB"
    )
    return {
        "eventType": kind,
        "eventTime": occurrence.time,
        "run": run,
        "job": {
            "namespace": producer.namespace,
            "name": f"{occurrence.tenant_id}.{repeated}.{job}",
            "facets": {"jobType": job_type},
        },
        "inputs": inputs,
        "outputs": outputs,
        "producer": producer.uri,
        "schemaURL": SPEC_URL,
    }


def _mixture(occurrence: Occurrence, producer: Producer, manifest: WrittenManifest) -> Json:
    place = name_manifest(producer.data_dir, occurrence.job_id, manifest.path)
    result: Mapping[str, Any] = occurrence.result or {}
    mixture = producer.own_facet(
        "TandemMixtureDatasetFacet",
        shares=occurrence.shares,
        unit="response_tokens" if occurrence.spec.get("scenario") == "sft" else "tokens",
        method=result.get("method", "tandem"),
        verdict=result.get("verdict", {}).get("outcome"),
        target_tokens=manifest.target_tokens,
        planned_tokens=manifest.planned_tokens,
        sha256=manifest.sha256,
    )
    version = producer.facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=manifest.sha256)
    return {
        "namespace": place.namespace,
        "name": place.name,
        "facets": {"version": version, "tandem_mixture": mixture},
    }


def _sources(occurrence: Occurrence, producer: Producer) -> list[Json]:
    """Return one input per dataset; several domains may lie in one, one domain in several."""
    found: dict[DatasetName, list[tuple[str, str, str]]] = {}
    for role, section in (("domain", "domains"), ("target", "targets")):
        for source in occurrence.spec.get(section, []):
            for uri in source["uris"]:
                found.setdefault(name_dataset(uri), []).append((role, source["name"], uri))
    rows = _rows_read(occurrence.result)
    owners = {name: {(role, source) for role, source, _ in uses} for name, uses in found.items()}
    inputs = []
    for name, uses in found.items():
        facets = {"tandem_source": _source_facet(occurrence, producer, owners[name])}
        parts = [uri for *_, uri in uses if is_part(uri)]
        if parts:
            facets["subset"] = producer.facet(
                "1-0-0/BaseSubsetDatasetFacet#InputSubsetInputDatasetFacet",
                inputCondition={"type": "location", "locations": list(dict.fromkeys(parts))},
            )
        domain = next(iter(owners[name]))
        alone = len(owners[name]) == 1 and sum(domain in others for others in owners.values()) == 1
        if alone and domain[0] == "domain" and domain[1] in rows:
            facets["inputStatistics"] = producer.facet(
                "1-0-0/InputStatisticsInputDatasetFacet", rowCount=rows[domain[1]]
            )
        inputs.append({"namespace": name.namespace, "name": name.name, "inputFacets": facets})
    return inputs


def _source_facet(occurrence: Occurrence, producer: Producer, owners: set[tuple[str, str]]) -> Json:
    domains = sorted(name for role, name in owners if role == "domain")
    shares = occurrence.shares
    return producer.own_facet(
        "TandemSourceInputDatasetFacet",
        domains=domains,
        targets=sorted(name for role, name in owners if role == "target"),
        shares={name: shares[name] for name in domains if name in shares},
    )


def _rows_read(result: Json | None) -> dict[str, int]:
    domains = [] if result is None else result.get("domains", [])
    return {row["name"]: row["documents"] + row["duplicates_removed"] for row in domains}


def _error_text(error: Json | None) -> str:
    if error is None:
        return "the job failed"
    return f"{error['code']}: {error['message']}"
