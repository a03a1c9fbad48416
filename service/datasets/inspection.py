"""Checks the files of a specification before its job exists; lists everything that is wrong.

Reading stops as soon as a domain is surely large enough and each file's first records are seen, so
a large dataset costs no more than a small one. What lies further back is the engine's to find.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.datasets.models import inspect_model, inspect_tokenizer
from service.errors import FieldProblem
from tandem_engine.contracts.parts import fills_parts
from tandem_engine.contracts.sources import SourceSpec
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.contracts.targets import TargetSpec
from tandem_engine.errors import DatasetEmptyError, DomainTooSmallError, TandemError
from tandem_engine.inputs.access import Access
from tandem_engine.inputs.documents import Document, iterate_file
from tandem_engine.inputs.files import SourceFile
from tandem_engine.inputs.lines import Cut
from tandem_engine.inputs.listing import files_of
from tandem_engine.inputs.tokens import count_tokens

FIRST_RECORDS = 20
"""Records of every file that are looked at."""

MOST_BYTES = 64 * 2**20
"""Bytes of text of a domain that are looked at, at most."""

LONGEST_RECORD = 64 * 2**20
"""Bytes of a line that is looked at; longer ones are left to the engine."""

MOST_READ = 4 * MOST_BYTES
"""Bytes of a file that are read, decompressed: blank lines hold no text, and compress well."""

MOST_MATCHES = 32
"""Files of a pattern that are opened; the rest is listed only."""

_FLAT = frozenset({"npy", "tokens"})
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
    skipped: int = 0
    """Malformed records."""
    more: bool = False
    """Whether there is more than was read."""

    def add(self, document: Document) -> None:
        self.bytes += document.byte_count
        if document.digest in self.documents:
            return
        self.documents.add(document.digest)
        # Bytes and one end-of-text: exact for the byte tokenizer, and no tokenizer makes more.
        ids = document.tokens
        tokens = (document.byte_count if ids is None else len(ids)) + 1
        self.tokens.append(tokens)
        if tokens >= self.row_tokens:
            self.large += 1
        else:
            self.tokens_of_small += tokens

    def add_flat(self, file: SourceFile, tokens: int) -> None:
        """Count tokens whose documents only the tokenizer's end-of-text could tell apart."""
        self.bytes += tokens
        self.tokens.append(tokens)
        if tokens >= self.parts * self.row_tokens:
            self.documents.update(f"{file.uri} {n}".encode() for n in range(self.parts))
            self.large += self.parts

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
        return self.more or self.suffices or fills_parts(self.tokens, self.row_tokens, self.parts)


def inspect(
    spec: JobSpec, positions: Mapping[str, int], access: Access, *, place: str = "/spec"
) -> list[FieldProblem]:
    """Return what is wrong with the files that `spec` names; empty when nothing is.

    Args:
        spec: The resolved specification.
        positions: Place of each domain and each target in its list of the request (the
            specification sorts them).
        access: Where data may come from.
        place: Pointer to the specification in the request.
    """
    problems: list[FieldProblem] = []
    # A conversation is a row by itself, however short.
    row_tokens = 1 if spec.scenario == "sft" else spec.training.context_length + 1
    for source in (*spec.domains, *spec.targets):
        where = f"{place}/{source.section}/{positions[source.name]}"
        parts = 2 if isinstance(source, TargetSpec) else 3
        problems += _inspect_source(source, where, _Seen(row_tokens, parts), access)
    problems += inspect_tokenizer(spec.tokenizer, access, place)
    if spec.manifest.consumer is not None:
        trainer = spec.manifest.consumer.tokenizer
        problems += inspect_tokenizer(trainer, access, f"{place}/manifest/consumer")
    problems += inspect_model(spec.model, access, place)
    return problems


def _inspect_source(
    source: SourceSpec, where: str, seen: _Seen, access: Access
) -> list[FieldProblem]:
    problems: list[FieldProblem] = []
    for index, uri in enumerate(source.uris):
        try:
            files = files_of(source, uri, access)
            for file in files[:MOST_MATCHES]:
                _look_into(file, seen, source.skip_malformed)
        except TandemError as error:
            pointer = f"{where}/uris/{index}"
            problems.append(
                FieldProblem(pointer, error.code, error.message, uri[:_SHOWN], error.hint)
            )
        else:
            seen.more |= len(files) > MOST_MATCHES
    # Whether the rest is enough cannot be said while files are missing.
    return problems or _check_size(source, where, seen)


def _look_into(file: SourceFile, seen: _Seen, may_skip: int) -> None:
    if file.format in _FLAT:
        seen.add_flat(file, count_tokens(file))
        return

    def leave_out(_: int, error: TandemError) -> None:
        seen.skipped += 1
        if seen.skipped > may_skip:
            raise error

    def leave_off() -> None:
        seen.more = True

    cut = Cut(LONGEST_RECORD, MOST_READ, leave_off)
    documents = iterate_file(file, on_malformed=leave_out, cut=cut)
    for number, document in enumerate(documents, start=1):
        seen.add(document)
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
