"""Opens a manifest's folder and checks it against its own checksums."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from tandem_engine.contracts.domains import DomainSpec
from tandem_engine.errors import InvalidSpecError, ManifestDamagedError
from tandem_engine.files import sha256_of
from tandem_engine.inputs.access import EVERYWHERE, Access
from tandem_engine.inputs.files import SourceFile
from tandem_engine.inputs.listing import files_of
from tandem_engine.manifests.expand import FileRecords, MemberRule
from tandem_engine.manifests.permutation import NAME, VERSION
from tandem_engine.manifests.tables import EXCLUDED_FILE, HEAD_FILE, SCHEMA_VERSION, SHARDS_FILE


@dataclass(frozen=True)
class ListedFile:
    """A source file of the manifest."""

    domain: str
    records: FileRecords
    fingerprint: str | None
    format: str | None
    compression: str | None
    bytes: int | None
    measured: bool
    """Whether the domain's documents were read one by one when the manifest was written."""
    planned_share: float
    """Readings of the domain per record, on average."""


class Manifest:
    """A manifest's rules and files."""

    def __init__(self, folder: Path) -> None:
        """Open the manifest in `folder`.

        Raises:
            ManifestDamagedError: a file is missing or not the one that the head names.
            InvalidSpecError: it is no manifest, or of another version.
        """
        self.folder = folder
        try:
            head = json.loads((folder / HEAD_FILE).read_bytes())
            version, selector = head["schema_version"], head.get("selector")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidSpecError(
                f"{folder} holds no manifest: {error}",
                field="manifest",
                value=folder,
                hint="give the folder that `tandem manifest get` wrote",
            ) from error
        if (version, selector) != (SCHEMA_VERSION, {"name": NAME, "version": VERSION}):
            raise InvalidSpecError(
                f"{folder} is a manifest of version {version} with the selector {selector}",
                field="manifest",
                value=folder,
                hint=f"this release reads version {SCHEMA_VERSION} with {NAME} {VERSION}",
            )
        self.head: dict[str, Any] = head
        for name in (SHARDS_FILE, EXCLUDED_FILE):
            self._check(name)
        self.rules = {
            row["domain"]: MemberRule(
                domain=row["domain"],
                records=row["records"],
                full_passes=row["full_passes"],
                threshold=row["threshold"],
                seed=head["seed"],
            )
            for row in head["domains"]
        }

    @cached_property
    def files(self) -> list[ListedFile]:
        """All source files, by domain and URI."""
        domains = {row["domain"]: row for row in self.head["domains"]}
        planned = {
            name: row["planned_documents"] / max(1, row["records"]) for name, row in domains.items()
        }
        return [
            ListedFile(
                domain=row["domain"],
                records=FileRecords(row["source_uri"], row["first_record"], row["records"]),
                fingerprint=row["fingerprint"],
                format=row["format"],
                compression=row["compression"],
                bytes=row["bytes"],
                measured=domains[row["domain"]]["measured"],
                planned_share=planned[row["domain"]],
            )
            for row in pq.ParquetFile(self.folder / SHARDS_FILE).read().to_pylist()
        ]

    def excluded(self, file: ListedFile) -> npt.NDArray[np.int64]:
        """Return the numbers of a file's records that are no documents, ascending."""
        if not (self.folder / EXCLUDED_FILE).exists():
            return np.empty(0, dtype=np.int64)
        first, records = file.records.first, file.records.records
        table = pq.read_table(
            self.folder / EXCLUDED_FILE,
            columns=["record"],
            partitioning=None,  # the manifest may lie below a folder `domain=...`
            filters=(pc.field("domain") == file.domain)
            & (pc.field("record") >= first)
            & (pc.field("record") < first + records),
        )
        return np.asarray(table.column("record").to_numpy())

    def source(self, file: ListedFile, access: Access = EVERYWHERE) -> SourceFile:
        """Return how a source file is read.

        Raises:
            TandemError: it is not there any more, or it is not known how it is read.
        """
        settings = self.head["sources"].get(file.domain) or {"format": file.format or "auto"}
        try:
            spec = DomainSpec(name=file.domain, uris=[file.records.uri], **settings)
        except ValidationError as error:
            said = "; ".join(one["msg"] for one in error.errors())
            raise InvalidSpecError(
                f"{file.records.uri} of {file.domain!r} cannot be read: {said}",
                field="source_uri",
                value=file.records.uri,
                hint="plan again with absolute paths or URIs, and a format that is known",
            ) from error
        (found,) = files_of(spec, file.records.uri, access)
        return found

    def _check(self, name: str) -> None:
        entry = next((file for file in self.head["files"] if file["path"] == name), None)
        if entry is None:
            return
        path = self.folder / name
        if not path.is_file() or sha256_of(path) != entry["sha256"]:
            raise ManifestDamagedError(
                f"{path} is missing or was changed after the manifest was written",
                field="manifest",
                value=path,
                hint="download the manifest again",
            )
