"""All domains of a job, read, split, packed and kept on disk for the next attempt and other jobs.

The cache holds `shards` (tokens per file, `data.shards`) and `corpora`: folders named by the sha256
of all that their content depends on: the shards, domain names, fractions, seed and context length.
An entry is whole or absent, built by one process at a time, and read through memory maps. Building
takes memory in proportion to the number of documents (some 300 bytes each, over all domains) plus
one batch of text; the largest single document must fit into memory.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tandem_engine.contracts.records import DomainStatistics, PhaseRecord, ProgressRecord
from tandem_engine.contracts.sources import SourceSpec
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.contracts.targets import TargetSpec
from tandem_engine.data.atomic import exclusive_lock, whole_directory
from tandem_engine.data.build import (
    CHOICES_FILE,
    DOCUMENTS_FILE,
    FILES_FILE,
    build_source,
    ends_file,
    split_file,
)
from tandem_engine.data.examples import ExampleSplit
from tandem_engine.data.fingerprints import FileFacts, inspect_file
from tandem_engine.data.own_tokenizer import own_tokenizer
from tandem_engine.data.packing import PackedSplit
from tandem_engine.data.shards import Shard, load_shard, shard_key
from tandem_engine.data.skips import SkipBudget
from tandem_engine.data.splits import Split, SplitRule
from tandem_engine.data.tokenise import HuggingFaceTokenizer, Tokenizer, load_tokenizer
from tandem_engine.inputs.access import EVERYWHERE, Access
from tandem_engine.inputs.files import SourceFile
from tandem_engine.inputs.listing import source_files

OnProgress = Callable[[ProgressRecord | PhaseRecord], None]

_LAYOUT_VERSION = 4
_STATISTICS_FILE = "statistics.json"


RowSplit = PackedSplit | ExampleSplit


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file that a domain was read from; record numbers are below `records`."""

    uri: str
    format: str
    compression: str | None
    fingerprint: str
    bytes: int | None
    records: int


@dataclass(frozen=True, slots=True)
class _Source:
    spec: SourceSpec
    files: list[SourceFile]
    facts: list[FileFacts]


@dataclass(frozen=True, slots=True)
class _Tokenised:
    spec: SourceSpec
    shards: list[Shard]
    budget: SkipBudget


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
    files: list[FileRecord] = field(default_factory=list)
    """The files of `source_uris`, one to one; empty where a corpus was not loaded from files."""
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


def load_corpus(
    spec: JobSpec, cache_dir: Path, on_progress: OnProgress, access: Access = EVERYWHERE
) -> Corpus:
    """Return the corpus of a job, from the cache or built into it.

    Args:
        spec: A resolved specification.
        cache_dir: Folder that jobs may share; created when missing.
        on_progress: Told about the phases `reading` (units: files) and, when the tokens are not
            in the cache, `tokenizing` (units: bytes as they are stored). What it raises ends the
            loading cleanly.
        access: Where data may come from.

    Raises:
        TandemError: a file, a record, a domain, the tokenizer or the disk is at fault; the error
            names it.
    """
    sources = _inspect(spec, on_progress, access)
    tokenizer = _tokenizer(spec, cache_dir / "tokenizers", sources)
    rule = SplitRule.of(spec)
    corpora = cache_dir / "corpora"
    entry = corpora / _key(tokenizer, rule, sources)
    with exclusive_lock(corpora / f".{entry.name}.lock"):
        try:
            opened = _open(entry, spec, tokenizer)
        except (OSError, ValueError, KeyError):  # not there yet, or damaged since
            shards = _load_shards(cache_dir / "shards", sources, tokenizer, on_progress)
            _build(entry, shards, rule)
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


def _tokenizer(spec: JobSpec, folder: Path, sources: Sequence[_Source]) -> Tokenizer:
    if spec.tokenizer.kind != "bpe":
        return load_tokenizer(spec.tokenizer)
    files = [
        pair
        for source in sources
        if not isinstance(source.spec, TargetSpec)
        for pair in zip(source.files, source.facts, strict=True)
    ]
    return HuggingFaceTokenizer(str(own_tokenizer(folder, spec.tokenizer, files)))


def _inspect(spec: JobSpec, on_progress: OnProgress, access: Access) -> list[_Source]:
    """Return each source with its files and their facts."""
    found = [_Source(source, source_files(source, access), []) for source in _sources(spec)]
    total = sum(len(source.files) for source in found)
    on_progress(PhaseRecord(phase="reading", total_units=total))
    done = 0
    for source in found:
        for file in source.files:
            source.facts.append(inspect_file(file))
            done += 1
            on_progress(
                ProgressRecord(
                    phase="reading", done_units=done, total_units=total, message=source.spec.name
                )
            )
    return found


def _key(tokenizer: Tokenizer, rule: SplitRule, sources: Sequence[_Source]) -> str:
    described = {
        "layout": _LAYOUT_VERSION,
        "tokenizer": tokenizer.fingerprint,
        "rule": asdict(rule),
        "sources": [
            {
                "section": source.spec.section,
                "name": source.spec.name,
                "skip_malformed": source.spec.skip_malformed,
                "files": [
                    [shard_key(file, facts, tokenizer)]
                    for file, facts in zip(source.files, source.facts, strict=True)
                ],
            }
            for source in sources
        ],
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _load_shards(
    folder: Path, sources: Sequence[_Source], tokenizer: Tokenizer, on_progress: OnProgress
) -> list[_Tokenised]:
    sizes = [facts.size for source in sources for facts in source.facts]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    on_progress(PhaseRecord(phase="tokenizing", total_units=total))
    before = 0
    tokenised = []
    for source in sources:
        budget = SkipBudget(source.spec)
        shards = []
        for file, facts in zip(source.files, source.facts, strict=True):

            def tell(done: int, name: str = source.spec.name, before: int = before) -> None:
                on_progress(
                    ProgressRecord(
                        phase="tokenizing",
                        done_units=before + done,
                        total_units=total,
                        message=name,
                    )
                )

            shards.append(load_shard(folder, file, facts, tokenizer, budget=budget, on_bytes=tell))
            before += facts.size or 0
        tokenised.append(_Tokenised(source.spec, shards, budget))
    return tokenised


def _build(entry: Path, sources: Sequence[_Tokenised], rule: SplitRule) -> None:
    decided: dict[bytes, Split] = {}
    built: list[DomainStatistics] = []
    with whole_directory(entry) as folder:
        for place, source in enumerate(sources):
            result = build_source(
                folder / f"{place:04d}",
                source.spec,
                source.shards,
                rule=rule,
                decided=decided,
                budget=source.budget,
            )
            decided.update(result.splits)
            built.append(result.statistics)
        targets = sum(isinstance(source.spec, TargetSpec) for source in sources)
        statistics = [*built[:targets], *_with_natural_shares(built[targets:])]
        text = json.dumps([item.model_dump() for item in statistics], sort_keys=True)
        (folder / _STATISTICS_FILE).write_text(text, encoding="utf-8")


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
    listed = json.loads((folder / FILES_FILE).read_text(encoding="utf-8"))
    files = [FileRecord(**file) for file in listed]
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
        source_uris=[file.uri for file in files],
        statistics=statistics,
        train=rows[Split.TRAIN],
        validation=rows[Split.VALIDATION],
        test=rows[Split.TEST],
        documents=_array(folder / DOCUMENTS_FILE),
        files=files,
        weight=weight,
    )


def _array(path: Path) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _choices(folder: Path) -> list[list[str]]:
    path = folder / CHOICES_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
