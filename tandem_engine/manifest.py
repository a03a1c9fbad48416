"""The resampling manifest: which documents a trainer reads, and how often.

A folder of `manifest.json` (the head, canonical JSON), `domains.parquet` (one row per domain) and
`documents.parquet` (one row per document that is read). Equal input gives equal bytes: there is no
time, no host and no chance in it.

The plan, per domain: its target is its share of `target_tokens`, rounded to whole tokens by
largest remainder. Its documents are numbered i = 0, 1, ... in the order (source URI bytewise,
record number); exact duplicates are left out, and with documents "train" the validation and test
documents too. Each is read `full_passes` = floor(target / available) times, and the
`extra_documents` with PRP(i) < extra_documents once more, where PRP is the permutation of
`tandem_engine.permutation`. `extra_documents` is where the planned tokens come nearest to the
target, counted over the documents' true lengths (the lower number where two are equally near).
Token counts include one end-of-text token per document. Of conversations they count the tokens of
responses, which bear the loss; the head's `unit` says so.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tandem_engine.contracts.records import ManifestSummary
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.atomic import whole_directory
from tandem_engine.data.corpus import Corpus, Domain
from tandem_engine.data.splits import Split
from tandem_engine.mixtures import largest_remainder
from tandem_engine.permutation import NAME, VERSION, permute

SCHEMA_VERSION = 1
HEAD_FILE = "manifest.json"
DOMAINS_FILE = "domains.parquet"
DOCUMENTS_FILE = "documents.parquet"

_DOMAINS_SCHEMA = pa.schema(
    [
        pa.field("domain", pa.string(), nullable=False),
        pa.field("share", pa.float64(), nullable=False),
        pa.field("target_tokens", pa.int64(), nullable=False),
        pa.field("available_tokens", pa.int64(), nullable=False),
        pa.field("epochs", pa.float64(), nullable=False),
        pa.field("available_documents", pa.int64(), nullable=False),
        pa.field("full_passes", pa.int64(), nullable=False),
        pa.field("extra_documents", pa.int64(), nullable=False),
        pa.field("planned_documents", pa.int64(), nullable=False),
        pa.field("planned_tokens", pa.int64(), nullable=False),
        pa.field("source_uris", pa.list_(pa.string()), nullable=False),
    ]
)
_DOCUMENTS_SCHEMA = pa.schema(
    [
        pa.field("domain", pa.string(), nullable=False),
        pa.field("source_uri", pa.string(), nullable=False),
        pa.field("document_index", pa.int64(), nullable=False),
        pa.field("repeat_count", pa.int32(), nullable=False),
        pa.field("token_count", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class DomainPlan:
    """How often each available document of a domain is read."""

    full_passes: int
    extra_documents: int
    planned_tokens: int
    repeat_counts: npt.NDArray[np.int64]


def plan_domain(
    token_counts: npt.NDArray[np.int64], target_tokens: int, *, seed: int, domain: str
) -> DomainPlan:
    """Return the plan that comes nearest to `target_tokens` by the rule of this module.

    Args:
        token_counts: Tokens of each available document, in the order of their numbers i.
        target_tokens: Tokens to read from this domain.
        seed: The job's seed.
        domain: The domain's name, which keys the permutation.
    """
    available = int(token_counts.sum())
    full_passes, missing = divmod(target_tokens, available)
    places = permute(np.arange(len(token_counts)), len(token_counts), seed=seed, domain=domain)
    in_order = np.empty_like(token_counts)
    in_order[places] = token_counts
    reached = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(in_order)])
    extra = int(np.argmin(np.abs(reached - missing)))
    return DomainPlan(
        full_passes=full_passes,
        extra_documents=extra,
        planned_tokens=full_passes * available + int(reached[extra]),
        repeat_counts=full_passes + (places < extra).astype(np.int64),
    )


def write_manifest(
    directory: Path,
    corpus: Corpus,
    shares: Sequence[float],
    spec: JobSpec,
    method: str = "tandem",
) -> ManifestSummary:
    """Write the manifest folder `directory`, whole or not at all, replacing an older one.

    Args:
        directory: The folder; its name becomes the summary's `path`.
        corpus: The domains.
        shares: Share of tokens per domain, in the order of the corpus; sums to 1.
        spec: The resolved specification: target, documents and seed.
        method: What made the shares.

    Raises:
        ValueError: the shares do not belong to the corpus or are not on the simplex.
        DiskFullError: no space is left.
    """
    _require_shares(shares, corpus)
    available = [_available(domain, spec) for domain in corpus.domains]
    target = target_tokens([int(documents["tokens"].sum()) for documents in available], spec)
    targets = largest_remainder(shares, target)
    rows: list[dict[str, Any]] = []
    with whole_directory(directory) as folder:
        with pq.ParquetWriter(
            folder / DOCUMENTS_FILE,
            _DOCUMENTS_SCHEMA,
            compression="zstd",
            use_dictionary=["domain", "source_uri"],
            column_encoding={"document_index": "DELTA_BINARY_PACKED"},
        ) as writer:
            for domain, share, goal, documents in zip(
                corpus.domains, shares, targets, available, strict=True
            ):
                counts = np.asarray(documents["tokens"])
                plan = plan_domain(counts, goal, seed=spec.seed, domain=domain.name)
                rows.append(_row(domain, share, goal, documents, plan))
                _write_documents(writer, domain, documents, plan)
        pq.write_table(
            pa.Table.from_pylist(rows, schema=_DOMAINS_SCHEMA),
            folder / DOMAINS_FILE,
            compression="zstd",
        )
        planned = sum(int(row["planned_tokens"]) for row in rows)
        head = {
            "schema_version": SCHEMA_VERSION,
            "method": method,
            "unit": "tokens" if corpus.packed else "response_tokens",
            "tokenizer": {
                "name": corpus.tokenizer_name,
                "fingerprint": corpus.tokenizer_fingerprint,
                "vocabulary_size": corpus.vocabulary_size,
                "end_of_text": corpus.end_of_text,
            },
            "token_counts_include_end_of_text": True,
            "target_tokens": target,
            "planned_tokens": planned,
            "documents": spec.manifest.documents,
            "seed": spec.seed,
            "selector": {"name": NAME, "version": VERSION},
            "domains": rows,
            "files": [_file_entry(folder / name) for name in (DOCUMENTS_FILE, DOMAINS_FILE)],
        }
        written = canonical_json(head)
        (folder / HEAD_FILE).write_bytes(written)
    return ManifestSummary(
        path=directory.name,
        sha256=hashlib.sha256(written).hexdigest(),
        target_tokens=target,
        planned_tokens=planned,
    )


def available_tokens(corpus: Corpus, spec: JobSpec) -> list[int]:
    """Return the tokens per domain that the manifest can read once, end-of-text included."""
    return [int(_available(domain, spec)["tokens"].sum()) for domain in corpus.domains]


def target_tokens(available: Sequence[int], spec: JobSpec) -> int:
    """Return the tokens that the manifest plans to read: those asked for, or all there are."""
    return spec.manifest.target_tokens or sum(available)


def canonical_json(value: object) -> bytes:
    """Return the one way in which `value` is written: sorted keys, no spaces, UTF-8, a newline."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8") + b"\n"


def _available(domain: Domain, spec: JobSpec) -> npt.NDArray[np.void]:
    """Return the documents that may be read, in the order of their numbers i."""
    chosen = ~domain.documents["duplicate"]
    if spec.manifest.documents == "train":
        chosen &= domain.documents["split"] == Split.TRAIN
    documents = np.asarray(domain.documents[chosen])
    return documents[np.lexsort((documents["document"], documents["uri"]))]


def _row(
    domain: Domain, share: float, target: int, documents: npt.NDArray[np.void], plan: DomainPlan
) -> dict[str, Any]:
    available_tokens = int(documents["tokens"].sum())
    return {
        "domain": domain.name,
        "share": float(share),
        "target_tokens": target,
        "available_tokens": available_tokens,
        "epochs": target / available_tokens,
        "available_documents": len(documents),
        "full_passes": plan.full_passes,
        "extra_documents": plan.extra_documents,
        "planned_documents": int(plan.repeat_counts.sum()),
        "planned_tokens": plan.planned_tokens,
        "source_uris": domain.source_uris,
    }


def _write_documents(
    writer: pq.ParquetWriter, domain: Domain, documents: npt.NDArray[np.void], plan: DomainPlan
) -> None:
    read = plan.repeat_counts > 0
    if not read.any():
        return
    documents = documents[read]
    uris = pa.array(domain.source_uris, pa.string())
    columns = [
        pa.array([domain.name] * len(documents), pa.string()),
        uris.take(pa.array(documents["uri"])),
        pa.array(documents["document"]),
        pa.array(plan.repeat_counts[read].astype(np.int32)),
        pa.array(documents["tokens"]),
    ]
    writer.write_table(pa.table(columns, schema=_DOCUMENTS_SCHEMA))


def _file_entry(path: Path) -> dict[str, Any]:
    written = path.read_bytes()
    return {
        "path": path.name,
        "sha256": hashlib.sha256(written).hexdigest(),
        "rows": int(pq.read_metadata(path).num_rows),
        "bytes": len(written),
    }


def _require_shares(shares: Sequence[float], corpus: Corpus) -> None:
    # Learned shares come from 32-bit arithmetic, hence the tolerance.
    on_simplex = all(share >= 0 for share in shares) and abs(math.fsum(shares) - 1) < 1e-4  # noqa: PLR2004
    if len(shares) != len(corpus.domains) or not on_simplex:
        msg = f"need {len(corpus.domains)} shares that sum to 1, none below 0, got {list(shares)}"
        raise ValueError(msg)
