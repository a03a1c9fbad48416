"""MosaicML Streaming and LLM Foundry: an exact number of samples per stream (`choose`).

`proportion` repeats a domain silently and `repeat` truncates (0.29 of 100 is 28), so neither is
written.
"""

from typing import Any

from tandem_engine.contracts.units import largest_remainder
from tandem_engine.exports.base import Export, Exporter, as_yaml, path
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import MixturePlan


def _mosaic(plan: MixturePlan, options: ExportOptions) -> Export:
    if options.packed:
        total = max(1, round(plan.tokens / options.sequence_length))
        chosen = largest_remainder([domain.token_share for domain in plan.domains], total)
        longest, sample = options.sequence_length, f"{options.sequence_length} tokens (packed)"
    else:
        chosen = [domain.target_documents for domain in plan.domains]
        longest, sample = options.truncate_tokens or options.sequence_length, "a document"
    streams: dict[str, Any] = {}
    warnings = []
    for domain, count in zip(plan.domains, chosen, strict=True):
        if not count:
            warnings.append(f"domain {domain.name!r} comes to less than one sample and is left out")
            continue
        streams[domain.slug] = {
            "remote": path(domain, options, "data/{slug}"),
            "local": f"streaming-cache/{plan.mixture_id}/{domain.slug}",
            "split": None,
            "choose": count,
        }
    if not options.packed and options.truncate_tokens is None:
        warnings.append(
            "LLM Foundry cuts documents off at max_seq_len: export with truncate_tokens of that "
            "length, so that the shares hold after it"
        )
    dataset = {
        "streams": streams,
        "shuffle": True,
        "shuffle_seed": plan.seed,
        "max_seq_len": longest,
    }
    config = {"train_loader": {"name": "text", "dataset": dataset, "drop_last": True}}
    return Export(
        files={"train_loader.yaml": as_yaml(config)},
        usage=(
            (
                "merge into the LLM Foundry configuration; or "
                "StreamingDataset(streams=[Stream(**s) for s in dataset['streams'].values()], ...)"
            ),
            f"a sample is {sample}; one epoch (max_duration: 1ep) is the mixture",
            "`tandem materialise --format mds` writes the resampled corpus as MDS instead",
        ),
        warnings=tuple(warnings),
    )


MOSAIC = Exporter(
    "mosaic",
    "MosaicML Streaming / LLM Foundry streams",
    "documents",
    "mosaicml/streaming 89e7bb90 streaming/base/stream.py; mosaicml/llm-foundry 8c8dd48f "
    "llmfoundry/data/text_data.py; mosaicml-streaming 0.13.0",
    _mosaic,
)
