"""Colours that stay with a domain or an entry, and that colour-blind readers can tell apart."""

from collections.abc import Sequence

# Okabe and Ito's set without yellow, which is hard to see on white, then three of Paul Tol's.
COLOURS = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"),
    *("#332288", "#999933", "#882255", "#44AA99", "#117733", "#AA4499"),
)
OTHERS = "#9a9a9a"
MOST_DOMAINS = 12
"""Domains with a colour of their own; of more, the largest have one."""


def colours(names: Sequence[str]) -> dict[str, str]:
    """Return a colour per name, in turn; it depends on their order alone."""
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}


def grouped(
    domains: Sequence[str], rows: Sequence[Sequence[float]]
) -> tuple[list[str], list[list[float]]]:
    """Return names and shares with at most `MOST_DOMAINS` columns; the small ones are added up.

    Args:
        domains: Names.
        rows: Mixtures, a share per domain.
    """
    if len(domains) <= MOST_DOMAINS:
        return list(domains), [list(row) for row in rows]
    weight = [max(column) for column in zip(*rows, strict=True)]
    ranked = sorted(range(len(domains)), key=lambda place: -weight[place])
    kept = sorted(ranked[: MOST_DOMAINS - 1])
    names = [domains[place] for place in kept]
    shares = [[row[place] for place in kept] for row in rows]
    left = len(domains) - len(kept)
    return [*names, f"{left} others"], [[*row, max(0.0, 1.0 - sum(row))] for row in shares]
