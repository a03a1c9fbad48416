"""OLMo-core (shares of tokens, a cap of repetition) and olmix (weights and repetition factors)."""

import math

from tandem_engine.exports.base import Export, Exporter, as_json, as_yaml, exact, paths
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import MixturePlan

_MARGIN = 1.01  # the request is rounded up to whole batches


def _olmo_core(plan: MixturePlan, options: ExportOptions) -> Export:
    ratios = exact([domain.token_share for domain in plan.domains])
    sources = [
        {
            "source_name": domain.slug,
            "target_ratio": ratio,
            "paths": list(paths(domain, options, "data/{slug}/*.npy", "tokens")),
            # It refuses to repeat beyond this; below 1 it would leave data out without a word.
            "max_repetition_ratio": max(1.0, math.ceil(domain.epochs * _MARGIN * 1000) / 1000),
        }
        for domain, ratio in zip(plan.domains, ratios, strict=True)
    ]
    return Export(
        files={"source_mixture.yaml": as_yaml({"sources": sources})},
        usage=(
            (
                "SourceMixtureDatasetConfig(source_list=SourceMixtureList.from_yaml("
                f"'source_mixture.yaml'), requested_tokens={plan.tokens}, global_batch_size=..., "
                f"seed={plan.seed})"
            ),
            (
                "it rounds requested_tokens up to whole batches, and deals what is added to all "
                "files alike: a request of whole batches keeps the shares"
            ),
            (
                "files are flat token ids without a header; `tandem materialise --format tokens` "
                "writes such"
            ),
        ),
        warnings=(
            (
                "OLMo-core reads the head of each file, whatever its seed: shuffle documents "
                "before they are tokenised if they are sorted"
            ),
        ),
    )


def _olmix(plan: MixturePlan, options: ExportOptions) -> Export:
    del options
    weights = exact([domain.token_share for domain in plan.domains])
    mix = {
        domain.slug: {
            "weight": weight,
            "repetition_factor": max(1.0, math.ceil(domain.epochs * 1000) / 1000),
        }
        for domain, weight in zip(plan.domains, weights, strict=True)
    }
    optimum = [
        {"domain": domain.name, "weight": weight}
        for domain, weight in zip(plan.domains, weights, strict=True)
    ]
    return Export(
        files={"mix.yaml": as_yaml({"mix": mix}), "weights.json": as_json(optimum)},
        usage=(
            "mix.yaml is the `mix` section of a launch configuration",
            "weights.json is what olmix itself writes as its optimum",
        ),
    )


OLMO_CORE = Exporter(
    "olmo_core",
    "OLMo-core source mixture",
    "tokens",
    "allenai/OLMo-core fa6c5014 src/olmo_core/data/source_mixture.py; ai2-olmo-core 3.0.0",
    _olmo_core,
)
OLMIX = Exporter(
    "olmix",
    "olmix mix section and weights",
    "tokens",
    "allenai/olmix 9586977 olmix/plots/plotting.py",
    _olmix,
)
