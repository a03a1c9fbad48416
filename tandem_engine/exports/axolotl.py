"""Axolotl, and others without weights: they read the materialised corpus as it is."""

from tandem_engine.exports.base import Export, Exporter, as_yaml
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import MixturePlan


def _axolotl(plan: MixturePlan, options: ExportOptions) -> Export:
    corpus = options.path_template or "corpus"
    entry: dict[str, object] = {
        "path": "json",
        "data_files": [f"{corpus}/part-*.jsonl"],
        "split": "train",
    }
    kinds = {domain.records for domain in plan.domains}
    if kinds == {"messages"}:
        entry |= {"type": "chat_template", "field_messages": "messages"}
    elif kinds == {"prompt_completion"}:
        entry["type"] = {
            "field_instruction": "prompt",
            "field_output": "completion",
            "format": "{instruction}",
            "no_input_format": "{instruction}",
        }
    else:
        entry |= {"type": "completion", "field": "text"}
    config = {
        "datasets": [entry],
        # Both would change the mixture: copies would leak into validation, or be removed.
        "val_set_size": 0,
        "dataset_exact_deduplication": False,
        "shuffle_merged_datasets": False,
    }
    warnings = []
    if len(kinds) > 1:
        warnings.append("the domains' records are of several kinds; Axolotl wants one type each")
    return Export(
        files={"datasets.yaml": as_yaml(config)},
        usage=(
            (
                f"tandem materialise MANIFEST --out {corpus} --format jsonl writes the corpus, "
                "resampled and shuffled; then merge datasets.yaml into the configuration"
            ),
            "Axolotl has no weights: the corpus itself is the mixture, one epoch reads it once",
        ),
        warnings=tuple(warnings),
    )


AXOLOTL = Exporter(
    "axolotl",
    "Axolotl, on the materialised corpus",
    "documents",
    "axolotl-ai-cloud/axolotl 067b021c src/axolotl/utils/data/shared.py",
    _axolotl,
    reads_sources=False,
)
