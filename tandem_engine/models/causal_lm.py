"""Causal language models of `transformers`: fresh ones of a given shape, or one from a folder.

Dropout is off in all of them: the twins would else differ by their masks, and Delta with them.
Pretrained weights are read from safetensors only, and code beside them is never run.
"""

from pathlib import Path
from typing import Any

from torch import nn
from transformers import (
    AutoModelForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from tandem_engine.contracts.models import ModelSpec
from tandem_engine.errors import InvalidSpecError
from tandem_engine.pretrained import is_hub_name, load_pretrained
from tandem_engine.seeding import seed_torch

_DROPOUT_FIELDS = (
    *("dropout", "attention_dropout", "hidden_dropout", "activation_dropout", "resid_pdrop"),
    *("attn_pdrop", "embd_pdrop", "classifier_dropout", "resid_dropout", "embd_dropout"),
)


def build_model(
    spec: ModelSpec,
    *,
    vocabulary: int,
    context_length: int,
    seed: int,
    labels: tuple[str | int, ...],
) -> nn.Module:
    """Return a model; fresh weights are the same for the same seed and labels.

    Args:
        spec: Shape of the model, or where it lies.
        vocabulary: Tokens that the tokenizer knows.
        context_length: Tokens per sequence.
        seed: The job's root seed; without use for pretrained weights.
        labels: Names of the random stream of the weights.

    Raises:
        InvalidSpecError: the model cannot be loaded, or does not fit tokenizer or context.
    """
    if spec.path is None:
        seed_torch(seed, *labels)
        return _of_shape(spec, vocabulary, context_length).train()
    return _of_path(spec, spec.path, vocabulary, context_length, (seed, *labels)).train()


def _of_shape(spec: ModelSpec, vocabulary: int, context_length: int) -> nn.Module:
    common = {
        "vocab_size": vocabulary,
        "hidden_size": spec.hidden_size,
        "num_hidden_layers": spec.layers,
        "num_attention_heads": spec.heads,
        "intermediate_size": spec.intermediate_size,
        "max_position_embeddings": context_length,
        "tie_word_embeddings": spec.tie_embeddings,
        "attention_dropout": 0.0,
        "use_cache": False,
        "attn_implementation": "sdpa",
    }
    model: nn.Module
    if spec.architecture == "qwen2":
        key_value_heads = spec.key_value_heads or spec.heads
        model = Qwen2ForCausalLM(Qwen2Config(num_key_value_heads=key_value_heads, **common))
    else:
        model = GPTNeoXForCausalLM(GPTNeoXConfig(hidden_dropout=0.0, **common))
    return model


def _of_path(
    spec: ModelSpec,
    path: str,
    vocabulary: int,
    context_length: int,
    stream: tuple[str | int, ...],
) -> nn.Module:
    if spec.pretrained:
        _require_safetensors(path)
    config = load_pretrained(
        "AutoConfig", path, spec.revision, field="model.path", needs="config.json"
    )
    _require_fit(config, path, vocabulary, context_length)
    for name in _DROPOUT_FIELDS:
        if hasattr(config, name):
            setattr(config, name, 0.0)
    config.use_cache = False
    model: nn.Module
    if spec.pretrained:
        model = load_pretrained(
            "AutoModelForCausalLM",
            path,
            spec.revision,
            field="model.path",
            needs="config.json and safetensors",
            config=config,
            use_safetensors=True,
            dtype="float32",
        )
        return model
    root, *labels = stream
    seed_torch(int(root), *labels)
    model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    return model.float()


def _require_safetensors(path: str) -> None:
    if not is_hub_name(path) and Path(path).is_dir() and not list(Path(path).glob("*.safetensors")):
        raise InvalidSpecError(
            f"{path} holds no safetensors weights",
            field="model.path",
            value=path,
            hint="save the model again with save_pretrained, which writes model.safetensors; "
            "pickled weights are not read, because reading them can run code",
        )


def _require_fit(config: Any, path: str, vocabulary: int, context_length: int) -> None:
    if config.vocab_size < vocabulary:
        raise InvalidSpecError(
            f"the model {path} knows {config.vocab_size} tokens, the tokenizer {vocabulary}",
            field="model.path",
            value=path,
            hint="set tokenizer to the model's own, kind huggingface and the same path",
        )
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and positions < context_length:
        raise InvalidSpecError(
            f"the model {path} has {positions} positions, fewer than context_length "
            f"{context_length}",
            field="training.context_length",
            value=context_length,
            hint=f"lower training.context_length to {positions} or take another model",
        )
