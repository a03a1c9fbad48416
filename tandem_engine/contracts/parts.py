"""Whether a source's documents can fill its parts; service and engine go by the same rule."""

from collections.abc import Sequence


def even_parts(tokens: Sequence[int], count: int) -> list[int]:
    """Return a part from 0 for each document: largest first, each into the emptiest part.

    Args:
        tokens: Tokens of each document.
        count: Number of parts.
    """
    held = [0] * count
    parts = [0] * len(tokens)
    for position in sorted(range(len(tokens)), key=lambda p: (-tokens[p], p)):
        part = held.index(min(held))
        parts[position] = part
        held[part] += tokens[position]
    return parts


def fills_parts(tokens: Sequence[int], least: int, count: int) -> bool:
    """Tell if `even_parts` gives each of `count` parts `least` tokens or more."""
    held = [0] * count
    for part, size in zip(even_parts(tokens, count), tokens, strict=True):
        held[part] += size
    return min(held) >= least
