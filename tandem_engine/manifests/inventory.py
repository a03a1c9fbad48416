"""What there is to read: files of documents per domain, and which records are no documents.

An inventory comes from a job's corpus, whose documents were read, or from a table of files with
counts, for corpora that are larger than what was learned on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from tandem_engine.contracts.domains import DomainSpec
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import Corpus, Domain
from tandem_engine.data.splits import Split
from tandem_engine.errors import InvalidSpecError

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FileCounts:
    """One source file; `tokens` is None where only the domain's sum is known."""

    uri: str
    records: int
    tokens: int | None = None
    fingerprint: str | None = None
    bytes: int | None = None
    format: str | None = None
    compression: str | None = None


@dataclass(frozen=True, slots=True)
class Documents:
    """Every document that may be read: its number in the domain, ascending, and its tokens."""

    numbers: Numbers
    tokens: Numbers
    """That count for the mixture: all, or of conversations those of responses."""
    all_tokens: Numbers


@dataclass(frozen=True, slots=True)
class DomainInventory:
    """The files of a domain in the bytewise order of their URIs."""

    name: str
    files: Sequence[FileCounts]
    available_documents: int
    available_tokens: int
    documents: Documents | None = None
    """None where the documents were not read one by one: then all records are available."""
    source: DomainSpec | None = None
    """How the files are read; None where that is not known."""

    @property
    def records(self) -> int:
        """Records of all files; numbers of documents are below it."""
        return sum(file.records for file in self.files)


def inventory_of(corpus: Corpus, spec: JobSpec) -> list[DomainInventory]:
    """Return the inventory of a job's domains."""
    return [
        _of_domain(domain, source, spec)
        for domain, source in zip(corpus.domains, spec.domains, strict=True)
    ]


def _of_domain(domain: Domain, source: DomainSpec, spec: JobSpec) -> DomainInventory:
    documents = available(domain, spec)
    records = np.array([file.records for file in domain.files], dtype=np.int64)
    first = np.concatenate([[0], np.cumsum(records)[:-1]])
    tokens = np.zeros(len(records), dtype=np.int64)
    np.add.at(tokens, documents["uri"], documents["tokens"])
    files = [
        FileCounts(
            uri=file.uri,
            records=file.records,
            tokens=int(in_file),
            fingerprint=file.fingerprint,
            bytes=file.bytes,
            format=file.format,
            compression=file.compression,
        )
        for file, in_file in zip(domain.files, tokens, strict=True)
    ]
    found = Documents(
        numbers=first[documents["uri"]] + documents["document"],
        tokens=np.asarray(documents["tokens"]),
        all_tokens=np.asarray(documents["all_tokens"]),
    )
    return DomainInventory(
        name=domain.name,
        files=files,
        available_documents=len(documents),
        available_tokens=int(documents["tokens"].sum()),
        documents=found,
        source=source,
    )


def available(domain: Domain, spec: JobSpec) -> npt.NDArray[np.void]:
    """Return the documents of a domain that may be read, in the order of their numbers."""
    chosen = ~domain.documents["duplicate"]
    if spec.manifest.documents == "train":
        chosen &= domain.documents["split"] == Split.TRAIN
    documents = np.asarray(domain.documents[chosen])
    return documents[np.lexsort((documents["document"], documents["uri"]))]


def available_tokens(corpus: Corpus, spec: JobSpec) -> list[int]:
    """Return the tokens per domain that the manifest can read once, end-of-text included."""
    return [int(available(domain, spec)["tokens"].sum()) for domain in corpus.domains]


def target_tokens(tokens: Sequence[int], spec: JobSpec) -> int:
    """Return the tokens that the manifest plans to read: those asked for, or all there are."""
    return spec.manifest.target_tokens or sum(tokens)


def read_inventory(path: Path) -> list[DomainInventory]:
    """Read an inventory from a Parquet table with a row per file.

    Columns: `domain`, `source_uri`, `records`, `tokens`, and if there are any `fingerprint`,
    `bytes`, `format`, `compression`; the `shards.parquet` of a manifest is one.

    Raises:
        InvalidSpecError: a column is missing, a count is not positive, or a file stands twice.
    """
    # A folder of the path named `domain=x` must not become a column.
    table = pq.read_table(path, partitioning=None)
    missing = {"domain", "source_uri", "records", "tokens"} - set(table.column_names)
    if missing:
        raise _wrong(path, f"lacks the columns {', '.join(sorted(missing))}")
    by_domain: dict[str, list[FileCounts]] = {}
    for row in table.to_pylist():
        by_domain.setdefault(str(row["domain"]), []).append(_file(path, row))
    return [_counted(path, name, by_domain[name]) for name in sorted(by_domain)]


def _file(path: Path, row: dict[str, Any]) -> FileCounts:
    if (row["records"] or 0) < 1 or (row["tokens"] or 0) < 1:
        raise _wrong(path, f"gives {row['source_uri']} no records or no tokens")
    known = ("fingerprint", "bytes", "format", "compression")
    return FileCounts(
        uri=str(row["source_uri"]),
        records=int(row["records"]),
        tokens=int(row["tokens"]),
        **{name: row.get(name) for name in known},
    )


def _counted(path: Path, name: str, files: list[FileCounts]) -> DomainInventory:
    files.sort(key=lambda file: file.uri)
    if len({file.uri for file in files}) < len(files):
        raise _wrong(path, f"names a file of {name!r} twice")
    return DomainInventory(
        name=name,
        files=files,
        available_documents=sum(file.records for file in files),
        available_tokens=sum(file.tokens or 0 for file in files),
    )


def _wrong(path: Path, what: str) -> InvalidSpecError:
    return InvalidSpecError(
        f"the inventory {path} {what}",
        field="inventory",
        value=path,
        hint="write a row per file with domain, source_uri, records and tokens",
    )
