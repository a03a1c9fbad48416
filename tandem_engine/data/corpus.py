"""All domains of a job, read, split, packed and kept on disk for the next attempt.

A cache entry is a folder named by the sha256 of all that its content depends on: the files'
content, formats and text fields, domain names, tokenizer, fractions, seed and context length. It
is whole or absent, built by one process at a time, and read through memory maps. Building takes
memory in proportion to the number of documents (some 300 bytes each, over all domains) plus one
batch of text; the largest single document must fit into memory.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tandem_engine.contracts.records import DomainStatistics, PhaseRecord, ProgressRecord
from tandem_engine.contracts.sources import SourceSpec
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.atomic import exclusive_lock, whole_directory
from tandem_engine.data.build import (
    CHOICES_FILE,
    DOCUMENTS_FILE,
    build_source,
    ends_file,
    split_file,
)
from tandem_engine.data.examples import ExampleSplit
from tandem_engine.data.fingerprints import FileFacts, inspect_file, require_unchanged
from tandem_engine.data.packing import PackedSplit
from tandem_engine.data.sources import SourceFile, source_files
from tandem_engine.data.splits import Split, SplitRule
from tandem_engine.data.tokenise import Tokenizer, load_tokenizer

OnProgress = Callable[[ProgressRecord | PhaseRecord], None]

_LAYOUT_VERSION = 2
_STATISTICS_FILE = "statistics.json"


RowSplit = PackedSplit | ExampleSplit


@dataclass(frozen=True, slots=True)
class Domain:
    """One domain or target, ready to draw rows from; a target's train part is empty.

    `documents` is a structured array (`build.DOCUMENT_DTYPE`) with one element per document that
    is not blank, duplicates included, in reading order; its `uri` is a position in `source_uris`.
    """

    name: str
    source_uris: list[str]
    statistics: DomainStatistics
    train: RowSplit
    validation: RowSplit
    test: RowSplit
    documents: npt.NDArray[np.void]
    weight: float = 1.0
    """Weight of a target's loss; of a domain 1."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Domains and targets in the order of their names, and the tokenizer's facts."""

    domains: list[Domain]
    context_length: int
    tokenizer_name: str
    tokenizer_fingerprint: str
    vocabulary_size: int
    end_of_text: int
    targets: list[Domain] = field(default_factory=list)
    tokenizer: Tokenizer | None = None
    """None in a corpus that was not loaded from files."""

    @property
    def packed(self) -> bool:
        """Tell if rows are cut out of texts; else each is a conversation."""
        return isinstance(self.domains[0].train, PackedSplit)

    @property
    def judges(self) -> list[Domain]:
        """What w validates on and stage two tests on: the targets, or else the domains."""
        return self.targets or self.domains


def load_corpus(spec: JobSpec, cache_dir: Path, on_progress: OnProgress) -> Corpus:
    """Return the corpus of a job, from the cache or built into it.

    Args:
        spec: A resolved specification.
        cache_dir: Folder that jobs may share; created when missing.
        on_progress: Told about the phases `reading` (units: files) and, when the tokens are not
            in the cache, `tokenizing` (units: records). What it raises ends the loading cleanly.

    Raises:
        TandemError: a file, a record, a domain, the tokenizer or the disk is at fault; the error
            names it.
    """
    tokenizer = load_tokenizer(spec.tokenizer)
    rule = SplitRule.of(spec)
    facts = _inspect(spec, on_progress)
    entry = cache_dir / _key(spec, tokenizer, rule, facts)
    with exclusive_lock(cache_dir / f".{entry.name}.lock"):
        try:
            opened = _open(entry, spec, tokenizer)
        except (OSError, ValueError):  # not there yet, or damaged since
            _build(entry, spec, tokenizer, rule=rule, facts=facts, on_progress=on_progress)
            opened = _open(entry, spec, tokenizer)
    return Corpus(
        domains=opened[len(spec.targets) :],
        context_length=spec.training.context_length,
        tokenizer_name=tokenizer.name,
        tokenizer_fingerprint=tokenizer.fingerprint,
        vocabulary_size=tokenizer.vocabulary_size,
        end_of_text=tokenizer.end_of_text,
        targets=opened[: len(spec.targets)],
        tokenizer=tokenizer,
    )


def _sources(spec: JobSpec) -> list[SourceSpec]:
    # Targets first: what they hold is decided before a domain could train on it.
    return [*spec.targets, *spec.domains]


def _inspect(spec: JobSpec, on_progress: OnProgress) -> list[dict[str, FileFacts]]:
    """Return, per source, the facts of each file by URI."""
    total = sum(len(source.uris) for source in _sources(spec))
    on_progress(PhaseRecord(phase="reading", total_units=total))
    done = 0
    facts: list[dict[str, FileFacts]] = []
    for source in _sources(spec):
        of_source: dict[str, FileFacts] = {}
        for file in source_files(source):
            of_source[file.uri] = inspect_file(file)
            done += 1
            on_progress(
                ProgressRecord(
                    phase="reading", done_units=done, total_units=total, message=source.name
                )
            )
        facts.append(of_source)
    return facts


def _key(
    spec: JobSpec, tokenizer: Tokenizer, rule: SplitRule, facts: list[dict[str, FileFacts]]
) -> str:
    described = {
        "layout": _LAYOUT_VERSION,
        "tokenizer": tokenizer.fingerprint,
        "rule": asdict(rule),
        "sources": [
            {
                "section": source.section,
                "name": source.name,
                "text_field": source.text_field,
                "records": source.records,
                "files": [
                    [file.format, of_source[file.uri].sha256] for file in source_files(source)
                ],
            }
            for source, of_source in zip(_sources(spec), facts, strict=True)
        ],
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _build(
    entry: Path,
    spec: JobSpec,
    tokenizer: Tokenizer,
    *,
    rule: SplitRule,
    facts: list[dict[str, FileFacts]],
    on_progress: OnProgress,
) -> None:
    total = sum(fact.records for of_source in facts for fact in of_source.values())
    on_progress(PhaseRecord(phase="tokenizing", total_units=total))
    done = 0
    decided: dict[bytes, Split] = {}
    built: list[DomainStatistics] = []
    with whole_directory(entry) as folder:
        for place, (source, of_source) in enumerate(zip(_sources(spec), facts, strict=True)):

            def count(documents: int, name: str = source.name) -> None:
                nonlocal done
                done += documents
                on_progress(
                    ProgressRecord(
                        phase="tokenizing", done_units=done, total_units=total, message=name
                    )
                )

            result = build_source(
                folder / f"{place:04d}",
                source,
                tokenizer,
                rule=rule,
                decided=decided,
                on_documents=count,
            )
            decided.update(result.splits)
            built.append(result.statistics)
            for file in source_files(source):
                _require_unchanged(file, of_source)
        targets = len(spec.targets)
        statistics = [*built[:targets], *_with_natural_shares(built[targets:])]
        text = json.dumps([item.model_dump() for item in statistics], sort_keys=True)
        (folder / _STATISTICS_FILE).write_text(text, encoding="utf-8")


def _require_unchanged(file: SourceFile, facts: dict[str, FileFacts]) -> None:
    # The entry's name promises the content that was hashed, to other jobs too.
    require_unchanged(file, facts[file.uri])


def _with_natural_shares(statistics: list[DomainStatistics]) -> list[DomainStatistics]:
    total = sum(item.train_loss_tokens for item in statistics)
    return [item.evolve(natural_share=item.train_loss_tokens / total) for item in statistics]


def _open(entry: Path, spec: JobSpec, tokenizer: Tokenizer) -> list[Domain]:
    """Return targets and domains, in this order."""
    text = (entry / _STATISTICS_FILE).read_text(encoding="utf-8")
    statistics = [DomainStatistics.model_validate(item) for item in json.loads(text)]
    weights = [*(target.weight for target in spec.targets), *(1.0 for _ in spec.domains)]
    described = zip(_sources(spec), statistics, weights, strict=True)
    return [
        _open_source(
            entry / f"{place:04d}",
            source,
            of_source,
            weight=weight,
            context_length=spec.training.context_length,
            padding=tokenizer.end_of_text,
        )
        for place, (source, of_source, weight) in enumerate(described)
    ]


def _open_source(
    folder: Path,
    source: SourceSpec,
    statistics: DomainStatistics,
    *,
    weight: float,
    context_length: int,
    padding: int,
) -> Domain:
    rows: dict[Split, RowSplit] = {}
    for split in Split:
        tokens = _array(folder / split_file(split))
        if source.records == "text":
            rows[split] = PackedSplit(tokens, context_length)
        else:
            ends = _array(folder / ends_file(split))
            choices = _choices(folder) if split == Split.TEST else []
            rows[split] = ExampleSplit(tokens, ends, context_length, padding, choices)
    return Domain(
        name=source.name,
        source_uris=sorted(source.uris),
        statistics=statistics,
        train=rows[Split.TRAIN],
        validation=rows[Split.VALIDATION],
        test=rows[Split.TEST],
        documents=_array(folder / DOCUMENTS_FILE),
        weight=weight,
    )


def _array(path: Path) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _choices(folder: Path) -> list[list[str]]:
    path = folder / CHOICES_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
