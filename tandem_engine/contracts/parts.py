"""Whether a domain's documents can fill three parts; service and engine go by the same rule."""

from collections.abc import Sequence


def three_parts(tokens: Sequence[int]) -> list[int]:
    """Return a part (0, 1 or 2) for each document: largest first, each into the emptiest part.

    Args:
        tokens: Tokens of each document.
    """
    held = [0, 0, 0]
    parts = [0] * len(tokens)
    for position in sorted(range(len(tokens)), key=lambda p: (-tokens[p], p)):
        part = held.index(min(held))
        parts[position] = part
        held[part] += tokens[position]
    return parts


def fills_three_parts(tokens: Sequence[int], least: int) -> bool:
    """Tell if `three_parts` gives each part `least` tokens or more."""
    held = [0, 0, 0]
    for part, count in zip(three_parts(tokens), tokens, strict=True):
        held[part] += count
    return min(held) >= least
