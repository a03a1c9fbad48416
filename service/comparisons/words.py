"""Sentences about a comparison's table: who is ahead, and what is only noise."""

from collections.abc import Iterable

from service.comparisons.schemas import ComparisonTable

LEVEL = 0.05
"""p below which two entries count as different."""


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
    mine = {pair.second: pair for pair in table.pairs if pair.first == best.entry}
    if not mine:
        return [*sentences, "With one seed nothing tells a difference from noise."]
    order = [row.entry for row in done[1:]]
    clear = [name for name in order if name in mine and mine[name].p < LEVEL]
    certain = [name for name in clear if mine[name].p_holm < LEVEL]
    if clear:
        sentences.append(
            f"It is better than {_listed(clear)}, each taken alone (paired t-tests over seeds, "
            f"p < {LEVEL})."
        )
        many = f"Corrected for the number of pairs, {len(table.pairs)}, "
        sentences.append(
            f"{many}this holds for {_listed(certain)}."
            if certain
            else f"{many}so few seeds leave none of these differences certain."
        )
    alike = [name for name in order if name not in clear]
    if alike:
        sentences.append(f"It cannot be told apart from {_listed(alike)}.")
    return sentences


def probability(p: float) -> str:
    """Return a p-value as it is read."""
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"  # noqa: PLR2004 - what four digits show


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
