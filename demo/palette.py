"""Colours that stay with a domain or a mixture, and that colour-blind readers can tell apart."""

from collections.abc import Sequence

# Okabe and Ito's set without yellow, which is hard to see on white, then three of Paul Tol's.
DOMAIN_COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#332288",
    "#999933",
    "#882255",
    "#777777",
)
MIXTURE_COLOURS = {
    "tandem": "#D55E00",
    "natural": "#333333",
    "uniform": "#0072B2",
    "temperature": "#009E73",
    "unimax": "#CC79A7",
}
MIXTURE_MARKERS = {"tandem": "o", "natural": "|", "uniform": "s", "temperature": "^", "unimax": "D"}
INK = "#222222"
FAINT = "#8a8a8a"
GRID = "#e3e3e3"


def domain_colours(domains: Sequence[str]) -> dict[str, str]:
    """Return a colour per domain; it depends on the sorted names alone."""
    ordered = sorted(domains)
    return {name: DOMAIN_COLOURS[i % len(DOMAIN_COLOURS)] for i, name in enumerate(ordered)}


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move label positions apart until neighbours are `gap` from each other, within low..high.

    The order stays; positions that are far apart enough stay where they are.
    """
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    gap = min(gap, (high - low) / max(1, len(positions) - 1))
    upward, downward = [0.0] * len(positions), [0.0] * len(positions)
    floor = low
    for place, index in enumerate(order):
        room_above = gap * (len(order) - 1 - place)
        upward[index] = min(max(positions[index], floor), high - room_above)
        floor = upward[index] + gap
    ceiling = high
    for place, index in enumerate(reversed(order)):
        room_below = gap * (len(order) - 1 - place)
        downward[index] = max(min(positions[index], ceiling), low + room_below)
        ceiling = downward[index] - gap
    # Both keep the gap, so their middle does too, and it stays nearest to where labels belong.
    return [(up + down) / 2 for up, down in zip(upward, downward, strict=True)]
