"""The first step: the readings of one file, dealt to the parts of the corpus."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tandem_engine.data.fingerprints import FileFacts, inspect_file, require_unchanged
from tandem_engine.errors import ManifestDamagedError
from tandem_engine.inputs.documents import Document, iterate_file
from tandem_engine.inputs.files import SourceFile
from tandem_engine.manifests.expand import readings
from tandem_engine.manifests.read import ListedFile, Manifest
from tandem_engine.materialise.columns import Columns
from tandem_engine.materialise.contents import Encoder, RecordEncoder, token_encoder
from tandem_engine.materialise.request import RECORD_FORMATS, MaterialiseRequest
from tandem_engine.materialise.spills import SpillWriter, domain_state, key_of

MOST_LEFT_OUT = 0.01
"""Share of a file's records that may hold no document where they were never read."""

_BATCH = 256


@dataclass(frozen=True, slots=True)
class Deal:
    """A task."""

    request: MaterialiseRequest
    mixture_id: str
    spills: Path
    parts: int
    task: int
    file: ListedFile


@dataclass(frozen=True, slots=True)
class Dealt:
    """What was found."""

    readings: int
    left_out: int
    """Records that an expected plan reads, and that hold no document."""
    columns: Columns


def deal(task: Deal) -> Dealt:
    """Spill the readings of one file.

    Raises:
        ManifestDamagedError: the file is not what it was when the manifest was written.
        TandemError: it cannot be read, or the format does not fit it.
    """
    request, listed = task.request, task.file
    manifest = _opened(request.manifest, task.mixture_id)
    source = manifest.source(listed)
    facts = _require_same(listed, source)
    encoder: Encoder
    end_of_text = manifest.head["tokenizer"].get("end_of_text")
    if request.format in RECORD_FORMATS:
        encoder = RecordEncoder(typed=request.format == "parquet")
    else:
        encoder = tokens = token_encoder(manifest, request.tokenizer)
        end_of_text = tokens.end_of_text if end_of_text is None else end_of_text
    documents = iterate_file(source, end_of_text=end_of_text, on_malformed=lambda *_: None)
    state = domain_state(request.order_seed, listed.domain)
    spill = SpillWriter(task.spills, task.task, task.parts)
    chosen = _Chosen(manifest, listed)
    dealt = 0
    for batch, counts in chosen.among(documents):
        contents = encoder.encode(batch, source)
        for document, count, content in zip(batch, counts, contents, strict=True):
            number = listed.records.first + document.index
            for repetition in range(count):
                spill.add(key_of(state, number, repetition), content)
            dealt += count
    spill.close()
    if facts is not None:
        require_unchanged(source, facts)
    return Dealt(dealt, chosen.left_out, encoder.columns)


class _Chosen:
    """The documents of a file that are read."""

    def __init__(self, manifest: Manifest, listed: ListedFile) -> None:
        self._listed = listed
        self._parts = readings(
            manifest.rules[listed.domain], listed.records, manifest.excluded(listed)
        )
        self.left_out = 0

    def among(self, documents: Iterator[Document]) -> Iterator[tuple[list[Document], list[int]]]:
        """Yield them, some at a time, with how often each is read."""
        batch: list[Document] = []
        counts: list[int] = []
        document = next(documents, None)
        for part in self._parts:
            for index, count in zip(part.indices.tolist(), part.counts.tolist(), strict=True):
                while document is not None and document.index < index:
                    document = next(documents, None)
                if document is None or document.index != index:
                    self._miss(index)
                    continue
                batch.append(document)
                counts.append(count)
                if len(batch) == _BATCH:
                    yield batch, counts
                    batch, counts = [], []
        if batch:
            yield batch, counts

    def _miss(self, index: int) -> None:
        # Files that were only counted have blank records; a file that lacks many is another one.
        self.left_out += 1
        most = 0 if self._listed.measured else max(1, self._listed.records.records * MOST_LEFT_OUT)
        if self.left_out > most:
            uri = self._listed.records.uri
            raise ManifestDamagedError(
                f"{uri} has no document {index}, which the manifest reads",
                field="source_uri",
                value=uri,
                hint="plan again on the files that are there now",
            )


def _require_same(listed: ListedFile, source: SourceFile) -> FileFacts | None:
    if listed.fingerprint is None:
        return None
    facts = inspect_file(source)
    if facts.fingerprint != listed.fingerprint:
        raise ManifestDamagedError(
            f"{listed.records.uri} was changed after the manifest was written",
            field="source_uri",
            value=listed.records.uri,
            hint="restore the file, or learn and plan again on what is there now",
        )
    return facts


# A worker deals many files; checking the manifest for each would take longer than dealing.
@lru_cache(maxsize=1)
def _opened(folder: Path, mixture_id: str) -> Manifest:
    manifest = Manifest(folder)
    if manifest.head["mixture_id"] != mixture_id:
        raise ManifestDamagedError(
            f"{folder} was replaced meanwhile",
            field="manifest",
            value=folder,
            hint="run the command again",
        )
    return manifest
