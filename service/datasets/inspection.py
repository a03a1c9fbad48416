"""Checks the files of a specification before its job exists; lists everything that is wrong.

Reading stops as soon as a domain is surely large enough and each file's first records are seen, so
a large dataset costs no more than a small one. What lies further back is the engine's to find.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from service.datasets.files import local_path, open_below, resolve_below
from service.datasets.formats import texts
from service.datasets.problems import DatasetProblem
from service.errors import FieldProblem
from tandem_engine.contracts.domains import DomainSpec
from tandem_engine.contracts.formats import format_of
from tandem_engine.contracts.parts import fills_three_parts
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.errors import DatasetEmptyError, DomainTooSmallError, InvalidSpecError

MIN_DOCUMENTS = 3
"""One each for the train, the validation and the test part."""

FIRST_RECORDS = 20
"""Records of every file that are looked at."""

MOST_BYTES = 64 * 2**20
"""Bytes of text of a domain that are looked at, at most."""

_SHOWN = 500


@dataclass
class _Seen:
    """What was read of a domain so far."""

    row_tokens: int
    """Tokens that each of the three parts needs: context_length + 1."""
    documents: set[bytes] = field(default_factory=set)
    tokens: list[int] = field(default_factory=list)
    bytes: int = 0
    large: int = 0
    """Documents that fill a part alone."""
    tokens_of_small: int = 0

    def add(self, text: str) -> None:
        raw = text.encode()
        self.bytes += len(raw)
        digest = hashlib.blake2b(raw, digest_size=16).digest()
        if text.strip() and digest not in self.documents:
            self.documents.add(digest)
            # Bytes and one end-of-text: exact for the byte tokenizer, and no tokenizer makes more.
            tokens = len(raw) + 1
            self.tokens.append(tokens)
            if tokens >= self.row_tokens:
                self.large += 1
            else:
                self.tokens_of_small += tokens

    @property
    def suffices(self) -> bool:
        """Tell if what was read is enough for three parts, without looking at each document.

        A document is not cut: a large one fills one part, and small ones overshoot a part by less
        than a row.
        """
        open_parts = max(0, MIN_DOCUMENTS - self.large)
        filled = self.tokens_of_small >= 2 * open_parts * self.row_tokens
        return (filled and len(self.documents) >= MIN_DOCUMENTS) or self.bytes >= MOST_BYTES

    @property
    def fills(self) -> bool:
        """Tell if all that was read fills three parts, document by document."""
        return self.suffices or fills_three_parts(self.tokens, self.row_tokens)


def inspect(
    spec: JobSpec, positions: Mapping[str, int], roots: Sequence[Path]
) -> list[FieldProblem]:
    """Return what is wrong with the files that `spec` names; empty when nothing is.

    Args:
        spec: The resolved specification.
        positions: Place of each domain in the request (the specification sorts them).
        roots: Folders that data may come from.
    """
    problems: list[FieldProblem] = []
    row_tokens = spec.training.context_length + 1
    for domain in spec.domains:
        where = f"/spec/domains/{positions[domain.name]}"
        problems += _inspect_domain(domain, where, row_tokens, roots)
    if spec.tokenizer.path is not None:
        problems += _inspect_tokenizer(spec.tokenizer.path, roots)
    return problems


def _inspect_domain(
    domain: DomainSpec, where: str, row_tokens: int, roots: Sequence[Path]
) -> list[FieldProblem]:
    seen = _Seen(row_tokens)
    problems: list[FieldProblem] = []
    for index, uri in enumerate(domain.uris):
        try:
            _read(domain, uri, seen, roots)
        except DatasetProblem as problem:
            pointer = f"{where}/uris/{index}"
            problems.append(
                FieldProblem(pointer, problem.code, problem.message, uri[:_SHOWN], problem.hint)
            )
    # Whether the rest is enough cannot be said while files are missing.
    return problems or _check_size(domain, where, seen)


def _read(domain: DomainSpec, uri: str, seen: _Seen, roots: Sequence[Path]) -> None:
    path = local_path(uri)
    try:
        file_format = format_of(domain, path)
    except InvalidSpecError as error:
        raise DatasetProblem(error.code, error.message, error.hint) from error
    with open_below(uri, roots) as stream:
        records = texts(stream, path, file_format, domain.text_field)
        for number, text in enumerate(records, start=1):
            seen.add(text)
            if number >= FIRST_RECORDS and seen.suffices:
                return


def _check_size(domain: DomainSpec, where: str, seen: _Seen) -> list[FieldProblem]:
    if seen.fills:
        return []
    if not seen.documents:
        return [
            FieldProblem(
                f"{where}/uris",
                DatasetEmptyError.code,
                f"domain {domain.name!r} holds no text: its files are empty or blank",
                domain.name,
                "add documents to its files, or remove the domain",
            )
        ]
    return [
        FieldProblem(
            f"{where}/uris",
            DomainTooSmallError.code,
            f"domain {domain.name!r} has {len(seen.documents)} distinct documents with at most "
            f"{sum(seen.tokens)} tokens; documents are not cut, and each of train, validation and "
            f"test needs documents with {seen.row_tokens} tokens (context_length + 1) together",
            domain.name,
            "add documents, cut long ones into several, or lower training.context_length",
        )
    ]


def _inspect_tokenizer(path: str, roots: Sequence[Path]) -> list[FieldProblem]:
    pointer = "/spec/tokenizer/path"
    try:
        place = resolve_below(Path(path), roots)
    except DatasetProblem as problem:
        return [FieldProblem(pointer, problem.code, problem.message, path[:_SHOWN], problem.hint)]
    if place.is_dir():
        return []
    return [
        FieldProblem(
            pointer,
            "tokenizer_unreadable",
            f"{path} is no folder",
            path[:_SHOWN],
            "give the folder of a saved tokenizer, on the machines that run service and job",
        )
    ]
