"""Writes a manifest: a folder that is whole or absent, equal bytes for equal input.

`manifest.json` (the head, canonical JSON), `domains.parquet` (a row per domain: its share, and the
rule of `manifests.plan`), `shards.parquet` (a row per source file: where its records begin),
`excluded.parquet` (records that are no documents), `lengths.parquet` (how many documents of a
length each domain has), `documents/domain=SLUG/part-*.parquet` (a row per document that is read,
where they are few enough or asked for), `croissant.json`, `README.md` (a Hugging Face dataset
card) and, of a job with a tokenizer of its own, `tokenizer/`.

Token counts include one end-of-text token per document. Of conversations they count the tokens of
responses, which bear the loss; the head's `unit` says so.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tandem_engine.contracts.records import ManifestSummary
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.contracts.units import document_shares, largest_remainder
from tandem_engine.data.atomic import whole_directory
from tandem_engine.data.corpus import Corpus
from tandem_engine.manifests.cards import card, croissant
from tandem_engine.manifests.expand import (
    FileRecords,
    MemberRule,
    first_records,
    write_documents,
)
from tandem_engine.manifests.inventory import DomainInventory, inventory_of, target_tokens
from tandem_engine.manifests.permutation import NAME, VERSION
from tandem_engine.manifests.plan import DomainPlan, plan_expected, plan_measured
from tandem_engine.manifests.tables import (
    CARD_FILE,
    CROISSANT_FILE,
    DOMAINS_FILE,
    DOMAINS_SCHEMA,
    EXCLUDED_FILE,
    EXCLUDED_SCHEMA,
    HEAD_FILE,
    LENGTHS_FILE,
    LENGTHS_SCHEMA,
    SCHEMA_VERSION,
    SHARDS_FILE,
    SHARDS_SCHEMA,
    file_entry,
    open_table,
    slugs,
    write_rows,
)

MOST_ROWS = 100_000_000
"""Documents that are listed one by one when that is left open."""

_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class ManifestRequest:
    """What a manifest is to say beside the shares."""

    method: str
    target_tokens: int
    seed: int
    unit: Literal["tokens", "response_tokens"] = "tokens"
    documents: str = "all"
    """Which documents may be read: `train` or `all`."""
    rows: Literal["auto", "always", "never"] = "auto"
    tokenizer: dict[str, Any] = field(default_factory=dict)
    tokenizer_folder: Path | None = None
    """A job's own tokenizer, copied into the manifest."""
    consumer_lengths: Sequence[dict[str, Any]] = ()
    """Rows of `lengths.parquet` by a consumer's tokenizer."""


def write_manifest(
    directory: Path,
    corpus: Corpus,
    shares: Sequence[float],
    spec: JobSpec,
    *,
    method: str = "tandem",
    consumer_lengths: Sequence[dict[str, Any]] = (),
) -> ManifestSummary:
    """Write the manifest of a job.

    Args:
        directory: Becomes the manifest's folder; an older one is replaced.
        corpus: The job's domains.
        shares: Share of tokens per domain, in the order of the corpus; sums to 1.
        spec: The resolved specification: target, documents and seed.
        method: What made the shares.
        consumer_lengths: Lengths by the tokenizer of `manifest.consumer`.

    Raises:
        ValueError: the shares do not belong to the corpus or are not on the simplex.
        DiskFullError: no space is left.
    """
    _require_shares(shares, len(corpus.domains))
    inventories = inventory_of(corpus, spec)
    available = [inventory.available_tokens for inventory in inventories]
    folder = getattr(corpus.tokenizer, "path", None) if spec.tokenizer.kind == "bpe" else None
    request = ManifestRequest(
        method=method,
        target_tokens=target_tokens(available, spec),
        seed=spec.seed,
        unit="tokens" if corpus.packed else "response_tokens",
        documents=spec.manifest.documents,
        rows=spec.manifest.rows,
        tokenizer={
            "kind": spec.tokenizer.kind,
            "name": corpus.tokenizer_name,
            "revision": spec.tokenizer.revision,
            "fingerprint": corpus.tokenizer_fingerprint,
            "vocabulary_size": corpus.vocabulary_size,
            "end_of_text": corpus.end_of_text,
        },
        tokenizer_folder=None if folder is None else Path(folder),
        consumer_lengths=consumer_lengths,
    )
    return write_inventory(directory, inventories, shares, request)


def write_inventory(
    directory: Path,
    inventories: Sequence[DomainInventory],
    shares: Sequence[float],
    request: ManifestRequest,
) -> ManifestSummary:
    """Write the manifest of an inventory; raises as `write_manifest`."""
    _require_shares(shares, len(inventories))
    targets = largest_remainder(shares, request.target_tokens)
    plans = [
        _plan(inventory, target, request.seed)
        for inventory, target in zip(inventories, targets, strict=True)
    ]
    rows = _domain_rows(inventories, shares, targets, plans)
    planned_documents = sum(plan.planned_documents for plan in plans)
    listed = request.rows == "always" or (request.rows == "auto" and planned_documents <= MOST_ROWS)
    with whole_directory(directory) as folder:
        write_rows(folder / DOMAINS_FILE, rows, DOMAINS_SCHEMA)
        write_rows(folder / SHARDS_FILE, list(_shard_rows(inventories)), SHARDS_SCHEMA)
        names = [DOMAINS_FILE, SHARDS_FILE]
        if any(inventory.documents is not None for inventory in inventories):
            _write_excluded(folder / EXCLUDED_FILE, inventories)
            lengths = [*_length_rows(inventories), *request.consumer_lengths]
            write_rows(folder / LENGTHS_FILE, lengths, LENGTHS_SCHEMA)
            names += [EXCLUDED_FILE, LENGTHS_FILE]
        if request.tokenizer_folder is not None:
            shutil.copytree(request.tokenizer_folder, folder / "tokenizer")
            names += [f"tokenizer/{path.name}" for path in (folder / "tokenizer").iterdir()]
        if listed:
            for row, inventory, plan in zip(rows, inventories, plans, strict=True):
                rule = MemberRule(
                    domain=inventory.name,
                    records=inventory.records,
                    full_passes=plan.full_passes,
                    threshold=plan.threshold,
                    seed=request.seed,
                )
                files = [
                    FileRecords(file.uri, first, file.records)
                    for file, first in zip(
                        inventory.files, first_records(inventory.files), strict=True
                    )
                ]
                names += write_documents(folder, row["slug"], rule, files, inventory.documents)
        head = _head(request, inventories, rows, listed=listed)
        head["files"] = [file_entry(folder, name) for name in sorted(names)]
        head["mixture_id"] = _mixture_id(head)
        (folder / CROISSANT_FILE).write_bytes(canonical_json(croissant(head)))
        (folder / CARD_FILE).write_text(card(head), encoding="utf-8")
        head["files"] += [file_entry(folder, name) for name in (CARD_FILE, CROISSANT_FILE)]
        written = canonical_json(head)
        (folder / HEAD_FILE).write_bytes(written)
    return ManifestSummary(
        path=directory.name,
        sha256=hashlib.sha256(written).hexdigest(),
        target_tokens=request.target_tokens,
        planned_tokens=head["planned_tokens"],
    )


def canonical_json(value: object) -> bytes:
    """Return the one way in which `value` is written: sorted keys, no spaces, UTF-8, a newline."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8") + b"\n"


def _plan(inventory: DomainInventory, target: int, seed: int) -> DomainPlan:
    documents = inventory.documents
    if documents is None:
        return plan_expected(
            inventory.available_documents, inventory.available_tokens, inventory.records, target
        )
    return plan_measured(
        documents.numbers,
        documents.tokens,
        inventory.records,
        target,
        seed=seed,
        domain=inventory.name,
    )


def _domain_rows(
    inventories: Sequence[DomainInventory],
    shares: Sequence[float],
    targets: Sequence[int],
    plans: Sequence[DomainPlan],
) -> list[dict[str, Any]]:
    means = [one.available_tokens / one.available_documents for one in inventories]
    of_documents = document_shares(shares, means)
    names = slugs([inventory.name for inventory in inventories])
    rows = []
    for place, (inventory, plan) in enumerate(zip(inventories, plans, strict=True)):
        epochs = targets[place] / inventory.available_tokens
        cap = inventory.source.maximum_epochs if inventory.source else None
        rows.append(
            {
                "domain": inventory.name,
                "slug": names[place],
                "share": float(shares[place]),
                "share_of_documents": of_documents[place],
                "target_tokens": targets[place],
                "available_tokens": inventory.available_tokens,
                "available_documents": inventory.available_documents,
                "epochs": epochs,
                "full_passes": plan.full_passes,
                "threshold": plan.threshold,
                "records": inventory.records,
                "extra_documents": plan.extra_documents,
                "planned_documents": plan.planned_documents,
                "planned_tokens": plan.planned_tokens,
                "measured": plan.measured,
                # Shares are learned in floating point: within a thousandth is at the cap.
                "capped": cap is not None and epochs >= 0.999 * cap,
                "source_uris": [file.uri for file in inventory.files],
            }
        )
    return rows


def _shard_rows(inventories: Sequence[DomainInventory]) -> Iterator[dict[str, Any]]:
    for inventory in inventories:
        for file, first in zip(inventory.files, first_records(inventory.files), strict=True):
            yield {
                "domain": inventory.name,
                "source_uri": file.uri,
                "fingerprint": file.fingerprint,
                "bytes": file.bytes,
                "format": file.format,
                "compression": file.compression,
                "first_record": first,
                "records": file.records,
                "tokens": file.tokens,
            }


def _write_excluded(path: Path, inventories: Sequence[DomainInventory]) -> None:
    import pyarrow as pa  # noqa: PLC0415 - beside its one use

    with open_table(path, EXCLUDED_SCHEMA) as writer:
        for inventory in inventories:
            if inventory.documents is None:
                continue
            for begin in range(0, inventory.records, _CHUNK):
                part = np.arange(begin, min(begin + _CHUNK, inventory.records))
                low, high = np.searchsorted(inventory.documents.numbers, [begin, begin + _CHUNK])
                kept = inventory.documents.numbers[low:high]
                excluded = np.delete(part, kept - begin)
                columns = [pa.array([inventory.name] * len(excluded), pa.string()), excluded]
                writer.write_table(pa.table(columns, schema=EXCLUDED_SCHEMA))


def _length_rows(inventories: Sequence[DomainInventory]) -> Iterator[dict[str, Any]]:
    for inventory in inventories:
        if inventory.documents is None:
            continue
        # One number per pair: rows of two are compared a hundred times slower.
        pairs = (inventory.documents.all_tokens << 32) | inventory.documents.tokens
        found, counts = np.unique(pairs, return_counts=True)
        for pair, documents in zip(found.tolist(), counts.tolist(), strict=True):
            yield {
                "domain": inventory.name,
                "counted_by": "job",
                "tokens": pair >> 32,
                "loss_tokens": pair & (2**32 - 1),
                "documents": documents,
            }


def _head(
    request: ManifestRequest,
    inventories: Sequence[DomainInventory],
    rows: Sequence[dict[str, Any]],
    *,
    listed: bool,
) -> dict[str, Any]:
    sources = {
        inventory.name: inventory.source.model_dump(
            include={"format", "text_field", "records", "token_dtype", "maximum_epochs"}
        )
        for inventory in inventories
        if inventory.source is not None
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "method": request.method,
        "unit": request.unit,
        "tokenizer": request.tokenizer,
        "token_counts_include_end_of_text": True,
        "target_tokens": request.target_tokens,
        "planned_tokens": sum(int(row["planned_tokens"]) for row in rows),
        "documents": request.documents,
        "documents_listed": listed,
        "seed": request.seed,
        "selector": {"name": NAME, "version": VERSION},
        "domains": list(rows),
        "sources": sources,
    }


def _mixture_id(head: dict[str, Any]) -> str:
    return f"mix_{hashlib.sha256(canonical_json(head)).hexdigest()[:20]}"


def _require_shares(shares: Sequence[float], domains: int) -> None:
    # Learned shares come from 32-bit arithmetic, hence the tolerance.
    on_simplex = all(share >= 0 for share in shares) and abs(math.fsum(shares) - 1) < 1e-4  # noqa: PLR2004
    if len(shares) != domains or not on_simplex:
        msg = f"need {domains} shares that sum to 1, none below 0, got {list(shares)}"
        raise ValueError(msg)
