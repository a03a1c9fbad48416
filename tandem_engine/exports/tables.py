"""Plain files: every number of the mixture as JSON, YAML or CSV, and DoReMi's weights."""

import csv
import io
from typing import Any

from tandem_engine.exports.base import Export, Exporter, as_json, as_yaml, exact
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import MixturePlan


def rows_of(plan: MixturePlan) -> list[dict[str, Any]]:
    """Return a row per domain, those with a share of 0 included."""
    rows: list[dict[str, Any]] = [
        {
            "domain": domain.name,
            "slug": domain.slug,
            "share": domain.share,
            "share_of_all_tokens": domain.token_share,
            "share_of_documents": domain.document_share,
            "epochs": domain.epochs,
            "target_tokens": domain.target_tokens,
            "target_documents": domain.target_documents,
            "available_documents": domain.available_documents,
            "available_tokens": domain.available_tokens,
            "tokens_per_document": domain.mean_tokens,
        }
        for domain in plan.domains
    ]
    keys = list(rows[0])
    rows += [dict.fromkeys(keys, 0) | {"domain": name, "slug": ""} for name in plan.dropped]
    return rows


def _everything(plan: MixturePlan) -> dict[str, Any]:
    return {
        "mixture_id": plan.mixture_id,
        "method": plan.method,
        "unit": plan.unit,
        "tokenizer": plan.tokenizer,
        "documents_counted_by": plan.counted_by,
        "target_tokens": plan.target_tokens,
        "target_documents": plan.documents,
        "seed": plan.seed,
        "domains": rows_of(plan),
    }


def _json(plan: MixturePlan, options: ExportOptions) -> Export:
    del options
    return Export({"mixture.json": as_json(_everything(plan))}, ("shares are fractions of 1",))


def _yaml(plan: MixturePlan, options: ExportOptions) -> Export:
    del options
    return Export({"mixture.yaml": as_yaml(_everything(plan))}, ("shares are fractions of 1",))


def _csv(plan: MixturePlan, options: ExportOptions) -> Export:
    del options
    rows = rows_of(plan)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return Export(
        {"mixture.csv": text.getvalue()}, ("a row per domain, shares are fractions of 1",)
    )


def _doremi(plan: MixturePlan, options: ExportOptions) -> Export:
    del options
    weights = exact([domain.token_share for domain in plan.domains])
    named = dict(zip([domain.name for domain in plan.domains], weights, strict=True))
    config = {"train_domain_weights": named, "eval_domain_weights": named}
    return Export(
        {"domain_weights.json": as_json(config)},
        ("the file that DoReMi's train script reads as domain_config",),
    )


JSON = Exporter(
    "json", "JSON with every unit", "any", "docs/exports.md", _json, reads_sources=False
)
YAML = Exporter(
    "yaml", "YAML with every unit", "any", "docs/exports.md", _yaml, reads_sources=False
)
CSV = Exporter("csv", "CSV with every unit", "any", "docs/exports.md", _csv, reads_sources=False)
DOREMI = Exporter(
    "doremi",
    "DoReMi domain weights",
    "tokens",
    "sangmichaelxie/doremi configs/pile_uniform.json",
    _doremi,
)
