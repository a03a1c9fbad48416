"""Heads of manifests for exporters, without files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import Lengths, MixturePlan, plan_export
from tandem_engine.exports.registry import WrittenExport, export_mixture


@dataclass(frozen=True)
class Given:
    """A domain: share of tokens, and lengths (all tokens, tokens that count, documents)."""

    share: float
    lengths: Sequence[tuple[int, int, int]]
    held_out: int = 0
    maximum_epochs: float | None = None
    records: str = "text"
    uris: Sequence[tuple[str, str, int]] = ()
    """Files: URI, format, tokens."""

    @property
    def documents(self) -> int:
        return sum(count for *_, count in self.lengths)

    @property
    def tokens(self) -> int:
        return sum(loss * count for _, loss, count in self.lengths)


def head_of(given: dict[str, Given], *, target: int, unit: str = "tokens") -> dict[str, Any]:
    """Return what exporters read of a `manifest.json`."""
    return {
        "schema_version": 2,
        "mixture_id": "mix_0123456789abcdef0123",
        "method": "tandem",
        "unit": unit,
        "seed": 17,
        "target_tokens": target,
        "tokenizer": {"name": "bytes"},
        "sources": {
            name: {"records": one.records, "text_field": "text"}
            | ({} if one.maximum_epochs is None else {"maximum_epochs": one.maximum_epochs})
            for name, one in given.items()
        },
        "domains": [
            {
                "domain": name,
                "slug": name.lower().replace(" ", "-").replace("/", "-"),
                "share": one.share,
                "available_tokens": one.tokens,
                "available_documents": one.documents,
                "records": one.documents + one.held_out,
            }
            for name, one in given.items()
        ],
    }


def lengths_of(given: dict[str, Given]) -> dict[str, Lengths]:
    """Return the lengths as the job counted them."""
    return {"job": {name: list(one.lengths) for name, one in given.items()}}


def shards_of(given: dict[str, Given]) -> list[dict[str, Any]]:
    """Return rows of `shards.parquet`; a domain lies in one file of JSON lines if none is given."""
    return [
        {"domain": name, "source_uri": uri, "format": format_, "tokens": tokens}
        for name, one in given.items()
        for uri, format_, tokens in one.uris or [(f"/data/{name}.jsonl", "jsonl", one.tokens)]
    ]


def plan(
    given: dict[str, Given], *, target: int = 10_000, unit: str = "tokens", **options: Any
) -> MixturePlan:
    """Return the plan of such a manifest."""
    head = head_of(given, target=target, unit=unit)
    return plan_export(head, lengths_of(given), shards_of(given), ExportOptions(**options))


def written(
    name: str,
    given: dict[str, Given],
    *,
    target: int = 10_000,
    unit: str = "tokens",
    **options: Any,
) -> WrittenExport:
    """Return the export of such a manifest."""
    head = head_of(given, target=target, unit=unit)
    lengths = lengths_of(given)
    return export_mixture(name, head, lengths, shards_of(given), ExportOptions(**options))
