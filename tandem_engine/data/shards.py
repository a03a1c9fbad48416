"""The tokens of one file, made once and shared by all jobs.

A shard is a folder named by the sha256 of all that its tokens depend on: the file's fingerprint,
how it is read, and the tokenizer; not by what a job does with them (split, seed, context length).
It is whole or absent, built by one process at a time, and read through memory maps.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from tandem_engine.data.atomic import exclusive_lock, whole_directory
from tandem_engine.data.encode import encode_conversation, encode_texts, encode_tokens
from tandem_engine.data.examples import Ids
from tandem_engine.data.fingerprints import FileFacts, require_unchanged
from tandem_engine.data.skips import SkipBudget
from tandem_engine.data.tokenise import TokenArray, Tokenizer, token_dtype
from tandem_engine.errors import DatasetMalformedError
from tandem_engine.inputs.documents import Document, iterate_file
from tandem_engine.inputs.files import SourceFile

SHARD_DTYPE = np.dtype(
    [
        ("index", "<i8"),  # 0-based record number in the file
        ("begin", "<i8"),  # of its tokens; equal documents share theirs
        ("count", "<i8"),  # tokens, of a text with end-of-text
        ("bytes", "<i8"),  # of the text, or of the stored tokens
        ("digest", "V32"),
    ]
)
OnBytes = Callable[[int], None]

_LAYOUT_VERSION = 2
_DOCUMENTS, _TOKENS, _FACTS = "documents.npy", "tokens.bin", "facts.json"
_BATCH_DOCUMENTS = 512
_BATCH_CHARACTERS = 1 << 22


@dataclass(frozen=True, slots=True)
class Shard:
    """The documents of one file and their tokens.

    Of a conversation the tokens are ids with the loss mask (`data.examples`), not yet cut to a row.
    """

    file: SourceFile
    facts: FileFacts
    documents: npt.NDArray[np.void]
    """`SHARD_DTYPE`, in reading order, duplicates included."""
    tokens: TokenArray | Ids
    records: int
    """Record numbers are below it."""
    choices: Mapping[int, Sequence[str]]
    """Completions that a document offers, by its place in `documents`."""


def load_shard(
    folder: Path,
    file: SourceFile,
    facts: FileFacts,
    tokenizer: Tokenizer,
    *,
    budget: SkipBudget,
    on_bytes: OnBytes,
) -> Shard:
    """Return the shard of `file`, from the cache `folder` or built into it.

    Args:
        folder: Shared by jobs; created when missing.
        file: What to read.
        facts: Of the file as it must be.
        tokenizer: Makes the tokens.
        budget: Of malformed records.
        on_bytes: Told how many of the file's bytes were read; what it raises ends the building.

    Raises:
        TandemError: file, record or disk is at fault, or the file was changed meanwhile.
    """
    entry = folder / shard_key(file, facts, tokenizer)
    with exclusive_lock(folder / f".{entry.name}.lock"):
        try:
            shard, left_out = _open(entry, file, facts)
        except (OSError, ValueError, KeyError):  # not there yet, or damaged since
            _build(entry, file, facts, tokenizer, budget=budget, on_bytes=on_bytes)
            shard, left_out = _open(entry, file, facts)
        else:
            for message, hint in left_out:
                budget.spend(
                    DatasetMalformedError(message, field=file.field, value=file.uri, hint=hint)
                )
    on_bytes(facts.size or 0)
    return shard


def shard_key(file: SourceFile, facts: FileFacts, tokenizer: Tokenizer) -> str:
    """Return the name of the entry of `file`."""
    described = {
        "layout": _LAYOUT_VERSION,
        "fingerprint": facts.fingerprint,
        "format": file.format,
        "compression": file.compression,
        "text_field": file.text_field,
        "records": file.records,
        "token_dtype": file.token_dtype,
        "columns": [[column.name, column.encoding, column.size] for column in file.columns],
        "tokenizer": tokenizer.fingerprint,
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _open(entry: Path, file: SourceFile, facts: FileFacts) -> tuple[Shard, list[tuple[str, str]]]:
    found = json.loads((entry / _FACTS).read_text(encoding="utf-8"))
    dtype = np.dtype(found["dtype"])
    path = entry / _TOKENS
    if path.stat().st_size != found["tokens"] * dtype.itemsize:
        msg = f"{path} is not as long as it was written"
        raise ValueError(msg)
    # An empty file cannot be mapped.
    tokens = np.memmap(path, dtype, mode="r") if found["tokens"] else np.empty(0, dtype)
    shard = Shard(
        file=file,
        facts=facts,
        documents=np.load(entry / _DOCUMENTS, mmap_mode="r", allow_pickle=False),
        tokens=tokens,
        records=found["records"],
        choices={int(place): choices for place, choices in found["choices"].items()},
    )
    return shard, [(message, hint) for message, hint in found["left_out"]]


def _build(
    entry: Path,
    file: SourceFile,
    facts: FileFacts,
    tokenizer: Tokenizer,
    *,
    budget: SkipBudget,
    on_bytes: OnBytes,
) -> None:
    with whole_directory(entry) as folder:
        with (folder / _TOKENS).open("wb") as stream:
            writer = _Writer(file, tokenizer, stream, budget)
            for batch in _batches(writer.read()):
                writer.add(batch)
                on_bytes(writer.position)
        # The entry's name promises the content that was hashed, to other jobs too.
        require_unchanged(file, facts)
        np.save(folder / _DOCUMENTS, writer.table(), allow_pickle=False)
        (folder / _FACTS).write_text(json.dumps(writer.facts()), encoding="utf-8")


class _Writer:
    """Encodes the documents of one file and writes the tokens of each distinct one."""

    def __init__(
        self, file: SourceFile, tokenizer: Tokenizer, stream: BinaryIO, budget: SkipBudget
    ) -> None:
        self.position = 0
        self._file, self._tokenizer, self._stream, self._budget = file, tokenizer, stream, budget
        in_texts = file.records == "text"
        self._dtype = np.dtype(token_dtype(tokenizer.vocabulary_size) if in_texts else np.int32)
        self._rows: list[tuple[int, int, int, int, bytes]] = []
        self._places: dict[bytes, tuple[int, int]] = {}
        self._written = 0
        self._records = 0
        self._choices: dict[int, Sequence[str]] = {}
        self._left_out: list[tuple[str, str]] = []

    def read(self) -> Iterator[Document]:
        return iterate_file(
            self._file,
            end_of_text=self._tokenizer.end_of_text,
            on_malformed=lambda _, error: self._leave_out(error),
            on_position=self._note_position,
        )

    def add(self, batch: Sequence[Document]) -> None:
        digests = [document.digest for document in batch]
        new: dict[bytes, Document] = {}
        for document, digest in zip(batch, digests, strict=True):
            if digest not in self._places:
                new.setdefault(digest, document)
        for (digest, _), ids in zip(new.items(), self._encoded(list(new.values())), strict=True):
            if ids is not None:
                self._places[digest] = (self._written, len(ids))
                self._stream.write(ids.astype(self._dtype, copy=False).tobytes())
                self._written += len(ids)
        for document, digest in zip(batch, digests, strict=True):
            self._records = document.index + 1
            if digest not in self._places:
                continue
            if document.choices:
                self._choices[len(self._rows)] = document.choices
            row = (document.index, *self._places[digest], document.byte_count, digest)
            self._rows.append(row)

    def _encoded(self, documents: Sequence[Document]) -> Iterator[TokenArray | Ids | None]:
        """Yield the tokens of each document, None for one that is left out."""
        if self._file.records == "text" and all(one.tokens is None for one in documents):
            yield from encode_texts(documents, self._tokenizer)
            return
        encode = encode_tokens if self._file.records == "text" else encode_conversation
        for document in documents:
            try:
                yield encode(document, self._tokenizer, self._file)
            except DatasetMalformedError as error:
                self._leave_out(error)
                yield None

    def table(self) -> npt.NDArray[np.void]:
        return np.array(self._rows, dtype=SHARD_DTYPE)

    def facts(self) -> dict[str, Any]:
        return {
            "dtype": self._dtype.str,
            "tokens": self._written,
            "records": self._records,
            "choices": self._choices,
            "left_out": self._left_out,
        }

    def _leave_out(self, error: DatasetMalformedError) -> None:
        self._budget.spend(error)
        self._left_out.append((error.message, error.hint))

    def _note_position(self, position: int) -> None:
        self.position = position


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document.text) if document.tokens is None else len(document.tokens)
        if len(batch) >= _BATCH_DOCUMENTS or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
