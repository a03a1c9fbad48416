"""Names of datasets by OpenLineage's rules: namespace = scheme and authority, name = path.

Platforms join lineage by these names alone, so they must be the ones that Spark, Airflow and
others give to the same data: a folder's name where a pattern matches its files, no slash before an
object's key, an absolute path for a local file.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from tandem_engine.contracts.uris import parse_uri

_GLOB = re.compile(r"[*?\[]")
_REVISION = re.compile(r"^(datasets/[^/@]+/[^/@]+)@[^/]+")


@dataclass(frozen=True, order=True)
class DatasetName:
    """What identifies a dataset on every platform."""

    namespace: str
    name: str


def name_dataset(uri: str) -> DatasetName:
    """Return the dataset that a URI of a specification lies in.

    Azure's rule asks for the account, which a specification does not name; the hub has no rule: it
    is named without the revision, which is another version of the same dataset.

    Args:
        uri: An absolute path or a URI, maybe with a pattern.

    Raises:
        ValueError: it is no address of data.
    """
    location = parse_uri(uri)
    path = _folder_of_pattern(location.path) if location.is_pattern else location.path
    if location.scheme == "file":
        return DatasetName("file", path)
    if location.scheme == "hf":
        path = _REVISION.sub(r"\1", path)
    authority, _, name = path.partition("/")
    return DatasetName(f"{location.scheme}://{authority}", name or "/")


def name_manifest(data_dir: Path, job_id: str, path: str) -> DatasetName:
    """Return the dataset that a job's manifest is: its folder below the artifacts."""
    return DatasetName("file", str(data_dir.absolute() / "jobs" / job_id / path))


def is_part(uri: str) -> bool:
    """Tell if a URI names some files of its dataset: a pattern or a revision."""
    location = parse_uri(uri)
    return location.is_pattern or (
        location.scheme == "hf" and _REVISION.match(location.path) is not None
    )


def _folder_of_pattern(path: str) -> str:
    fixed = []
    for part in path.split("/"):
        if _GLOB.search(part):
            break
        fixed.append(part)
    return "/".join(fixed) or "/"
