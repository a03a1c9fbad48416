"""Megatron-LM, NeMo 2 and GPT-NeoX: weights of sequences cut from joined documents, so of tokens.

Megatron repeats a domain without a word, refuses weights of 0, and reads a list whose weights and
prefixes are out of order as a list of prefixes: so weights come first and are never 0.
"""

from tandem_engine.errors import ExportRefusedError
from tandem_engine.exports.base import Export, Exporter, as_json, as_yaml, exact, paths
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import MixturePlan, PlannedDomain

_DEFAULT = "data/{slug}_text_document"
_MOST_PREFIXES = 32_767  # Megatron numbers them with 16 bits


def blend(plan: MixturePlan, options: ExportOptions) -> list[tuple[float, str]]:
    """Return weights and prefixes; the weight of a domain in several files is split by tokens.

    Raises:
        ExportRefusedError: there are more prefixes than the trainer can number, or one is twice.
    """
    pairs = [
        (domain.token_share * part, prefix)
        for domain in plan.domains
        for part, prefix in _prefixes(domain, options)
    ]
    prefixes = [prefix for _, prefix in pairs]
    if len(set(prefixes)) < len(prefixes):
        raise ExportRefusedError(
            "several domains have the same prefix",
            field="path_template",
            value=options.path_template,
            hint="write {slug} into the template",
        )
    if len(pairs) > _MOST_PREFIXES:
        raise ExportRefusedError(
            f"the blend has {len(pairs)} prefixes, and Megatron takes {_MOST_PREFIXES}",
            field="path_template",
            hint="join the files of a domain, and give their place as path_template",
        )
    weights = exact([weight for weight, _ in pairs])
    return list(zip(weights, prefixes, strict=True))


def _prefixes(domain: PlannedDomain, options: ExportOptions) -> list[tuple[float, str]]:
    found = paths(domain, options, _DEFAULT, "megatron")
    names = [name.removesuffix(".bin").removesuffix(".idx") for name in found]
    if len(names) == 1:
        return [(1.0, names[0])]
    tokens = [file.tokens or 0 for file in domain.files]
    total = sum(tokens)
    pairs = zip(tokens, names, strict=True)
    return [(count / total, name) for count, name in pairs if count]


def _megatron(plan: MixturePlan, options: ExportOptions) -> Export:
    pairs = blend(plan, options)
    flat = [part for weight, prefix in pairs for part in (repr(weight), prefix)]
    samples = -(-plan.tokens // options.sequence_length)
    files = {"blend.json": as_json({"train": flat, "valid": None, "test": None})}
    if not any(part.split() != [part] for part in flat):
        # The text form is split at white space.
        files["blend.txt"] = "".join(f"{weight!r} {prefix}\n" for weight, prefix in pairs)
    return Export(
        files=files,
        usage=(
            (
                f"pass --per-split-data-args-path blend.json (without --split) --seq-length "
                f"{options.sequence_length} --train-samples {samples}"
            ),
            (
                "put your own validation prefixes under `valid`; with blend.txt instead pass "
                "--data-args-path blend.txt --split 100,0,0"
            ),
            "more samples than that repeat domains without a warning",
        ),
    )


def _nemo(plan: MixturePlan, options: ExportOptions) -> Export:
    flat = [part for weight, prefix in blend(plan, options) for part in (repr(weight), prefix)]
    samples = -(-plan.tokens // options.sequence_length)
    return Export(
        files={"paths.json": as_json(flat)},
        usage=(
            (
                "PreTrainingDataModule(paths=json.load(open('paths.json')), split='100,0,0', "
                f"seq_length={options.sequence_length}, num_train_samples={samples})"
            ),
            "for validation give paths={'train': [this list], 'validation': [...], 'test': [...]}",
            "in Megatron-Bridge: GPTDatasetConfig(data_path=json.load(open('paths.json')), ...)",
        ),
    )


def _gpt_neox(plan: MixturePlan, options: ExportOptions) -> Export:
    pairs = blend(plan, options)
    config = {
        "train-data-paths": [prefix for _, prefix in pairs],
        "train-data-weights": [weight for weight, _ in pairs],
        "weight_by_num_documents": False,
    }
    warnings = []
    if len(pairs) > 255:  # noqa: PLR2004 - the width of its index
        warnings.append(f"GPT-NeoX numbers datasets with 8 bits, and these are {len(pairs)}")
    iterations = plan.tokens // options.sequence_length
    return Export(
        files={"data.yml": as_yaml(config)},
        usage=(
            (
                "add data.yml to the configuration files of deepy.py; give as many validation and "
                "test paths and weights as you have"
            ),
            (
                f"the target is {iterations} sequences of {options.sequence_length} tokens: set "
                "train_iters to that divided by the global batch size"
            ),
        ),
        warnings=tuple(warnings),
    )


MEGATRON = Exporter(
    "megatron",
    "Megatron-LM / Megatron Core: per-split JSON and list",
    "tokens",
    "NVIDIA/Megatron-LM d98e8a64 megatron/training/utils/common_utils.py, "
    "megatron/core/datasets/utils.py; megatron-core 0.16.1",
    _megatron,
)
NEMO = Exporter(
    "nemo",
    "NeMo 2 PreTrainingDataModule, Megatron-Bridge GPTDatasetConfig",
    "tokens",
    "NVIDIA/NeMo 8cfedd72 nemo/collections/llm/gpt/data/pre_training.py; "
    "NVIDIA-NeMo/Megatron-Bridge 067f987d src/megatron/bridge/training/config.py",
    _nemo,
)
GPT_NEOX = Exporter(
    "gpt_neox",
    "GPT-NeoX",
    "tokens",
    "EleutherAI/gpt-neox ea7aefd8 configs/local_setup.yml, megatron/data/data_utils.py",
    _gpt_neox,
)
