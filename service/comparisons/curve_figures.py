"""Figures of a comparison's trajectories: alpha, twins, Delta, gap, gradients."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from matplotlib.figure import Figure

from service.comparisons.outcomes import CellOutcome, Curve
from service.comparisons.palette import OTHERS, colours, grouped
from service.comparisons.schemas import ComparisonTable

COLUMNS = 4
LEAST_POINTS = 2
"""A rule has one point, which is no curve."""

Values = Callable[[Curve], Sequence[float | None]]


def alphas(figure: Figure, table: ComparisonTable, outcomes: Sequence[CellOutcome]) -> bool:
    """Draw the shares of each entry that learns as stacked areas, small multiples."""
    curves = {entry: of_seeds[0] for entry, of_seeds in _by_entry(table, outcomes).items()}
    if not curves or not table.domains:
        return False
    lines = -(-len(curves) // COLUMNS)
    figure.set_figheight(0.8 + 1.9 * lines)
    grid = figure.subplots(lines, min(COLUMNS, len(curves)), squeeze=False, sharey=True)
    places = [axes for line in grid for axes in line]
    # The domains of the figure of mixtures, so that a colour means the same everywhere.
    names, _ = grouped(table.domains, [row.alpha for row in table.entries if row.alpha])
    colour = colours(names) | {n: OTHERS for n in names if n not in table.domains}
    kept = [table.domains.index(name) for name in names if name in table.domains]
    areas = []
    for axes, (entry, curve) in zip(places, curves.items(), strict=False):
        rows = [[row[place] for place in kept] for row in curve.alpha]
        if len(names) > len(kept):
            rows = [[*row, max(0.0, 1.0 - sum(row))] for row in rows]
        areas = axes.stackplot(
            curve.step,
            list(zip(*rows, strict=True)),
            colors=[colour[name] for name in names],
            edgecolor="white",
            linewidth=0.4,
        )
        axes.set(title=entry, ylim=(0, 1), xlim=(curve.step[0], curve.step[-1]))
        axes.grid(visible=False)
        axes.locator_params(axis="x", nbins=3)
    for axes in places[len(curves) :]:
        axes.set_axis_off()
    figure.legend(areas, names, loc="outside upper center", ncols=min(6, len(names)), fontsize=8)
    figure.supxlabel("steps of the proxy", fontsize=9)
    return True


def twin_distances(figure: Figure, table: ComparisonTable, outcomes: Sequence[CellOutcome]) -> bool:
    """Draw the distance of the twins."""
    curves = _by_entry(table, outcomes)
    return _lines(figure, curves, lambda curve: curve.twin_distance, "norm of u - w", log=True)


def gradient_cosines(
    figure: Figure, table: ComparisonTable, outcomes: Sequence[CellOutcome]
) -> bool:
    """Draw how the gradients of two batches agree."""
    curves = _by_entry(table, outcomes)
    return _lines(figure, curves, lambda curve: curve.gradient_cosine, "cosine")


def gaps(figure: Figure, table: ComparisonTable, outcomes: Sequence[CellOutcome]) -> bool:
    """Draw the generalisation gap, mean over domains."""

    def mean_gap(curve: Curve) -> list[float | None]:
        return [None if row is None else fmean(row) for row in curve.gap]

    return _lines(figure, _by_entry(table, outcomes), mean_gap, "nats per token")


def delta_cosines(figure: Figure, table: ComparisonTable, outcomes: Sequence[CellOutcome]) -> bool:
    """Draw the spread of Delta's cosine for each entry that has one."""
    found = {}
    for entry, curves in _by_entry(table, outcomes).items():
        values = [v for curve in curves for v in curve.delta_cosine if v is not None]
        if values:
            found[entry] = values
    if not found:
        return False
    figure.set_figheight(1.3 + 0.4 * len(found))
    axes = figure.subplots()
    axes.boxplot(
        list(found.values())[::-1],
        orientation="horizontal",
        tick_labels=list(found)[::-1],
        showmeans=True,
        widths=0.55,
        flierprops={"markersize": 2.5},
    )
    axes.axvline(0, color=OTHERS, linewidth=1)
    axes.set(xlim=(-1.05, 1.05), xlabel="cosine")
    return True


def _by_entry(table: ComparisonTable, outcomes: Sequence[CellOutcome]) -> dict[str, list[Curve]]:
    """Return the curves of each entry in the table's order, seed by seed."""
    found: dict[str, list[Curve]] = {}
    for row in table.entries:
        cells = sorted((c for c in outcomes if c.entry == row.entry), key=lambda cell: cell.seed)
        curves = [c.curve for c in cells if c.curve and len(c.curve.step) >= LEAST_POINTS]
        if curves:
            found[row.entry] = curves
    return found


def _lines(
    figure: Figure,
    curves: Mapping[str, Sequence[Curve]],
    values: Values,
    label: str,
    *,
    log: bool = False,
) -> bool:
    """Draw the mean over seeds of a quantity for each entry that has it; a point where all do."""
    lines = {}
    for entry, of_seeds in curves.items():
        points: dict[int, list[float]] = {}
        for curve in of_seeds:
            for step, value in zip(curve.step, values(curve), strict=True):
                if value is not None:
                    points.setdefault(step, []).append(value)
        whole = {step: fmean(v) for step, v in points.items() if len(v) == len(of_seeds)}
        if len(whole) >= LEAST_POINTS:
            lines[entry] = dict(sorted(whole.items()))
    if not lines:
        return False
    axes = figure.subplots()
    colour = colours(list(curves))
    dashes = ("-", "--", ":")
    for place, (entry, line) in enumerate(lines.items()):
        axes.plot(
            list(line),
            list(line.values()),
            color=colour[entry],
            linestyle=dashes[place // 6 % len(dashes)],
            label=entry,
        )
    if log:
        axes.set_yscale("log")
    axes.set(xlabel="steps of the proxy", ylabel=label)
    figure.legend(loc="outside right center", fontsize=8)
    return True
