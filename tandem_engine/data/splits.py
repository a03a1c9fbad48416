"""Three-way split of a domain's documents by their content.

Every document has a rank, sha256 over the seed and its text's digest, that knows neither its file
nor its domain. In the order of ranks documents go to test until test holds `test_fraction` of the
domain's bytes and one full row of tokens, then to validation likewise; the rest is train. A
document that would fill twice what is asked for is passed over while others can fill it; if they
cannot, the smallest go first. Where that leaves train without a row or with less than a quarter of
the bytes (a few huge documents), half the fractions are asked for, and so on down to one row; if
even that fails, the documents are spread evenly, the largest first.
A text that an earlier domain holds follows the split it got there, so that no held-out text of one
domain is trained on in another. Targets come before all domains and have no train part: they fill
test and leave the rest to validation. Texts are compared exactly, after decoding.

Conversations are rows of their own: a part needs one of them instead of a row of tokens.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from tandem_engine.contracts.parts import even_parts
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.errors import DomainTooSmallError

MINIMUM_DOCUMENTS = 3

_TRAIN_LEAST = 0.25
_SCALES = (1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.0)


class Split(IntEnum):
    """What a document is for."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2


HELD_OUT = (Split.TEST, Split.VALIDATION)
"""Parts that are never trained on."""


@dataclass(frozen=True, slots=True)
class SplitRule:
    """The settings that a split depends on; `row_tokens` is context_length + 1."""

    validation_fraction: float
    test_fraction: float
    row_tokens: int
    seed: int
    packed: bool = True
    """Whether rows are cut out of texts; else each document is one."""

    @property
    def least_tokens(self) -> int:
        """Tokens that a part needs at least."""
        return self.row_tokens if self.packed else 1

    @property
    def needs(self) -> str:
        """What a part needs at least, in words."""
        return f"{self.row_tokens} tokens (context_length + 1)" if self.packed else "one document"

    @classmethod
    def of(cls, spec: JobSpec) -> "SplitRule":
        """Return the rule of a job."""
        return cls(
            validation_fraction=spec.split.validation_fraction,
            test_fraction=spec.split.test_fraction,
            row_tokens=spec.training.context_length + 1,
            seed=spec.split_seed,
            packed=spec.scenario != "sft",
        )


@dataclass(frozen=True, slots=True)
class DistinctDocuments:
    """The distinct documents of one domain: digests, UTF-8 bytes, tokens with end-of-text."""

    digests: Sequence[bytes]
    bytes: npt.NDArray[np.int64]
    tokens: npt.NDArray[np.int64]


def content_digest(text: str) -> bytes:
    """Return the sha256 of a text: equal for equal texts, whatever file they stand in."""
    return hashlib.sha256(text.encode("utf-8")).digest()


def rank(digest: bytes, seed: int) -> bytes:
    """Return the key that documents are ordered by; bytewise order, one order per seed."""
    return hashlib.sha256(b"tandem split 1" + seed.to_bytes(8, "little") + digest).digest()


def ranked(digests: Sequence[bytes], seed: int) -> list[int]:
    """Return the positions of `digests` in the order of their ranks."""
    return sorted(range(len(digests)), key=lambda position: rank(digests[position], seed))


def split_domain(
    name: str,
    documents: DistinctDocuments,
    rule: SplitRule,
    decided: Mapping[bytes, Split],
) -> npt.NDArray[np.uint8]:
    """Return the `Split` of each document of the domain `name`.

    Args:
        name: For the error.
        documents: Distinct, in any order.
        rule: Fractions, row length and seed.
        decided: Splits of texts that earlier domains hold, by digest.

    Raises:
        DomainTooSmallError: fewer than three documents, or a split without one full row.
    """
    given = np.full(len(documents.digests), Split.TRAIN, dtype=np.uint8)
    free: list[int] = []
    for position in ranked(documents.digests, rule.seed):
        earlier = decided.get(documents.digests[position])
        if earlier is None:
            free.append(position)
        else:
            given[position] = earlier
    shared = len(documents.digests) - len(free)
    if len(documents.digests) < MINIMUM_DOCUMENTS:
        raise _too_small(name, documents, rule, shared, short=None)
    whole: npt.NDArray[np.uint8] | None = None
    short: Split | None = None
    for scale in _SCALES:
        splits = _attempt(documents, free, given, rule, scale)
        short = _short_part(documents, splits, rule)
        if short is not None:
            continue
        train_bytes = int(documents.bytes[splits == Split.TRAIN].sum())
        if train_bytes >= _TRAIN_LEAST * int(documents.bytes.sum()):
            return splits
        whole = splits if whole is None else whole
    if whole is None and not shared:
        # So few tokens that the order of ranks cannot be kept: fill the three parts evenly.
        even = np.array(even_parts(documents.tokens.tolist(), len(Split)), dtype=np.uint8)
        whole = even if _short_part(documents, even, rule) is None else None
    if whole is None:
        raise _too_small(name, documents, rule, shared, short=short)
    return whole


def _attempt(
    documents: DistinctDocuments,
    free: Sequence[int],
    given: npt.NDArray[np.uint8],
    rule: SplitRule,
    scale: float,
) -> npt.NDArray[np.uint8]:
    """Return the splits with `scale` times the fractions asked for."""
    total_bytes = int(documents.bytes.sum())
    splits = given.copy()
    for split, fraction in (
        (Split.TEST, rule.test_fraction),
        (Split.VALIDATION, rule.validation_fraction),
    ):
        chosen = _fill(
            documents,
            free,
            have=splits == split,
            want_bytes=scale * fraction * total_bytes,
            want_tokens=rule.least_tokens,
        )
        splits[list(chosen)] = split
        free = [position for position in free if position not in chosen]
    return splits


def split_target(
    name: str,
    documents: DistinctDocuments,
    rule: SplitRule,
    decided: Mapping[bytes, Split],
) -> npt.NDArray[np.uint8]:
    """Return the `Split` of each document of the target `name`: test or validation.

    Test is filled first, up to test_fraction / (validation_fraction + test_fraction) of the bytes.
    The arguments are those of `split_domain`.

    Raises:
        DomainTooSmallError: fewer than two documents, or a part without one full row.
    """
    held = rule.validation_fraction + rule.test_fraction
    splits = np.full(len(documents.digests), Split.VALIDATION, dtype=np.uint8)
    free = []
    for position in ranked(documents.digests, rule.seed):
        if (earlier := decided.get(documents.digests[position])) is None:
            free.append(position)
        else:
            splits[position] = earlier
    for scale in _SCALES:
        attempt = splits.copy()
        chosen = _fill(
            documents,
            free,
            have=attempt == Split.TEST,
            want_bytes=scale * rule.test_fraction / held * int(documents.bytes.sum()),
            want_tokens=rule.least_tokens,
        )
        attempt[list(chosen)] = Split.TEST
        if _short_part(documents, attempt, rule, HELD_OUT) is None:
            return attempt
    if len(free) == len(documents.digests):
        # So few that the order of ranks cannot be kept: fill both parts evenly.
        parts = np.array(even_parts(documents.tokens.tolist(), len(HELD_OUT)), dtype=np.int64)
        splits = np.array(HELD_OUT, dtype=np.uint8)[parts]
        if _short_part(documents, splits, rule, HELD_OUT) is None:
            return splits
    holds = f"{len(documents.digests)} distinct documents with {int(documents.tokens.sum())} tokens"
    raise DomainTooSmallError(
        f"target {name!r} is too small: it holds {holds}; its validation and its test part need "
        f"{rule.needs} each, in documents that are not cut",
        field=f"targets.{name}.uris",
        value=holds,
        hint="add documents, cut long documents into several, or lower training.context_length",
    )


def _short_part(
    documents: DistinctDocuments,
    splits: npt.NDArray[np.uint8],
    rule: SplitRule,
    parts: Sequence[Split] = (Split.TEST, Split.VALIDATION, Split.TRAIN),
) -> Split | None:
    """Return the first of `parts` that does not hold one row of tokens."""
    for split in parts:
        if int(documents.tokens[splits == split].sum()) < rule.least_tokens:
            return split
    return None


def _fill(
    documents: DistinctDocuments,
    free: Sequence[int],
    *,
    have: npt.NDArray[np.bool_],
    want_bytes: float,
    want_tokens: int,
) -> set[int]:
    held_bytes = int(documents.bytes[have].sum())
    held_tokens = int(documents.tokens[have].sum())
    chosen: set[int] = set()
    smallest_first = sorted(free, key=lambda position: int(documents.bytes[position]))
    for order, may_overshoot in ((free, False), (smallest_first, True)):
        for position in order:
            if held_bytes >= want_bytes and held_tokens >= want_tokens:
                return chosen
            more_bytes = held_bytes + int(documents.bytes[position])
            more_tokens = held_tokens + int(documents.tokens[position])
            overshoots = more_bytes > 2 * want_bytes and more_tokens > 2 * want_tokens
            if position in chosen or (overshoots and not may_overshoot):
                continue
            chosen.add(position)
            held_bytes, held_tokens = more_bytes, more_tokens
    return chosen


def _too_small(
    name: str, documents: DistinctDocuments, rule: SplitRule, shared: int, short: Split | None
) -> DomainTooSmallError:
    holds = f"{len(documents.digests)} distinct documents with {int(documents.tokens.sum())} tokens"
    why = "" if short is None else f", and its {short.name.lower()} part does not reach that"
    if shared:
        why += (
            f"; {shared} of its documents also stand in a target or an earlier domain and follow "
            "its split"
        )
    return DomainTooSmallError(
        f"domain {name!r} is too small: it holds {holds}; it needs at least {MINIMUM_DOCUMENTS} "
        f"distinct documents and {rule.needs} in each of train, validation and test{why}",
        field=f"domains.{name}.uris",
        value=holds,
        hint="add documents, cut long documents into several, lower training.context_length, or "
        "merge the domain with another",
    )
