"""LLaMA-Factory: a number of samples per dataset, which are concatenated."""

from typing import Any

from tandem_engine.exports.base import Export, Exporter, as_json, as_yaml, paths
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import MixturePlan, PlannedDomain

_REMOTE = ("s3:", "gs:", "gcs:", "az:", "hf:", "http:", "https:")


def _llama_factory(plan: MixturePlan, options: ExportOptions) -> Export:
    described: dict[str, Any] = {}
    warnings = [
        (
            "more samples than a dataset has are drawn with replacement by an unseeded generator: "
            "counts are exact, the choice differs from run to run"
        ),
    ]
    for domain in plan.domains:
        files = paths(domain, options, "{slug}.jsonl")
        entry: dict[str, Any] = {"file_name": files[0], "num_samples": domain.target_documents}
        if len(files) > 1:
            warnings.append(
                f"domain {domain.name!r} lies in {len(files)} files, and file_name takes one file "
                "or a folder: put them into one"
            )
        if files[0].startswith(_REMOTE) or files[0].endswith((".gz", ".zst")):
            warnings.append(
                f"LLaMA-Factory does not read {files[0]}: download and decompress it, or "
                "materialise the manifest as JSON lines"
            )
        described[domain.slug] = entry | _columns(domain)
    config = {
        "dataset_dir": ".",
        "dataset": ",".join(described),
        "mix_strategy": "concat",
        "streaming": False,
    }
    return Export(
        files={"dataset.yaml": as_yaml(config), "dataset_info.json": as_json(described)},
        usage=(
            (
                "merge dataset.yaml into the training configuration; dataset_dir is the folder of "
                "dataset_info.json"
            ),
            "num_samples is ignored when streaming",
        ),
        warnings=tuple(warnings),
    )


def _columns(domain: PlannedDomain) -> dict[str, Any]:
    if domain.records == "messages":
        tags = {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        }
        return {"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": tags}
    if domain.records == "prompt_completion":
        return {"columns": {"prompt": "prompt", "response": "completion"}}
    return {"columns": {"prompt": domain.text_field}}


LLAMA_FACTORY = Exporter(
    "llama_factory",
    "LLaMA-Factory dataset_info.json with num_samples",
    "documents",
    "hiyouga/LLaMA-Factory ff6d4d12 src/llamafactory/hparams/data_args.py, "
    "src/llamafactory/data/loader.py; llamafactory 0.9.5",
    _llama_factory,
)
