"""One source from its documents to files: split token arrays and a table of documents.

Memory: one batch of text, and per document some 300 bytes (digest, counts); tokens go through a
file. Packed order is the order of ranks, so that neither the order nor the names of files change
what is trained on.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tandem_engine.contracts.records import DomainStatistics
from tandem_engine.contracts.sources import SourceSpec
from tandem_engine.contracts.targets import TargetSpec
from tandem_engine.data.encode import encode_conversations, encode_texts
from tandem_engine.data.examples import Ids, loss_tokens
from tandem_engine.data.sources import Document, iterate_documents
from tandem_engine.data.splits import (
    DistinctDocuments,
    Split,
    SplitRule,
    content_digest,
    ranked,
    split_domain,
    split_target,
)
from tandem_engine.data.tokenise import TokenArray, Tokenizer, token_dtype

DOCUMENTS_FILE = "documents.npy"
CHOICES_FILE = "choices.json"
DOCUMENT_DTYPE = np.dtype(
    [
        ("uri", "<i4"),  # position among the domain's sorted URIs
        ("document", "<i8"),  # 0-based record number in that file
        ("tokens", "<i8"),  # that bear loss; of a text all, end-of-text included
        ("split", "u1"),
        ("duplicate", "?"),  # the text stands earlier in this domain
    ]
)
_BATCH_DOCUMENTS = 512
_BATCH_CHARACTERS = 1 << 22


@dataclass(slots=True)
class _Reading:
    """The documents of a source in reading order; `distinct` maps each to a distinct one."""

    uris: list[int] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    distinct: list[int] = field(default_factory=list)
    is_first: list[bool] = field(default_factory=list)
    digests: dict[bytes, int] = field(default_factory=dict)
    byte_counts: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    loss_tokens: list[int] = field(default_factory=list)
    choices: list[tuple[str, ...]] = field(default_factory=list)
    _seen: set[int] = field(default_factory=set)

    def add(self, document: Document, place: int, digest: bytes) -> None:
        """Note a document whose distinct text was encoded."""
        self.uris.append(place)
        self.indices.append(document.index)
        self.is_first.append(self.digests[digest] not in self._seen)
        self._seen.add(self.digests[digest])
        self.distinct.append(self.digests[digest])


@dataclass(frozen=True, slots=True)
class BuiltDomain:
    """Statistics (natural_share is still 0) and the split of each distinct text."""

    statistics: DomainStatistics
    splits: Mapping[bytes, Split]


def split_file(split: Split) -> str:
    """Return the name of the file that holds a split's tokens."""
    return f"{split.name.lower()}.npy"


def ends_file(split: Split) -> str:
    """Return the name of the file that holds where a split's conversations end."""
    return f"{split.name.lower()}.ends.npy"


def build_source(
    folder: Path,
    source: SourceSpec,
    tokenizer: Tokenizer,
    *,
    rule: SplitRule,
    decided: Mapping[bytes, Split],
    on_documents: Callable[[int], None],
) -> BuiltDomain:
    """Read, tokenise, split and write one domain or target into the new folder `folder`.

    Args:
        folder: Created here; its parent must exist.
        source: Where the documents are.
        tokenizer: Makes the tokens.
        rule: How to split.
        decided: Splits of texts of earlier sources, by digest.
        on_documents: Called after each batch with its number of documents.

    Raises:
        TandemError: as `iterate_documents`, `split_domain` and `split_target`.
    """
    folder.mkdir()
    scratch = folder / "reading.bin"
    dtype = np.dtype(token_dtype(tokenizer.vocabulary_size) if rule.packed else np.int32)
    reading = _read(scratch, source, tokenizer, rule, on_documents)
    documents = DistinctDocuments(
        digests=list(reading.digests),
        bytes=np.array(reading.byte_counts, dtype=np.int64),
        tokens=np.array(reading.tokens, dtype=np.int64),
    )
    split = split_target if isinstance(source, TargetSpec) else split_domain
    splits = split(source.name, documents, rule, decided)
    all_tokens = np.memmap(scratch, dtype=dtype, mode="r")
    order = ranked(documents.digests, rule.seed)
    for part in Split:
        chosen = [position for position in order if splits[position] == part]
        _write_tokens(folder / split_file(part), all_tokens, documents.tokens, chosen)
        if not rule.packed:
            np.save(folder / ends_file(part), np.cumsum(documents.tokens[chosen]))
        if part == Split.TEST and any(reading.choices):
            choices = [reading.choices[position] for position in chosen]
            (folder / CHOICES_FILE).write_text(json.dumps(choices), encoding="utf-8")
    del all_tokens
    scratch.unlink()
    np.save(folder / DOCUMENTS_FILE, _table(reading, splits), allow_pickle=False)
    return BuiltDomain(
        _statistics(source.name, reading, documents, splits, rule),
        {
            digest: Split(split)
            for digest, split in zip(documents.digests, splits.tolist(), strict=True)
        },
    )


def _read(
    scratch: Path,
    source: SourceSpec,
    tokenizer: Tokenizer,
    rule: SplitRule,
    on_documents: Callable[[int], None],
) -> _Reading:
    reading = _Reading()
    places = {uri: place for place, uri in enumerate(sorted(source.uris))}
    with scratch.open("wb") as file:
        for batch in _batches(iterate_documents(source)):
            digests = [content_digest(document.identity) for document in batch]
            new: dict[bytes, Document] = {}
            for document, digest in zip(batch, digests, strict=True):
                if digest not in reading.digests:
                    new.setdefault(digest, document)
            encoded = _encode(list(new.values()), tokenizer, source, rule)
            for (digest, document), ids in zip(new.items(), encoded, strict=True):
                reading.digests[digest] = len(reading.digests)
                reading.byte_counts.append(len(document.text.encode("utf-8")))
                reading.tokens.append(len(ids))
                reading.loss_tokens.append(len(ids) if rule.packed else loss_tokens(ids))
                reading.choices.append(document.choices)
                file.write(ids.tobytes())
            for document, digest in zip(batch, digests, strict=True):
                reading.add(document, places[document.uri], digest)
            on_documents(len(batch))
    return reading


def _encode(
    documents: Sequence[Document], tokenizer: Tokenizer, source: SourceSpec, rule: SplitRule
) -> Sequence[TokenArray | Ids]:
    if rule.packed:
        return encode_texts(documents, tokenizer)
    where = f"{source.section}.{source.name}.uris"
    return encode_conversations(documents, tokenizer, rule.row_tokens, field=where)


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document.text)
        if len(batch) >= _BATCH_DOCUMENTS or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _write_tokens(
    path: Path, all_tokens: TokenArray | Ids, counts: npt.NDArray[np.int64], chosen: Sequence[int]
) -> None:
    ends = np.cumsum(counts)
    with path.open("wb") as file:
        # Written, not memory-mapped: a full disk must be an error here and not a bus error.
        np.lib.format.write_array_header_1_0(
            file,
            {
                "descr": np.lib.format.dtype_to_descr(all_tokens.dtype),
                "fortran_order": False,
                "shape": (int(counts[list(chosen)].sum()),),
            },
        )
        for position in chosen:
            end = int(ends[position])
            file.write(all_tokens[end - int(counts[position]) : end].tobytes())


def _table(reading: _Reading, splits: npt.NDArray[np.uint8]) -> npt.NDArray[np.void]:
    distinct = np.array(reading.distinct, dtype=np.int64)
    table = np.empty(len(distinct), dtype=DOCUMENT_DTYPE)
    table["uri"] = reading.uris
    table["document"] = reading.indices
    table["tokens"] = np.array(reading.loss_tokens, dtype=np.int64)[distinct]
    table["split"] = splits[distinct]
    table["duplicate"] = ~np.array(reading.is_first, dtype=np.bool_)
    return table


def _statistics(
    name: str,
    reading: _Reading,
    documents: DistinctDocuments,
    splits: npt.NDArray[np.uint8],
    rule: SplitRule,
) -> DomainStatistics:
    tokens = {split: int(documents.tokens[splits == split].sum()) for split in Split}
    in_train = splits == Split.TRAIN
    sequences = int(in_train.sum())
    if rule.packed:
        sequences = max(0, (tokens[Split.TRAIN] - 1) // (rule.row_tokens - 1))
    fingerprint = hashlib.sha256()
    for position in reading.distinct:
        fingerprint.update(documents.digests[position])
    return DomainStatistics(
        name=name,
        documents=len(documents.digests),
        duplicates_removed=len(reading.distinct) - len(documents.digests),
        bytes=int(documents.bytes.sum()),
        tokens=int(documents.tokens.sum()),
        train_documents=int(in_train.sum()),
        train_tokens=tokens[Split.TRAIN],
        validation_tokens=tokens[Split.VALIDATION],
        test_tokens=tokens[Split.TEST],
        train_sequences=sequences,
        train_loss_tokens=int(np.array(reading.loss_tokens, dtype=np.int64)[in_train].sum()),
        natural_share=0.0,
        fingerprint=fingerprint.hexdigest(),
    )
