"""A comparison's table as Markdown: losses, cost, mixtures, differences, failures."""

from collections.abc import Sequence

from service.comparisons.schemas import ComparisonTable, EntryRow
from service.comparisons.words import findings, probability

SHOWN_PAIRS = 50


def as_markdown(title: str, table: ComparisonTable) -> str:
    """Return the report as Markdown."""
    parts = [f"# {_text(title)}", *map(_text, findings(table)), "## Test perplexity"]
    parts.append(
        _grid(
            ["entry", "seeds", "average", *table.evaluated_on],
            [
                [
                    row.entry,
                    f"{row.seeds_done} of {row.seeds_total}",
                    _with_sd(row.average_perplexity, row.average_perplexity_sd, 3),
                    *_listed(row.perplexity, row.perplexity_sd, len(table.evaluated_on), 2),
                ]
                for row in table.entries
            ],
        )
    )
    if any(row.metrics for row in table.entries):
        parts += ["## Scores of tasks", _scores(table)]
    parts += ["## Cost of learning, per seed", _cost(table.entries), "## Mixtures"]
    parts.append(
        _grid(
            ["entry", *table.domains],
            [
                [row.entry, *_listed(row.alpha, row.alpha_sd, len(table.domains), 3)]
                for row in table.entries
            ],
        )
    )
    if table.pairs:
        parts += ["## Differences", _differences(table)]
    failed = [
        f"- {_text(row.entry)}, {_text(why)}" for row in table.entries for why in row.failures
    ]
    if failed:
        parts += ["## Failed cells", "\n".join(failed)]
    return "\n\n".join(parts) + "\n"


def _scores(table: ComparisonTable) -> str:
    return _grid(
        ["entry", "average", *table.domains],
        [
            [
                row.entry,
                _with_sd(row.metric_average, None, 3),
                *_listed(row.metrics, row.metrics_sd, len(table.domains), 3),
            ]
            for row in table.entries
        ],
    )


def _cost(entries: Sequence[EntryRow]) -> str:
    return _grid(
        ["entry", "seconds", "steps of plain training", "tokens", "FLOPs"],
        [
            [
                row.entry,
                _with_sd(row.learning_seconds, row.learning_seconds_sd, 1),
                _with_sd(row.proxy_steps, None, 0),
                "" if row.tokens is None else f"{row.tokens:.3g}",
                "" if row.flops is None else f"{row.flops:.3g}",
            ]
            for row in entries
        ],
    )


def _differences(table: ComparisonTable) -> str:
    rows = [
        [
            pair.first,
            pair.second,
            f"{pair.difference:+.4f} ± {pair.standard_error:.4f}",
            str(pair.seeds),
            probability(pair.p),
            probability(pair.p_holm),
        ]
        for pair in table.pairs[:SHOWN_PAIRS]
    ]
    grid = _grid(["lower", "higher", "nats per token", "seeds", "p", "p, corrected"], rows)
    left = len(table.pairs) - len(rows)
    return f"{grid}\n\nAnd {left} more pairs, less certain." if left else grid


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [list(header), ["---", *["---:"] * (len(header) - 1)], *map(list, rows)]
    return "\n".join("| " + " | ".join(map(_text, line)) + " |" for line in lines)


def _listed(
    values: Sequence[float | None] | None,
    spread: Sequence[float | None] | None,
    count: int,
    digits: int,
) -> list[str]:
    if values is None:
        return [""] * count
    pairs = zip(values, spread or [None] * count, strict=True)
    return [_with_sd(value, sd, digits) for value, sd in pairs]


def _with_sd(value: float | None, sd: float | None, digits: int) -> str:
    if value is None:
        return ""
    shown = f"{value:.{digits}f}"
    return shown if sd is None else f"{shown} ± {sd:.{digits}f}"


def _text(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")
