"""What the demonstration leaves: tables for the terminal and `report.md`, and small files."""

import json
from collections.abc import Mapping, Sequence

from demo.corpus.build import CorpusRecord
from tandem_engine.contracts.records import ResultRecord, StageTwoRow


def mixture_table(result: ResultRecord) -> list[list[str]]:
    """Return the mixture as rows of text, the header first."""
    mixture = result.mixture
    epochs = next((row.epochs for row in result.stage_two if row.mixture == "tandem"), None)
    header = ["domain", "natural", "learned", "change", "epochs in stage two"]
    rows = [
        [
            domain,
            f"{mixture.natural[index]:.1%}",
            f"{mixture.alpha[index]:.1%}",
            f"x {mixture.alpha[index] / mixture.natural[index]:.2f}",
            f"{epochs[index]:.1f}" if epochs else "-",
        ]
        for index, domain in enumerate(mixture.domains)
    ]
    return [header, *rows]


def comparison_table(domains: Sequence[str], rows: Sequence[StageTwoRow]) -> list[list[str]]:
    """Return test perplexity per mixture as rows of text, the best average first."""
    header = ["mixture", "average", "± sd of loss", *domains]
    ordered = sorted(rows, key=lambda row: row.average_perplexity)
    return [
        header,
        *(
            [
                row.mixture,
                f"{row.average_perplexity:.3f}",
                "-" if row.average_loss_sd is None else f"{row.average_loss_sd:.4f}",
                *(f"{value:.2f}" for value in row.perplexity),
            ]
            for row in ordered
        ),
    ]


def aligned(table: Sequence[Sequence[str]]) -> str:
    """Return a table for the terminal: the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def markdown(table: Sequence[Sequence[str]], *, numbers: bool = True) -> str:
    """Return a table in Markdown; columns of `numbers` stand to the right."""
    rule = ["---", *["---:" if numbers else "---"] * (len(table[0]) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [table[0], rule, *table[1:]])


def report(
    result: ResultRecord, corpus: CorpusRecord, durations: Mapping[str, float], machine: str
) -> str:
    """Return `report.md`."""
    verdict = result.verdict
    warnings = "".join(f"\n- {warning}" for warning in verdict.warnings)
    seeds = max((row.seeds for row in result.stage_two), default=0)
    sources = [["domain", "nature", "documents", "bytes", "from", "licence"]]
    sources += [
        [
            domain.name,
            domain.nature,
            str(domain.documents),
            f"{domain.bytes:,}",
            ", ".join(f"{origin.package} {origin.version}" for origin in domain.origins),
            domain.origins[0].licence,
        ]
        for domain in corpus.domains
    ]
    times = [["part", "seconds"], *([name, f"{value:.1f}"] for name, value in durations.items())]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(result.versions.items()))
    return f"""# A mixture of {len(result.mixture.domains)} real text domains

**{verdict.outcome}**: {verdict.text}{warnings}

## Mixture

Shares are of tokens. The learned mixture is the mean of the end of the trajectory.

{markdown(mixture_table(result))}

![trajectory](trajectory.png)

## Evidence

Test perplexity of fresh models, {seeds} per mixture, all trained at the same budget.

{markdown(comparison_table(result.mixture.domains, result.stage_two))}

![comparison](comparison.png)

## Data

{markdown(sources, numbers=False)}

## Resampling manifest

`manifest/manifest.json` and its Parquet files: {result.manifest.planned_tokens:,} tokens planned,
sha256 `{result.manifest.sha256}`.

## Time

{result.episodes} episodes, {result.steps} steps of u; {machine}; {versions}.

{markdown(times)}
"""


def mixture_json(result: ResultRecord) -> str:
    """Return `mixture.json`: shares per domain, with the verdict."""
    mixture = result.mixture
    content = {
        "unit": "tokens",
        "shares": dict(zip(mixture.domains, mixture.alpha, strict=True)),
        "trajectory_mean": dict(zip(mixture.domains, mixture.trajectory_mean, strict=True)),
        "last": dict(zip(mixture.domains, mixture.last, strict=True)),
        "natural": dict(zip(mixture.domains, mixture.natural, strict=True)),
        "verdict": result.verdict.model_dump(),
    }
    return json.dumps(content, indent=2) + "\n"
