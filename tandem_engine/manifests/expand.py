"""From the rule of a manifest to the readings of each document, a range of files at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem_engine.manifests.inventory import Documents
from tandem_engine.manifests.plan import repeat_counts
from tandem_engine.manifests.tables import DOCUMENTS_FOLDER, DOCUMENTS_SCHEMA, open_table

ROWS_PER_PART = 10_000_000

_CHUNK = 1 << 20

Numbers = npt.NDArray[np.int64]


class Counted(Protocol):
    """A file with a number of records."""

    @property
    def records(self) -> int:
        """Records of the file."""
        ...


@dataclass(frozen=True, slots=True)
class MemberRule:
    """How often the records of a domain are read (`manifests.plan`)."""

    domain: str
    records: int
    full_passes: int
    threshold: int
    seed: int

    def counts(self, numbers: Numbers) -> Numbers:
        """Return the readings of records, none of them excluded."""
        return repeat_counts(
            numbers,
            self.records,
            self.full_passes,
            self.threshold,
            seed=self.seed,
            domain=self.domain,
        )


@dataclass(frozen=True, slots=True)
class FileRecords:
    """A source file, and where its records begin in the domain's numbering."""

    uri: str
    first: int
    records: int


@dataclass(frozen=True, slots=True)
class Readings:
    """Some documents of a file that are read at least once."""

    uri: str
    indices: Numbers
    """0-based record numbers in the file, ascending."""
    counts: Numbers


def first_records(files: Sequence[Counted]) -> list[int]:
    """Return where each file's records begin in the domain's numbering."""
    firsts, total = [], 0
    for file in files:
        firsts.append(total)
        total += file.records
    return firsts


def readings(rule: MemberRule, file: FileRecords, excluded: Numbers) -> Iterator[Readings]:
    """Yield the documents of `file` that are read, some at a time.

    Args:
        rule: The domain's.
        file: The file.
        excluded: Numbers of records that are no documents, ascending; of the whole domain or of
            any part of it that covers the file.
    """
    end = file.first + file.records
    for begin in range(file.first, end, _CHUNK):
        numbers = np.arange(begin, min(begin + _CHUNK, end))
        low, high = np.searchsorted(excluded, [begin, begin + _CHUNK])
        inside = excluded[low:high]
        kept = np.delete(numbers, inside[inside < end] - begin)
        counts = rule.counts(kept)
        read = counts > 0
        if read.any():
            yield Readings(file.uri, kept[read] - file.first, counts[read])


def write_documents(
    folder: Path,
    slug: str,
    rule: MemberRule,
    files: Sequence[FileRecords],
    documents: Documents | None,
) -> list[str]:
    """Write a row per document that is read; returns the names of the files.

    Args:
        folder: The manifest's.
        slug: The domain's.
        rule: The domain's.
        files: The domain's, in order.
        documents: What may be read, with lengths; None where each record may and lengths are
            unknown, which are then 0.
    """
    writer = _Parts(folder, f"{DOCUMENTS_FOLDER}/domain={slug}")
    for file in files:
        if documents is None:
            for part in readings(rule, file, np.empty(0, dtype=np.int64)):
                writer.write(part, np.zeros_like(part.indices))
            continue
        low, high = np.searchsorted(documents.numbers, [file.first, file.first + file.records])
        for begin in range(low, high, _CHUNK):
            part_of = slice(begin, min(begin + _CHUNK, high))
            counts = rule.counts(documents.numbers[part_of])
            read = counts > 0
            indices = documents.numbers[part_of][read] - file.first
            tokens = documents.tokens[part_of][read]
            writer.write(Readings(file.uri, indices, counts[read]), tokens)
    return writer.close()


class _Parts:
    """Writes rows into files of `ROWS_PER_PART`, and up to a chunk more; none without rows."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._names: list[str] = []
        self._rows = ROWS_PER_PART
        self._open: pa.parquet.ParquetWriter | None = None

    def write(self, part: Readings, tokens: Numbers) -> None:
        if not len(part.indices):
            return
        if self._rows >= ROWS_PER_PART:
            self._next()
        columns = [
            pa.repeat(part.uri, len(part.indices)),
            pa.array(part.indices),
            pa.array(part.counts.astype(np.int32)),
            pa.array(tokens),
        ]
        assert self._open is not None  # noqa: S101 - `_next` opened it
        self._open.write_table(pa.table(columns, schema=DOCUMENTS_SCHEMA))
        self._rows += len(part.indices)

    def close(self) -> list[str]:
        if self._open is not None:
            self._open.close()
        return self._names

    def _next(self) -> None:
        if self._open is not None:
            self._open.close()
        (self._folder / self._name).mkdir(parents=True, exist_ok=True)
        self._names.append(f"{self._name}/part-{len(self._names):05d}.parquet")
        self._open = open_table(self._folder / self._names[-1], DOCUMENTS_SCHEMA)
        self._rows = 0
