"""Hugging Face `datasets`: an exact script of whole passes and draws, and probabilities.

`interleave_datasets` draws examples at random, wants probabilities that sum to 1 within 1.5e-8, and
never ends with one of 0 when it streams.
"""

from collections.abc import Sequence

from tandem_engine.exports.base import Export, Exporter, builder, exact, paths, python_literal
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import MixturePlan

_TAKE = '''"""The mixture @MIXTURE@, exactly: whole passes, then a draw without replacement.

    from take import mixture
    train = mixture()          # a datasets.Dataset of @DOCUMENTS@ rows, shuffled
"""

from datasets import concatenate_datasets, load_dataset

SEED = @SEED@
# domain, loader, files, rows to read
PLAN = @PLAN@


def take(rows, count, seed):
    """Return `count` of `rows`: each floor(count / len(rows)) times, some once more."""
    passes, rest = divmod(count, len(rows))
    parts = [rows] * passes
    if rest:
        parts.append(rows.shuffle(seed=seed).select(range(rest)))
    return concatenate_datasets(parts)


def mixture(columns=@COLUMNS@):
    """Return the mixture with `columns` and `domain`."""
    parts = []
    for place, (domain, loader, files, count) in enumerate(PLAN):
        rows = load_dataset(loader, data_files=files, split="train")
        if any("." in column for column in columns):
            rows = rows.flatten()
        missing = [column for column in columns if column not in rows.column_names]
        if missing:
            raise ValueError(f"{domain} has no column {missing}; it has {rows.column_names}")
        if "domain" in rows.column_names:
            rows = rows.remove_columns("domain")
        rows = rows.select_columns(list(columns)).add_column("domain", [domain] * len(rows))
        parts.append(take(rows, count, SEED + place))
    return concatenate_datasets(parts).shuffle(seed=SEED)


if __name__ == "__main__":
    print(mixture())
'''

_INTERLEAVE = '''"""The mixture @MIXTURE@ by random draws, for data that is streamed."""

from datasets import interleave_datasets, load_dataset

SEED = @SEED@
# domain, loader, files, probability of a document
PLAN = @PLAN@


def mixture(streaming=True, columns=@COLUMNS@):
    """Return the mixture; a domain that ends starts again."""
    parts = []
    for place, (domain, loader, files, _) in enumerate(PLAN):
        rows = load_dataset(loader, data_files=files, split="train", streaming=streaming)
        parts.append(rows.select_columns(list(columns)).shuffle(seed=SEED + place))
    probabilities = [probability for *_, probability in PLAN]
    return interleave_datasets(
        parts, probabilities=probabilities, seed=SEED, stopping_strategy="all_exhausted"
    )


if __name__ == "__main__":
    print(mixture())
'''


def columns_of(plan: MixturePlan) -> tuple[str, ...]:
    """Return the columns that hold a document of the plan's domains."""
    kinds = {domain.records for domain in plan.domains}
    if kinds == {"messages"}:
        return ("messages",)
    if kinds == {"prompt_completion"}:
        return ("prompt", "completion")
    fields = {domain.text_field for domain in plan.domains}
    return (next(iter(fields)),) if len(fields) == 1 else ("text",)


def _huggingface(plan: MixturePlan, options: ExportOptions) -> Export:
    found = [paths(domain, options, "data/{slug}.jsonl") for domain in plan.domains]
    taken = [
        (domain.name, builder(files[0]), list(files), domain.target_documents)
        for domain, files in zip(plan.domains, found, strict=True)
    ]
    shares = exact([domain.document_share for domain in plan.domains])
    drawn = [
        (domain.name, builder(files[0]), list(files), share)
        for domain, files, share in zip(plan.domains, found, shares, strict=True)
    ]
    warnings = []
    if len({(domain.records, domain.text_field) for domain in plan.domains}) > 1:
        warnings.append(
            "the domains' records differ in kind or in the name of their text: rename columns "
            "before they are joined"
        )
    return Export(
        files={
            "take.py": _script(_TAKE, plan, taken),
            "interleave.py": _script(_INTERLEAVE, plan, drawn),
        },
        usage=(
            "from take import mixture; train = mixture()",
            "interleave.py draws at random, for data that is streamed: counts only come near",
        ),
        warnings=tuple(warnings),
    )


def _script(template: str, plan: MixturePlan, rows: Sequence[tuple[object, ...]]) -> str:
    return (
        template.replace("@MIXTURE@", plan.mixture_id)
        .replace("@DOCUMENTS@", str(plan.documents))
        .replace("@SEED@", str(plan.seed))
        .replace("@COLUMNS@", repr(columns_of(plan)))
        .replace("@PLAN@", python_literal([list(row) for row in rows]))
    )


HUGGINGFACE = Exporter(
    "huggingface",
    "Hugging Face datasets: exact script, and interleave_datasets",
    "documents",
    "huggingface/datasets b7cb10b0 src/datasets/combine.py; datasets 5.2.0",
    _huggingface,
)
