"""Names of datasets by OpenLineage's rules."""

from pathlib import Path

import pytest

from service.notifications.datasets import DatasetName, is_part, name_dataset, name_manifest


@pytest.mark.parametrize(
    ("uri", "namespace", "name"),
    [
        ("/data/web/part.jsonl", "file", "/data/web/part.jsonl"),
        ("file:///data/a%20b.jsonl", "file", "/data/a b.jsonl"),
        ("/data/web/**/*.jsonl.gz", "file", "/data/web"),
        ("/*.jsonl", "file", "/"),
        ("s3://corpora/web/part.parquet", "s3://corpora", "web/part.parquet"),
        ("s3://corpora/web/2026-[01]*/x.parquet", "s3://corpora", "web"),
        ("s3://corpora/*.parquet", "s3://corpora", "/"),
        ("gcs://corpora/web/a.jsonl", "gs://corpora", "web/a.jsonl"),
        ("abfs://box/web/a.jsonl", "az://box", "web/a.jsonl"),
        ("https://host/a/b.jsonl?version=1", "https://host", "a/b.jsonl?version=1"),
        ("hf://datasets/org/set@0a1b/data/*.parquet", "hf://datasets", "org/set/data"),
        ("hf://datasets/org/set/data/a.parquet", "hf://datasets", "org/set/data/a.parquet"),
    ],
)
def test_a_uri_lies_in_the_dataset_that_other_producers_name(
    uri: str, namespace: str, name: str
) -> None:
    assert name_dataset(uri) == DatasetName(namespace, name)


@pytest.mark.parametrize(
    ("uri", "part"),
    [
        ("/data/*.jsonl", True),
        ("/data/a.jsonl", False),
        ("https://host/what?x=1", False),
        ("hf://datasets/org/set@0a1b/a.parquet", True),
        ("hf://datasets/org/set/a.parquet", False),
    ],
)
def test_a_pattern_or_a_revision_is_a_part(uri: str, *, part: bool) -> None:
    assert is_part(uri) is part


def test_a_manifest_is_its_folder() -> None:
    found = name_manifest(Path("/srv/tandem"), "job_1", "manifest")
    assert found == DatasetName("file", "/srv/tandem/jobs/job_1/manifest")
