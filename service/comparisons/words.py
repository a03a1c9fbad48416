"""Sentences about a comparison's table: who is ahead, and what is only noise."""

from service.comparisons.schemas import ComparisonTable

LEVEL = 0.05
"""Corrected p below which two entries count as different."""


def findings(table: ComparisonTable) -> list[str]:
    """Return what can be said of the finished cells, in sentences."""
    done = [row for row in table.entries if row.average_loss is not None]
    missing = sum(row.seeds_total - row.seeds_done for row in table.entries)
    sentences = []
    if missing:
        sentences.append(f"{missing} cells are not finished: these numbers will still change.")
    if not done:
        return [*sentences, "No cell has finished yet."]
    best = done[0]
    sentences.append(
        f"Lowest average test perplexity: {best.entry}, {best.average_perplexity:.3f} "
        f"({best.average_loss:.4f} nats per token)."
    )
    if not table.pairs:
        return [*sentences, "With one seed nothing tells a difference from noise."]
    clear = [p.second for p in table.pairs if p.first == best.entry and p.p_holm < LEVEL]
    alike = [row.entry for row in done[1:] if row.entry not in clear]
    if clear:
        sentences.append(
            f"It is better than {_listed(_in_order(clear, [row.entry for row in done]))} by more "
            f"than noise (t-tests, noise pooled over entries, Holm's correction, p < {LEVEL})."
        )
    if alike:
        sentences.append(f"It cannot be told apart from {_listed(alike)}.")
    return sentences


def probability(p: float) -> str:
    """Return a p-value as it is read."""
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"  # noqa: PLR2004 - what four digits show


def _in_order(names: list[str], order: list[str]) -> list[str]:
    return sorted(names, key=order.index)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
