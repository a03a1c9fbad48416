"""One domain from its documents to files: split token arrays and a table of documents.

Memory: one batch of text, and per document some 300 bytes (digest, counts); tokens go through a
file. Packed order is the order of ranks, so that neither the order nor the names of files change
what is trained on.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tandem_engine.contracts.domains import DomainSpec
from tandem_engine.contracts.records import DomainStatistics
from tandem_engine.data.sources import Document, iterate_documents
from tandem_engine.data.splits import (
    DistinctDocuments,
    Split,
    SplitRule,
    content_digest,
    ranked,
    split_domain,
)
from tandem_engine.data.tokenise import TokenArray, Tokenizer, token_dtype

DOCUMENTS_FILE = "documents.npy"
DOCUMENT_DTYPE = np.dtype(
    [
        ("uri", "<i4"),  # position among the domain's sorted URIs
        ("document", "<i8"),  # 0-based record number in that file
        ("tokens", "<i8"),  # end-of-text included
        ("split", "u1"),
        ("duplicate", "?"),  # the text stands earlier in this domain
    ]
)
_BATCH_DOCUMENTS = 512
_BATCH_CHARACTERS = 1 << 22


@dataclass(slots=True)
class _Reading:
    """The documents of a domain in reading order; `distinct` maps each to a distinct text."""

    uris: list[int] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    distinct: list[int] = field(default_factory=list)
    is_first: list[bool] = field(default_factory=list)
    digests: dict[bytes, int] = field(default_factory=dict)
    bytes: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class BuiltDomain:
    """Statistics (natural_share is still 0) and the split of each distinct text."""

    statistics: DomainStatistics
    splits: Mapping[bytes, Split]


def split_file(split: Split) -> str:
    """Return the name of the file that holds a split's tokens."""
    return f"{split.name.lower()}.npy"


def build_domain(
    folder: Path,
    domain: DomainSpec,
    tokenizer: Tokenizer,
    *,
    rule: SplitRule,
    decided: Mapping[bytes, Split],
    on_documents: Callable[[int], None],
) -> BuiltDomain:
    """Read, tokenise, split and write one domain into the new folder `folder`.

    Args:
        folder: Created here; its parent must exist.
        domain: Where the documents are.
        tokenizer: Makes the tokens.
        rule: How to split.
        decided: Splits of texts of earlier domains, by digest.
        on_documents: Called after each batch with its number of documents.

    Raises:
        TandemError: as `iterate_documents` and `split_domain`.
    """
    folder.mkdir()
    scratch = folder / "reading.bin"
    reading = _read(scratch, domain, tokenizer, on_documents)
    documents = DistinctDocuments(
        digests=list(reading.digests),
        bytes=np.array(reading.bytes, dtype=np.int64),
        tokens=np.array(reading.tokens, dtype=np.int64),
    )
    splits = split_domain(domain.name, documents, rule, decided)
    dtype = np.dtype(token_dtype(tokenizer.vocabulary_size))
    all_tokens = np.memmap(scratch, dtype=dtype, mode="r")
    order = ranked(documents.digests, rule.seed)
    for split in Split:
        chosen = [position for position in order if splits[position] == split]
        _write_tokens(folder / split_file(split), all_tokens, documents.tokens, chosen)
    del all_tokens
    scratch.unlink()
    table = _table(reading, documents, splits)
    np.save(folder / DOCUMENTS_FILE, table, allow_pickle=False)
    return BuiltDomain(
        _statistics(domain.name, reading, documents, splits, rule),
        {
            digest: Split(split)
            for digest, split in zip(documents.digests, splits.tolist(), strict=True)
        },
    )


def _read(
    scratch: Path,
    domain: DomainSpec,
    tokenizer: Tokenizer,
    on_documents: Callable[[int], None],
) -> _Reading:
    reading = _Reading()
    places = {uri: place for place, uri in enumerate(sorted(domain.uris))}
    dtype = token_dtype(tokenizer.vocabulary_size)
    end_of_text = np.array([tokenizer.end_of_text], dtype=dtype).tobytes()
    with scratch.open("wb") as file:
        for batch in _batches(iterate_documents(domain)):
            new: list[str] = []
            for document in batch:
                digest = content_digest(document.text)
                first = digest not in reading.digests
                if first:
                    reading.digests[digest] = len(reading.digests)
                    reading.bytes.append(len(document.text.encode("utf-8")))
                    new.append(document.text)
                reading.uris.append(places[document.uri])
                reading.indices.append(document.index)
                reading.distinct.append(reading.digests[digest])
                reading.is_first.append(first)
            for tokens in tokenizer.encode_batch(new):
                file.write(tokens.astype(dtype, copy=False).tobytes())
                file.write(end_of_text)
                reading.tokens.append(len(tokens) + 1)
            on_documents(len(batch))
    return reading


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
    path: Path, all_tokens: TokenArray, counts: npt.NDArray[np.int64], chosen: Sequence[int]
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


def _table(
    reading: _Reading, documents: DistinctDocuments, splits: npt.NDArray[np.uint8]
) -> npt.NDArray[np.void]:
    distinct = np.array(reading.distinct, dtype=np.int64)
    table = np.empty(len(distinct), dtype=DOCUMENT_DTYPE)
    table["uri"] = reading.uris
    table["document"] = reading.indices
    table["tokens"] = documents.tokens[distinct]
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
    fingerprint = hashlib.sha256()
    for position in reading.distinct:
        fingerprint.update(documents.digests[position])
    return DomainStatistics(
        name=name,
        documents=len(documents.digests),
        duplicates_removed=len(reading.distinct) - len(documents.digests),
        bytes=int(documents.bytes.sum()),
        tokens=int(documents.tokens.sum()),
        train_documents=int((splits == Split.TRAIN).sum()),
        train_tokens=tokens[Split.TRAIN],
        validation_tokens=tokens[Split.VALIDATION],
        test_tokens=tokens[Split.TEST],
        train_sequences=(tokens[Split.TRAIN] - 1) // (rule.row_tokens - 1),
        natural_share=0.0,
        fingerprint=fingerprint.hexdigest(),
    )
