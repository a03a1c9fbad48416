"""Megatron-Energon: exact repetitions (`blend_epochized`), or random draws (`blend`)."""

from typing import Any

from tandem_engine.exports.base import Export, Exporter, as_yaml, exact, path
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import MixturePlan

_DEFAULT = "./{slug}"


def _energon(plan: MixturePlan, options: ExportOptions) -> Export:
    places = [path(domain, options, _DEFAULT) for domain in plan.domains]
    named: list[dict[str, Any]] = [
        {"path": place, "subflavors": {"domain": domain.name}}
        for place, domain in zip(places, plan.domains, strict=True)
    ]
    repeated = [
        {"repetitions": domain.row_epochs, **entry}
        for domain, entry in zip(plan.domains, named, strict=True)
    ]
    weights = exact([domain.document_share for domain in plan.domains])
    weighted = [{"weight": weight, **entry} for weight, entry in zip(weights, named, strict=True)]
    return Export(
        files={
            "blend_epochized.yaml": as_yaml(_metadataset("blend_epochized", repeated)),
            "blend.yaml": as_yaml(_metadataset("blend", weighted)),
        },
        usage=(
            (
                "get_train_dataset('blend_epochized.yaml', repeat=False, ...) reads the mixture "
                "once; each worker rounds a fraction of its samples down, and takes them from the "
                "head"
            ),
            "get_train_dataset('blend.yaml', ...) draws samples at random for ever",
            (
                "each path is a prepared dataset (`energon prepare`), relative to the YAML file; "
                "a sample is a document unless the task encoder packs"
            ),
        ),
        warnings=(
            (
                "a fraction of a pass reads the head of each worker's part: shuffle the samples "
                "before `energon prepare` if they are sorted"
            ),
        ),
    )


def _metadataset(kind: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "__module__": "megatron.energon",
        "__class__": "MetadatasetV2",
        "splits": {"train": {kind: entries}},
    }


ENERGON = Exporter(
    "energon",
    "Megatron-Energon metadataset",
    "documents",
    "NVIDIA/Megatron-Energon bef8be2 src/megatron/energon/metadataset/metadataset_v2.py, "
    "docs/source/advanced/epochized_blending.md; megatron-energon 7.4.1",
    _energon,
)
