"""One source from its shards to the files of a job: split tokens and a table of documents.

Memory: per document some 300 bytes (digest, counts). Packed order is the order of ranks, so that
neither the order nor the names of files change what is trained on.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tandem_engine.contracts.records import DomainStatistics
from tandem_engine.contracts.sources import SourceSpec
from tandem_engine.contracts.targets import TargetSpec
from tandem_engine.data.examples import Ids, fitted, loss_tokens
from tandem_engine.data.shards import SHARD_DTYPE, Shard
from tandem_engine.data.skips import SkipBudget
from tandem_engine.data.splits import (
    DistinctDocuments,
    Split,
    SplitRule,
    ranked,
    split_domain,
    split_target,
)
from tandem_engine.inputs.documents import no_text

DOCUMENTS_FILE = "documents.npy"
CHOICES_FILE = "choices.json"
FILES_FILE = "files.json"
DOCUMENT_DTYPE = np.dtype(
    [
        ("uri", "<i4"),  # position among the domain's files
        ("document", "<i8"),  # 0-based record number in that file
        ("tokens", "<i8"),  # that bear loss; of a text all, end-of-text included
        ("all_tokens", "<i8"),
        ("split", "u1"),
        ("duplicate", "?"),  # the text stands earlier in this domain
    ]
)


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
    choices: list[Sequence[str]] = field(default_factory=list)
    places: list[tuple[int, int, int]] = field(default_factory=list)
    """Shard, first token and number of tokens before a conversation is cut, of distinct ones."""


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
    shards: Sequence[Shard],
    *,
    rule: SplitRule,
    decided: Mapping[bytes, Split],
    budget: SkipBudget,
) -> BuiltDomain:
    """Split one domain or target and write its parts into the new folder `folder`.

    Args:
        folder: Created here; its parent must exist.
        source: What the shards are of.
        shards: The tokens of its files, in the order of the files.
        rule: How to split.
        decided: Splits of documents of earlier sources, by digest.
        budget: What was left out of the files; conversations that are cut to nothing count too.

    Raises:
        DatasetEmptyError: no file holds a text.
        TandemError: as `split_domain` and `split_target`.
    """
    folder.mkdir()
    reading = _read(shards, rule, budget)
    if not reading.digests:
        raise no_text(source)
    documents = DistinctDocuments(
        digests=list(reading.digests),
        bytes=np.array(reading.byte_counts, dtype=np.int64),
        tokens=np.array(reading.tokens, dtype=np.int64),
    )
    split = split_target if isinstance(source, TargetSpec) else split_domain
    splits = split(source.name, documents, rule, decided)
    order = ranked(documents.digests, rule.seed)
    for part in Split:
        chosen = [position for position in order if splits[position] == part]
        _write_tokens(folder / split_file(part), shards, reading, chosen, rule)
        if not rule.packed:
            np.save(folder / ends_file(part), np.cumsum(documents.tokens[chosen]))
        if part == Split.TEST and any(reading.choices):
            choices = [reading.choices[position] for position in chosen]
            (folder / CHOICES_FILE).write_text(json.dumps(choices), encoding="utf-8")
    np.save(folder / DOCUMENTS_FILE, _table(reading, splits), allow_pickle=False)
    _write_files(folder / FILES_FILE, shards)
    return BuiltDomain(
        _statistics(source.name, reading, documents, splits, rule=rule, budget=budget),
        {
            digest: Split(split)
            for digest, split in zip(documents.digests, splits.tolist(), strict=True)
        },
    )


def _read(shards: Sequence[Shard], rule: SplitRule, budget: SkipBudget) -> _Reading:
    reading = _Reading()
    for number, shard in enumerate(shards):
        rows = zip(*(shard.documents[name].tolist() for name in SHARD_DTYPE.names), strict=True)  # type: ignore[union-attr]
        for row, (index, begin, count, size, digest) in enumerate(rows):
            distinct = reading.digests.get(digest)
            is_first = distinct is None
            if distinct is None:
                tokens, loss = count, count
                if not rule.packed:
                    try:
                        cut = fitted(_coded(shard, begin, count), rule.row_tokens)
                    except ValueError as error:
                        what = f"record {index + 1}: {error}"
                        budget.spend(shard.file.malformed(what, "remove the record"))
                        continue
                    tokens, loss = len(cut), loss_tokens(cut)
                distinct = reading.digests[digest] = len(reading.digests)
                reading.byte_counts.append(size)
                reading.tokens.append(tokens)
                reading.loss_tokens.append(loss)
                reading.choices.append(shard.choices.get(row, ()))
                reading.places.append((number, begin, count))
            reading.uris.append(number)
            reading.indices.append(index)
            reading.is_first.append(is_first)
            reading.distinct.append(distinct)
    return reading


def _write_tokens(
    path: Path,
    shards: Sequence[Shard],
    reading: _Reading,
    chosen: Sequence[int],
    rule: SplitRule,
) -> None:
    with path.open("wb") as file:
        # Written, not memory-mapped: a full disk must be an error here and not a bus error.
        np.lib.format.write_array_header_1_0(
            file,
            {
                "descr": np.lib.format.dtype_to_descr(shards[0].tokens.dtype),
                "fortran_order": False,
                "shape": (sum(reading.tokens[position] for position in chosen),),
            },
        )
        for position in chosen:
            number, begin, count = reading.places[position]
            shard = shards[number]
            if rule.packed:
                file.write(shard.tokens[begin : begin + count].tobytes())
            else:
                file.write(fitted(_coded(shard, begin, count), rule.row_tokens).tobytes())


def _coded(shard: Shard, begin: int, count: int) -> Ids:
    return shard.tokens[begin : begin + count].astype(np.int32, copy=False)


def _write_files(path: Path, shards: Sequence[Shard]) -> None:
    files = [
        {
            "uri": shard.file.uri,
            "format": shard.file.format,
            "compression": shard.file.compression,
            "fingerprint": shard.facts.fingerprint,
            "bytes": shard.facts.size,
            "records": shard.records,
        }
        for shard in shards
    ]
    path.write_text(json.dumps(files), encoding="utf-8")


def _table(reading: _Reading, splits: npt.NDArray[np.uint8]) -> npt.NDArray[np.void]:
    distinct = np.array(reading.distinct, dtype=np.int64)
    table = np.empty(len(distinct), dtype=DOCUMENT_DTYPE)
    table["uri"] = reading.uris
    table["document"] = reading.indices
    table["tokens"] = np.array(reading.loss_tokens, dtype=np.int64)[distinct]
    table["all_tokens"] = np.array(reading.tokens, dtype=np.int64)[distinct]
    table["split"] = splits[distinct]
    table["duplicate"] = ~np.array(reading.is_first, dtype=np.bool_)
    return table


def _statistics(
    name: str,
    reading: _Reading,
    documents: DistinctDocuments,
    splits: npt.NDArray[np.uint8],
    *,
    rule: SplitRule,
    budget: SkipBudget,
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
        malformed_skipped=budget.count,
        first_skipped=budget.first,
    )
