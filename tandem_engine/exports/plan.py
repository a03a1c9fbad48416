r"""The mixture of a manifest in every unit that a trainer counts in.

A job learns shares of tokens (of conversations: of response tokens, which bear the loss). A trainer
that draws documents, or tokens of all kinds, needs other shares for the same mixture. With lengths
:math:`(l, r)` of a domain's documents, all tokens and those that count, cut off after T tokens:

.. math:: l' = \min(l, T), \qquad r' = \max(0, r - (l - l'))

and with their means over the domain's documents

.. math:: d_m \propto \alpha_m / \bar{r}'_m, \qquad t_m \propto \alpha_m \bar{l}'_m / \bar{r}'_m

are the shares of documents and of all tokens. What is cut off is the end of a document, where a
prompt's response stands; with several responses r' is a lower bound.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tandem_engine.contracts.units import largest_remainder
from tandem_engine.errors import ExportRefusedError, InvalidSpecError
from tandem_engine.exports.options import ExportOptions

MANY_EPOCHS = 4.0
"""Passes up to which repeated data is about as good as new data (arXiv:2305.16264)."""

Lengths = Mapping[str, Sequence[tuple[int, int, int]]]
"""Per domain: tokens, tokens that count, documents of that length."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A source file of a domain."""

    uri: str
    format: str | None
    tokens: int | None


@dataclass(frozen=True, slots=True)
class PlannedDomain:
    """A domain whose share is above 0."""

    name: str
    slug: str
    share: float
    """Share of tokens in the unit of the job, as learned."""
    token_share: float
    """Share of all tokens, prompts included."""
    document_share: float
    epochs: float
    """Passes over the domain's documents."""
    target_tokens: int
    """Tokens to read in the unit of the job."""
    target_documents: int
    """Documents to read, repetitions counted; these sum to the plan's."""
    rows: int
    """Records of the domain's files, those included that the manifest does not read."""
    available_documents: int
    available_tokens: int
    """All tokens of one pass, after truncation."""
    mean_tokens: float
    """All tokens of a document, after truncation."""
    maximum_epochs: float | None
    records: str
    text_field: str
    files: tuple[PlannedFile, ...]

    @property
    def row_epochs(self) -> float:
        """Passes over all rows of the files that read as many documents."""
        return self.epochs * self.available_documents / self.rows

    @property
    def row_passes(self) -> int:
        """Times that the files have to be there for a trainer that never repeats."""
        return max(1, math.ceil(self.row_epochs - 1e-9))


@dataclass(frozen=True, slots=True)
class MixturePlan:
    """What exporters write down."""

    mixture_id: str
    method: str
    unit: str
    """`tokens` or `response_tokens`."""
    seed: int
    target_tokens: int
    tokenizer: str
    counted_by: str
    """Whose tokenizer documents were counted with: `job` or `consumer`."""
    domains: tuple[PlannedDomain, ...]
    dropped: tuple[str, ...]
    """Domains whose share is 0."""
    warnings: tuple[str, ...]

    @property
    def documents(self) -> int:
        """Documents to read, repetitions counted."""
        return sum(domain.target_documents for domain in self.domains)

    @property
    def tokens(self) -> int:
        """All tokens to read, prompts included, after truncation."""
        return round(math.fsum(d.epochs * d.available_tokens for d in self.domains))


def plan_export(
    head: Mapping[str, Any],
    lengths: Mapping[str, Lengths],
    shards: Iterable[Mapping[str, Any]],
    options: ExportOptions,
) -> MixturePlan:
    """Return the plan of a manifest.

    Args:
        head: Its `manifest.json`.
        lengths: Of its `lengths.parquet`, by `counted_by`; empty where it has none.
        shards: Rows of its `shards.parquet`.
        options: What the trainer does.

    Raises:
        ExportRefusedError: a domain needs more passes than its cap.
        InvalidSpecError: the options need lengths that the manifest does not hold.
    """
    counted_by = _counted_by(lengths, options)
    by_domain = lengths.get(counted_by, {})
    target = options.target_tokens or int(head["target_tokens"])
    rows = [row for row in head["domains"] if row["share"] > 0]
    sizes = [_sizes(row, by_domain, options.truncate_tokens) for row in rows]
    if any(size.counted <= 0 for size in sizes):
        name = next(r["domain"] for r, s in zip(rows, sizes, strict=True) if s.counted <= 0)
        raise ExportRefusedError(
            f"of domain {name!r} nothing that bears loss is left after {options.truncate_tokens} "
            "tokens",
            field="truncate_tokens",
            value=options.truncate_tokens,
            hint="raise truncate_tokens, or learn on documents cut off at the same length",
        )
    targets = largest_remainder([row["share"] for row in rows], target)
    # Of the shares themselves: whole tokens of a small target would shift them.
    whole = math.fsum(row["share"] for row in rows)
    epochs = [
        row["share"] / whole * target / size.counted for row, size in zip(rows, sizes, strict=True)
    ]
    read = [passes * size.documents for passes, size in zip(epochs, sizes, strict=True)]
    tokens = [passes * size.tokens for passes, size in zip(epochs, sizes, strict=True)]
    documents = largest_remainder(read, max(1, round(math.fsum(read))))
    files = _files(shards)
    domains = tuple(
        PlannedDomain(
            name=row["domain"],
            slug=row["slug"],
            share=row["share"],
            token_share=tokens[place] / math.fsum(tokens),
            document_share=read[place] / math.fsum(read),
            epochs=epochs[place],
            target_tokens=targets[place],
            target_documents=documents[place],
            rows=row["records"],
            available_documents=sizes[place].documents,
            available_tokens=round(sizes[place].tokens),
            mean_tokens=sizes[place].tokens / sizes[place].documents,
            maximum_epochs=options.max_epochs
            or head["sources"].get(row["domain"], {}).get("maximum_epochs"),
            records=head["sources"].get(row["domain"], {}).get("records", "text"),
            text_field=head["sources"].get(row["domain"], {}).get("text_field", "text"),
            files=tuple(files.get(row["domain"], ())),
        )
        for place, row in enumerate(rows)
    )
    return MixturePlan(
        mixture_id=head["mixture_id"],
        method=head["method"],
        unit=head["unit"],
        seed=options.seed if options.seed is not None else int(head["seed"]) % 2**31,
        target_tokens=target,
        tokenizer=str(head["tokenizer"].get("name") or ""),
        counted_by=counted_by,
        domains=domains,
        dropped=tuple(row["domain"] for row in head["domains"] if row["share"] <= 0),
        warnings=tuple(_repetition(domains, options)),
    )


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Of one pass over a domain."""

    documents: int
    tokens: float
    counted: float


def _sizes(row: Mapping[str, Any], lengths: Lengths, truncate: int | None) -> _Sizes:
    documents = int(row["available_documents"])
    found = lengths.get(row["domain"])
    if not found:
        if truncate is not None:
            raise InvalidSpecError(
                f"the manifest holds no lengths of the documents of {row['domain']!r}",
                field="truncate_tokens",
                value=truncate,
                hint="leave it out, or export a manifest of a job, which has read its documents",
            )
        tokens = float(row["available_tokens"])
        return _Sizes(documents, tokens, tokens)
    tokens = counted = measured = 0
    for all_tokens, loss_tokens, count in found:
        kept = all_tokens if truncate is None else min(all_tokens, truncate)
        tokens += kept * count
        counted += max(0, loss_tokens - (all_tokens - kept)) * count
        measured += count
    # A consumer's tokenizer counts a sample of the documents.
    scale = documents / measured
    return _Sizes(documents, tokens * scale, counted * scale)


def _counted_by(lengths: Mapping[str, Lengths], options: ExportOptions) -> str:
    if options.counted_by == "auto":
        return "consumer" if lengths.get("consumer") else "job"
    if options.counted_by == "consumer" and not lengths.get("consumer"):
        raise InvalidSpecError(
            "the manifest holds no lengths by the trainer's tokenizer",
            field="counted_by",
            value="consumer",
            hint="name it in the job's manifest.consumer, or export with --tokenizer",
        )
    return options.counted_by


def _files(shards: Iterable[Mapping[str, Any]]) -> dict[str, list[PlannedFile]]:
    files: dict[str, list[PlannedFile]] = {}
    for row in shards:
        file = PlannedFile(row["source_uri"], row["format"], row["tokens"])
        files.setdefault(row["domain"], []).append(file)
    return files


def _repetition(domains: Sequence[PlannedDomain], options: ExportOptions) -> Iterable[str]:
    for domain in domains:
        cap = domain.maximum_epochs
        # Shares are learned in floating point: a thousandth above the cap is at the cap.
        if cap is not None and domain.epochs > 1.001 * cap:
            said = f"domain {domain.name!r} needs {domain.epochs:.4g} passes, above its cap {cap:g}"
            if options.above_cap == "refuse":
                raise ExportRefusedError(
                    said,
                    field="max_epochs",
                    value=f"{cap:g}",
                    hint="lower target_tokens, add documents, raise max_epochs, or export with "
                    "above_cap=flag",
                )
            yield said
        elif domain.epochs > MANY_EPOCHS:
            yield (
                f"domain {domain.name!r} is read {domain.epochs:.4g} times; beyond "
                f"{MANY_EPOCHS:g} passes repeated data is worth less and less"
            )
