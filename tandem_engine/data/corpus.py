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
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tandem_engine.contracts.domains import DomainSpec
from tandem_engine.contracts.records import DomainStatistics, PhaseRecord, ProgressRecord
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.atomic import exclusive_lock, whole_directory
from tandem_engine.data.build import DOCUMENTS_FILE, build_domain, split_file
from tandem_engine.data.fingerprints import FileFacts, inspect_file, require_unchanged
from tandem_engine.data.packing import PackedSplit
from tandem_engine.data.sources import SourceFile, source_files
from tandem_engine.data.splits import Split, SplitRule
from tandem_engine.data.tokenise import Tokenizer, load_tokenizer

OnProgress = Callable[[ProgressRecord | PhaseRecord], None]

_LAYOUT_VERSION = 1
_STATISTICS_FILE = "statistics.json"


@dataclass(frozen=True, slots=True)
class Domain:
    """One domain, ready to draw rows from.

    `documents` is a structured array (`build.DOCUMENT_DTYPE`) with one element per document that
    is not blank, duplicates included, in reading order; its `uri` is a position in `source_uris`.
    """

    name: str
    source_uris: list[str]
    statistics: DomainStatistics
    train: PackedSplit
    validation: PackedSplit
    test: PackedSplit
    documents: npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Corpus:
    """The domains in the order of their names, and the tokenizer's facts."""

    domains: list[Domain]
    context_length: int
    tokenizer_name: str
    tokenizer_fingerprint: str
    vocabulary_size: int
    end_of_text: int


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
            domains = _open(entry, spec)
        except (OSError, ValueError):  # not there yet, or damaged since
            _build(entry, spec, tokenizer, rule=rule, facts=facts, on_progress=on_progress)
            domains = _open(entry, spec)
    return Corpus(
        domains=domains,
        context_length=spec.training.context_length,
        tokenizer_name=tokenizer.name,
        tokenizer_fingerprint=tokenizer.fingerprint,
        vocabulary_size=tokenizer.vocabulary_size,
        end_of_text=tokenizer.end_of_text,
    )


def _inspect(spec: JobSpec, on_progress: OnProgress) -> list[dict[str, FileFacts]]:
    """Return, per domain, the facts of each file by URI."""
    total = sum(len(domain.uris) for domain in spec.domains)
    on_progress(PhaseRecord(phase="reading", total_units=total))
    done = 0
    facts: list[dict[str, FileFacts]] = []
    for domain in spec.domains:
        of_domain: dict[str, FileFacts] = {}
        for file in source_files(domain):
            of_domain[file.uri] = inspect_file(file)
            done += 1
            on_progress(
                ProgressRecord(
                    phase="reading", done_units=done, total_units=total, message=domain.name
                )
            )
        facts.append(of_domain)
    return facts


def _key(
    spec: JobSpec, tokenizer: Tokenizer, rule: SplitRule, facts: list[dict[str, FileFacts]]
) -> str:
    described = {
        "layout": _LAYOUT_VERSION,
        "tokenizer": tokenizer.fingerprint,
        "rule": asdict(rule),
        "domains": [
            {
                "name": domain.name,
                "text_field": domain.text_field,
                "files": [
                    [file.format, of_domain[file.uri].sha256] for file in source_files(domain)
                ],
            }
            for domain, of_domain in zip(spec.domains, facts, strict=True)
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
    total = sum(fact.records for of_domain in facts for fact in of_domain.values())
    on_progress(PhaseRecord(phase="tokenizing", total_units=total))
    done = 0
    decided: dict[bytes, Split] = {}
    built: list[DomainStatistics] = []
    with whole_directory(entry) as folder:
        for place, (domain, of_domain) in enumerate(zip(spec.domains, facts, strict=True)):

            def count(documents: int, name: str = domain.name) -> None:
                nonlocal done
                done += documents
                on_progress(
                    ProgressRecord(
                        phase="tokenizing", done_units=done, total_units=total, message=name
                    )
                )

            result = build_domain(
                folder / f"{place:04d}",
                domain,
                tokenizer,
                rule=rule,
                decided=decided,
                on_documents=count,
            )
            decided.update(result.splits)
            built.append(result.statistics)
            for file in source_files(domain):
                _require_unchanged(file, of_domain)
        statistics = _with_natural_shares(built)
        text = json.dumps([item.model_dump() for item in statistics], sort_keys=True)
        (folder / _STATISTICS_FILE).write_text(text, encoding="utf-8")


def _require_unchanged(file: SourceFile, facts: dict[str, FileFacts]) -> None:
    # The entry's name promises the content that was hashed, to other jobs too.
    require_unchanged(file, facts[file.uri])


def _with_natural_shares(statistics: list[DomainStatistics]) -> list[DomainStatistics]:
    train_tokens = sum(item.train_tokens for item in statistics)
    return [item.evolve(natural_share=item.train_tokens / train_tokens) for item in statistics]


def _open(entry: Path, spec: JobSpec) -> list[Domain]:
    text = (entry / _STATISTICS_FILE).read_text(encoding="utf-8")
    statistics = [DomainStatistics.model_validate(item) for item in json.loads(text)]
    return [
        _open_domain(entry / f"{place:04d}", domain, spec.training.context_length, of_domain)
        for place, (domain, of_domain) in enumerate(zip(spec.domains, statistics, strict=True))
    ]


def _open_domain(
    folder: Path, domain: DomainSpec, context_length: int, statistics: DomainStatistics
) -> Domain:
    packed = {
        split: PackedSplit(
            np.load(folder / split_file(split), mmap_mode="r", allow_pickle=False), context_length
        )
        for split in Split
    }
    return Domain(
        name=domain.name,
        source_uris=sorted(domain.uris),
        statistics=statistics,
        train=packed[Split.TRAIN],
        validation=packed[Split.VALIDATION],
        test=packed[Split.TEST],
        documents=np.load(folder / DOCUMENTS_FILE, mmap_mode="r", allow_pickle=False),
    )
