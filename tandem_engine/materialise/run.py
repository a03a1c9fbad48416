"""The steps of materialising a manifest: deal the readings to parts, then order each part.

Every step is a function of its task alone, so that the corpus is the same for any number of
workers, here or on a cluster. Memory: one batch of documents per task of the first step, one part
per task of the second. The output folder is whole or absent.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tandem_engine.data.atomic import whole_directory
from tandem_engine.data.fingerprints import inspect_file
from tandem_engine.errors import InvalidSpecError, ManifestDamagedError
from tandem_engine.inputs.documents import Document, iterate_file
from tandem_engine.manifests.expand import readings
from tandem_engine.manifests.read import ListedFile, Manifest
from tandem_engine.materialise.contents import (
    RECORD_FORMATS,
    Encode,
    OutputFormat,
    record_contents,
    token_contents,
)
from tandem_engine.materialise.executors import Executor, LocalExecutor
from tandem_engine.materialise.spills import (
    SpillWriter,
    domain_state,
    domain_tags,
    key_of,
    read_part,
)
from tandem_engine.materialise.writers import write_mds_index, write_part

PART_BYTES = 1 << 28
"""Bytes of a part, about, where their number is not given."""
INDEX_FILE = "corpus.json"

_BATCH = 256


@dataclass(frozen=True, slots=True)
class MaterialiseRequest:
    """What to write."""

    manifest: Path
    out: Path
    format: OutputFormat = "jsonl"
    compression: str | None = None
    parts: int | None = None
    """Files of the corpus; None is by size."""
    tokenizer: str | None = None
    """Folder or hub name, for formats of tokens; None is the job's."""
    order_seed: int = 0


@dataclass(frozen=True, slots=True)
class _Deal:
    request: MaterialiseRequest
    spills: Path
    parts: int
    task: int
    file: ListedFile


@dataclass(frozen=True, slots=True)
class _Order:
    request: MaterialiseRequest
    spills: Path
    folder: Path
    part: int
    dtype: str | None


def materialise(request: MaterialiseRequest, executor: Executor | None = None) -> dict[str, Any]:
    """Write the corpus of a manifest into the new folder `request.out`; return its index.

    Raises:
        InvalidSpecError: the folder is there already, or the format does not fit the sources.
        ManifestDamagedError: the manifest or a source file is not what it was.
        TandemError: a source cannot be read, or the disk is full.
    """
    if request.out.exists():
        raise InvalidSpecError(
            f"{request.out} is there already",
            field="out",
            value=request.out,
            hint="give a new folder, or remove this one",
        )
    manifest = Manifest(request.manifest)
    files = [file for file in manifest.files if file.planned_share > 0]
    parts = request.parts or _parts(files)
    executor = executor or LocalExecutor(1)
    dtype = None
    if request.format not in RECORD_FORMATS:
        _, dtype = token_contents(manifest, request.tokenizer)
    with whole_directory(request.out) as folder:
        spills = folder / ".spills"
        spills.mkdir()
        deals = [_Deal(request, spills, parts, task, file) for task, file in enumerate(files)]
        dealt = sum(executor.map(_deal, deals))
        orders = [_Order(request, spills, folder, part, dtype) for part in range(parts)]
        described = list(executor.map(_order, orders))
        shutil.rmtree(spills)
        if request.format == "mds":
            write_mds_index(folder, described)
        index = {
            "mixture_id": manifest.head["mixture_id"],
            "format": request.format,
            "order_seed": request.order_seed,
            "dtype": dtype,
            "documents": dealt,
            "parts": described,
        }
        # MDS readers take every folder with an index.json; ours is beside it.
        (folder / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return index


def _parts(files: Sequence[ListedFile]) -> int:
    read = sum((file.bytes or 0) * file.planned_share for file in files)
    return max(1, round(read / PART_BYTES))


def _deal(deal: _Deal) -> int:
    """Spill the readings of one file; returns how many there are."""
    request, listed = deal.request, deal.file
    manifest = Manifest(request.manifest)
    source = manifest.source(listed)
    facts = inspect_file(source)
    if listed.fingerprint is not None and facts.fingerprint != listed.fingerprint:
        raise ManifestDamagedError(
            f"{listed.records.uri} was changed after the manifest was written",
            field="source_uri",
            value=listed.records.uri,
            hint="restore the file, or learn and plan again on what is there now",
        )
    encode: Encode = record_contents
    if request.format not in RECORD_FORMATS:
        encode, _ = token_contents(manifest, request.tokenizer)
    end_of_text = manifest.head["tokenizer"].get("end_of_text")
    documents = iterate_file(source, end_of_text=end_of_text, on_malformed=lambda *_: None)
    state = domain_state(request.order_seed, listed.domain)
    spill = SpillWriter(deal.spills, deal.task, deal.parts, listed.domain)
    dealt = 0
    for batch, counts in _chosen(manifest, listed, documents):
        contents = encode(batch, source)
        for document, count, content in zip(batch, counts, contents, strict=True):
            number = listed.records.first + document.index
            for repetition in range(count):
                key = key_of(state, number, repetition)
                spill.add(key, number, repetition, content)
            dealt += count
    spill.close()
    return dealt


def _chosen(
    manifest: Manifest, listed: ListedFile, documents: Iterator[Document]
) -> Iterator[tuple[list[Document], list[int]]]:
    """Yield the documents that are read, some at a time, with how often each is."""
    batch: list[Document] = []
    counts: list[int] = []
    document = next(documents, None)
    rule = manifest.rules[listed.domain]
    for part in readings(rule, listed.records, manifest.excluded(listed)):
        for index, count in zip(part.indices.tolist(), part.counts.tolist(), strict=True):
            while document is not None and document.index < index:
                document = next(documents, None)
            if document is None or document.index != index:
                raise ManifestDamagedError(
                    f"{listed.records.uri} has no document {index}, which the manifest reads",
                    field="source_uri",
                    value=listed.records.uri,
                    hint="plan again on the files that are there now",
                )
            batch.append(document)
            counts.append(count)
            if len(batch) == _BATCH:
                yield batch, counts
                batch, counts = [], []
    if batch:
        yield batch, counts


def _order(order: _Order) -> dict[str, Any]:
    """Write one part in its order."""
    names = sorted(Manifest(order.request.manifest).rules)
    found = read_part(order.spills, order.part, domain_tags(names))
    return write_part(
        order.folder,
        order.part,
        found,
        output=order.request.format,
        compression=order.request.compression,
        dtype=order.dtype,
    )
