"""Megatron-Bridge fine-tuning: a source's weight is passes over its rows, not a share."""

from tandem_engine.exports.base import Export, Exporter, as_json, paths
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import MixturePlan


def _bridge_sft(plan: MixturePlan, options: ExportOptions) -> Export:
    sources: list[str] = []
    weights: list[float] = []
    warnings: list[str] = []
    for domain in plan.domains:
        found = paths(domain, options, "data/{slug}.jsonl")
        if len(found) > 1:
            warnings.append(
                f"domain {domain.name!r} lies in {len(found)} files; join them, or list each with "
                "the same weight, as here"
            )
        sources += found
        weights += [domain.row_epochs] * len(found)
    config = {"source": sources, "source_weights": weights, "blend_seed": plan.seed}
    return Export(
        files={"sft_sources.json": as_json(config)},
        usage=(
            "DirectHFSFTDatasetConfig(**json.load(open('sft_sources.json')), ...)",
            (
                "a weight of 2.5 reads all rows twice and half of them, drawn without replacement, "
                "a third time; one epoch of the result is the mixture"
            ),
        ),
        warnings=tuple(warnings),
    )


BRIDGE_SFT = Exporter(
    "bridge_sft",
    "Megatron-Bridge fine-tuning sources",
    "passes",
    "NVIDIA-NeMo/Megatron-Bridge 067f987d src/megatron/bridge/data/sources/hf.py, "
    "docs/training/data-preparation.md",
    _bridge_sft,
)
