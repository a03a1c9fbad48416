"""The corpora of the quality benchmark: small domains to train on, larger files to judge by.

Every domain has its train file and a held file, whose parts are validation (what w sees) and test
(what nothing sees). The held files are of equal size: a test on the few kilobytes that a small
domain could spare would be mostly noise. `prose` is the corpus on which settings were chosen;
`software` was held back until they were fixed.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.quality import software_texts as software
from demo.corpus import packaged_texts, python_texts
from demo.corpus.texts import CorpusError, Document, shuffled
from tandem_engine.files import write_text

SEED = 20261123
HELD_BYTES = 48_000
POOL_BYTES = 600_000
"""Text that is read of a source at most; the documents are a seeded choice of it."""
PIECE_BYTES = 600
"""Longer documents are cut to pieces of about this size: small domains need several documents."""


@dataclass(frozen=True, slots=True)
class Source:
    """A domain: where its text comes from and how much of it is for training."""

    train_bytes: int
    read: Callable[[], Iterator[Document]]


CORPORA: Mapping[str, Mapping[str, Source]] = {
    "prose": {
        "literature": Source(270_000, packaged_texts.literature),
        "code": Source(135_000, python_texts.code),
        "encyclopaedia": Source(66_000, packaged_texts.encyclopaedia),
        "dialogue": Source(30_000, packaged_texts.dialogue),
        "manual": Source(18_000, python_texts.manual),
        "legal": Source(12_000, python_texts.legal),
        "mathematics": Source(6_000, python_texts.mathematics),
    },
    "software": {
        "headers": Source(240_000, software.headers),
        "models": Source(144_000, software.models),
        "docstrings": Source(72_000, software.docstrings),
        "cython": Source(36_000, software.cython),
        "operators": Source(21_000, software.operators),
        "build_scripts": Source(12_000, software.build_scripts),
        "queries": Source(6_000, software.queries),
    },
}


@dataclass(frozen=True, slots=True)
class DomainFiles:
    """The two JSON-lines files of a domain."""

    train: Path
    held: Path


def build(name: str, directory: Path) -> dict[str, DomainFiles]:
    """Write the files of corpus `name` to `directory`, unless they are there; return their paths.

    Raises:
        CorpusError: a package is missing or carries less text than a domain needs.
    """
    directory.mkdir(parents=True, exist_ok=True)
    files = {}
    for domain, source in CORPORA[name].items():
        paths = DomainFiles(directory / f"{domain}.train.jsonl", directory / f"{domain}.held.jsonl")
        files[domain] = paths
        if paths.train.exists() and paths.held.exists():
            continue
        documents = iter(shuffled(_pool(source), SEED))
        # The held file first and by whole documents: no document has pieces on both sides.
        held = _take(documents, HELD_BYTES, domain)
        write_text(paths.held, _json_lines(held))
        write_text(paths.train, _json_lines(_take(documents, source.train_bytes, domain)))
    return files


def _pool(source: Source) -> Iterator[Document]:
    size = 0
    for document in source.read():
        if size >= POOL_BYTES:
            return
        size += len(document.text.encode())
        yield document


def _take(documents: Iterator[Document], size: int, domain: str) -> list[Document]:
    pieces: list[Document] = []
    total = 0
    while total < size:
        document = next(documents, None)
        if document is None:
            raise CorpusError(
                f"domain {domain!r} has {total} of {size} bytes: its packages carry less text than "
                "expected; install the versions that pyproject.toml names"
            )
        for number, text in enumerate(_cut(document.text)):
            if total >= size:
                break
            pieces.append(Document(text, f"{document.source}/{number}"))
            total += len(text.encode())
    return pieces


def _cut(text: str) -> Iterator[str]:
    lines = text.splitlines(keepends=True)
    piece, size = [], 0
    for line in lines:
        piece.append(line)
        size += len(line)
        if size >= PIECE_BYTES:
            yield "".join(piece)
            piece, size = [], 0
    if piece:
        yield "".join(piece)


def _json_lines(documents: Iterable[Document]) -> str:
    rows = (asdict(document) for document in documents)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
