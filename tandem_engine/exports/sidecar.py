"""The note beside every export: what its numbers are, and what a reader of them must know."""

from collections.abc import Sequence

from tandem_engine.exports.base import Exporter
from tandem_engine.exports.plan import MixturePlan

SIDECAR = "NOTES.md"

_COUNTS = {
    "tokens": "The trainer's weights count tokens, so they are shares of all tokens.",
    "documents": "The trainer's weights count documents (or samples of equal kind), so they are "
    "shares of documents, by each domain's mean length.",
    "passes": "The trainer's weights count passes over a source, so they are epochs.",
    "any": "All units stand beside each other.",
}


def sidecar(
    exporter: Exporter, plan: MixturePlan, usage: Sequence[str], warnings: Sequence[str]
) -> str:
    """Return the note as Markdown."""
    unit = "response tokens" if plan.unit == "response_tokens" else "tokens"
    lines = [
        f"# {plan.mixture_id} for {exporter.title}",
        "",
        (
            f"{_COUNTS[exporter.counts]} The mixture was learned by {plan.method} in {unit}; "
            f"documents were counted with the {plan.counted_by}'s tokenizer. It was written from "
            f"{exporter.source}."
        ),
        "",
        f"Target: {plan.target_tokens} {unit}, {plan.documents} documents, seed {plan.seed}.",
        "",
        (
            f"| domain | share of {unit} | share of all tokens | share of documents | passes "
            "| documents | tokens per document |"
        ),
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {domain.name} | {domain.share:.6f} | {domain.token_share:.6f} "
        f"| {domain.document_share:.6f} | {domain.epochs:.4g} | {domain.target_documents} "
        f"| {domain.mean_tokens:.1f} |"
        for domain in plan.domains
    ]
    if plan.dropped:
        lines += ["", f"Left out, with a share of 0: {', '.join(plan.dropped)}."]
    lines += ["", "## Use", "", *(f"- {line}" for line in usage)]
    if warnings:
        lines += ["", "## Beware", "", *(f"- {line}" for line in warnings)]
    return "\n".join(lines) + "\n"
