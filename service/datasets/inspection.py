"""Checks the files of a specification before its job exists; lists everything that is wrong.

Reading stops as soon as a domain is surely large enough and each file's first records are seen, so
a large dataset costs no more than a small one. What lies further back is the engine's to find.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from service.datasets.files import local_path, open_below
from service.datasets.formats import texts
from service.datasets.models import inspect_model, inspect_tokenizer
from service.datasets.problems import DatasetProblem
from service.errors import FieldProblem
from tandem_engine.contracts.formats import format_of
from tandem_engine.contracts.parts import fills_parts
from tandem_engine.contracts.sources import SourceSpec
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.contracts.targets import TargetSpec
from tandem_engine.errors import DatasetEmptyError, DomainTooSmallError, InvalidSpecError

FIRST_RECORDS = 20
"""Records of every file that are looked at."""

MOST_BYTES = 64 * 2**20
"""Bytes of text of a domain that are looked at, at most."""

_SHOWN = 500


@dataclass
class _Seen:
    """What was read of a domain or target so far."""

    row_tokens: int
    """Tokens that each part needs: context_length + 1, of conversations any."""
    parts: int
    """Parts to fill: train, validation and test, of a target only the last two."""
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
        """Tell if what was read is enough for all parts, without looking at each document.

        A document is not cut: a large one fills one part, and small ones overshoot a part by less
        than a row.
        """
        open_parts = max(0, self.parts - self.large)
        filled = self.tokens_of_small >= 2 * open_parts * self.row_tokens
        return (filled and len(self.documents) >= self.parts) or self.bytes >= MOST_BYTES

    @property
    def fills(self) -> bool:
        """Tell if all that was read fills all parts, document by document."""
        return self.suffices or fills_parts(self.tokens, self.row_tokens, self.parts)


def inspect(
    spec: JobSpec, positions: Mapping[str, int], roots: Sequence[Path], *, place: str = "/spec"
) -> list[FieldProblem]:
    """Return what is wrong with the files that `spec` names; empty when nothing is.

    Args:
        spec: The resolved specification.
        positions: Place of each domain and each target in its list of the request (the
            specification sorts them).
        roots: Folders that data may come from.
        place: Pointer to the specification in the request.
    """
    problems: list[FieldProblem] = []
    # A conversation is a row by itself, however short.
    row_tokens = 1 if spec.scenario == "sft" else spec.training.context_length + 1
    for source in (*spec.domains, *spec.targets):
        where = f"{place}/{source.section}/{positions[source.name]}"
        parts = 2 if isinstance(source, TargetSpec) else 3
        problems += _inspect_source(source, where, _Seen(row_tokens, parts), roots)
    problems += inspect_tokenizer(spec.tokenizer, roots, place)
    problems += inspect_model(spec.model, roots, place)
    return problems


def _inspect_source(
    source: SourceSpec, where: str, seen: _Seen, roots: Sequence[Path]
) -> list[FieldProblem]:
    problems: list[FieldProblem] = []
    for index, uri in enumerate(source.uris):
        try:
            _read(source, uri, seen, roots)
        except DatasetProblem as problem:
            pointer = f"{where}/uris/{index}"
            problems.append(
                FieldProblem(pointer, problem.code, problem.message, uri[:_SHOWN], problem.hint)
            )
    # Whether the rest is enough cannot be said while files are missing.
    return problems or _check_size(source, where, seen)


def _read(source: SourceSpec, uri: str, seen: _Seen, roots: Sequence[Path]) -> None:
    path = local_path(uri)
    try:
        file_format = format_of(source, path)
    except InvalidSpecError as error:
        raise DatasetProblem(error.code, error.message, error.hint) from error
    with open_below(uri, roots) as stream:
        records = texts(stream, path, file_format, source)
        for number, text in enumerate(records, start=1):
            seen.add(text)
            if number >= FIRST_RECORDS and seen.suffices:
                return


def _check_size(source: SourceSpec, where: str, seen: _Seen) -> list[FieldProblem]:
    if seen.fills:
        return []
    kind = source.section.removesuffix("s")
    if not seen.documents:
        return [
            FieldProblem(
                f"{where}/uris",
                DatasetEmptyError.code,
                f"{kind} {source.name!r} holds no text: its files are empty or blank",
                source.name,
                f"add documents to its files, or remove the {kind}",
            )
        ]
    parts = "train, validation and test" if seen.parts > 2 else "validation and test"  # noqa: PLR2004
    tokens = f"documents with {seen.row_tokens} tokens (context_length + 1) together"
    needed = "a conversation" if source.records != "text" else tokens
    return [
        FieldProblem(
            f"{where}/uris",
            DomainTooSmallError.code,
            f"{kind} {source.name!r} has {len(seen.documents)} distinct documents with at most "
            f"{sum(seen.tokens)} tokens; documents are not cut, and each of {parts} needs "
            f"{needed}",
            source.name,
            "add documents, cut long ones into several, or lower training.context_length",
        )
    ]
