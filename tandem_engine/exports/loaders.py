"""Loaders of PyTorch that mix by weights: LitData, webdataset, torchdata."""

from tandem_engine.exports.base import Export, Exporter, exact, paths, python_literal
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import MixturePlan

_LITDATA = '''"""The mixture @MIXTURE@ of @SAMPLE@ with LitData."""

from litdata import CombinedStreamingDataset, StreamingDataset
@IMPORT@
SEED = @SEED@
# domain, folder, weight
PLAN = @PLAN@


def mixture(epoch=0, **options):
    """Return the mixture; it ends when a domain is exhausted. Make it anew for every epoch.

    LitData draws the same domains in every epoch: with one seed, what chance added to a domain
    in the first epoch is added in all.
    """
    parts = [
        StreamingDataset(folder, shuffle=True, seed=SEED + epoch@LOADER@, **options)
        for _, folder, _ in PLAN
    ]
    # With weights the default, to iterate over everything, is an error.
    return CombinedStreamingDataset(
        parts, seed=SEED + epoch, weights=[weight for *_, weight in PLAN], iterate_over_all=False
    )
'''

_WEBDATASET = '''"""The mixture @MIXTURE@ of samples with webdataset."""

import random

import webdataset as wds

SEED = @SEED@
# domain, shards, probability of a sample
PLAN = @PLAN@


def mixture(worker=0):
    """Return the mixture, without end; give every worker its own number.

    RandomMix draws from Python's global generator, which nobody else seeds, and a shuffle from one
    that is seeded by the clock.
    """
    random.seed(SEED + worker)
    parts = [
        wds.WebDataset(shards, shardshuffle=False, empty_check=False)
        .shuffle(1000, rng=random.Random(f"{SEED} {worker} {domain}"))
        .repeat()
        for domain, shards, _ in PLAN
    ]
    return wds.RandomMix(parts, probs=[probability for *_, probability in PLAN])
'''

_TORCHDATA = '''"""The mixture @MIXTURE@ of samples with torchdata's nodes."""

from torchdata.nodes import MultiNodeWeightedSampler, StopCriteria

SEED = @SEED@
# domain: weight of a sample
WEIGHTS = @WEIGHTS@


def mixture(nodes, rank=0, world_size=1):
    """Return the mixture of `nodes`, a node by domain, without end."""
    return MultiNodeWeightedSampler(
        nodes,
        WEIGHTS,
        stop_criteria=StopCriteria.CYCLE_FOREVER,
        seed=SEED,
        rank=rank,
        world_size=world_size,
    )
'''


def _litdata(plan: MixturePlan, options: ExportOptions) -> Export:
    shares = [d.token_share if options.packed else d.document_share for d in plan.domains]
    rows = [
        [domain.name, paths(domain, options, "data/{slug}", "litdata")[0], weight]
        for domain, weight in zip(plan.domains, exact(shares), strict=True)
    ]
    script = _LITDATA.replace("@PLAN@", python_literal(rows))
    if options.packed:
        sample = f"sequences of {options.sequence_length} tokens"
        loader = f", item_loader=TokensLoader(block_size={options.sequence_length})"
        imported = "from litdata.streaming.item_loader import TokensLoader\n"
    else:
        sample, loader, imported = "documents", "", ""
    passes = max(domain.row_passes for domain in plan.domains)
    warnings = []
    if passes > 1:
        warnings.append(
            "LitData never repeats: the mixture ends with the first exhausted domain; train "
            f"about {passes} epochs, mixture(epoch=0), mixture(epoch=1) and so on, each of which "
            "keeps the shares"
        )
    return Export(
        files={
            "mixture.py": script.replace("@SAMPLE@", sample)
            .replace("@LOADER@", loader)
            .replace("@IMPORT@", imported)
            .replace("@MIXTURE@", plan.mixture_id)
            .replace("@SEED@", str(plan.seed))
        },
        usage=("from mixture import mixture; dataset = mixture(epoch=number of the epoch)",),
        warnings=tuple(warnings),
    )


def _webdataset(plan: MixturePlan, options: ExportOptions) -> Export:
    shares = exact([domain.document_share for domain in plan.domains])
    rows = [
        [domain.name, list(paths(domain, options, "data/{slug}.tar", "webdataset")), share]
        for domain, share in zip(plan.domains, shares, strict=True)
    ]
    script = (
        _WEBDATASET.replace("@PLAN@", python_literal(rows))
        .replace("@MIXTURE@", plan.mixture_id)
        .replace("@SEED@", str(plan.seed))
    )
    return Export(
        files={"mixture.py": script},
        usage=(
            "from mixture import mixture; dataset = mixture(worker=number of the worker)",
            f"{plan.documents} samples are the mixture once",
        ),
    )


def _torchdata(plan: MixturePlan, options: ExportOptions) -> Export:
    del options
    shares = exact([domain.document_share for domain in plan.domains])
    # Floats, not integers: the sampler refuses integers.
    weights = {domain.name: float(s) for domain, s in zip(plan.domains, shares, strict=True)}
    script = (
        _TORCHDATA.replace("@WEIGHTS@", python_literal(weights))
        .replace("@MIXTURE@", plan.mixture_id)
        .replace("@SEED@", str(plan.seed))
    )
    return Export(
        files={"mixture.py": script},
        usage=(
            "from mixture import mixture; node = mixture({name: node, ...})",
            f"{plan.documents} samples are the mixture once",
        ),
    )


LITDATA = Exporter(
    "litdata",
    "LitData CombinedStreamingDataset",
    "documents",
    "Lightning-AI/litData bef28be litdata/streaming/combined.py; litdata 0.2.76",
    _litdata,
)
WEBDATASET = Exporter(
    "webdataset",
    "webdataset RandomMix",
    "documents",
    "webdataset/webdataset e0953f9 src/webdataset/mix.py; webdataset 1.0.2",
    _webdataset,
)
TORCHDATA = Exporter(
    "torchdata",
    "torchdata MultiNodeWeightedSampler",
    "documents",
    "pytorch/data 088e4347 torchdata/nodes/samplers/multi_node_weighted_sampler.py; "
    "torchdata 0.11.0",
    _torchdata,
)
