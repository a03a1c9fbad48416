"""Presets: functions that return a whole set of settings; `resolve` fills a specification in.

A preset never carries domains. Numbers of the paper are in its Table 5.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.errors import InvalidSpecError

Settings = dict[str, Any]


def tiny_restricted() -> Settings:
    """A hundred thousand parameters, small domains that repeat: minutes on two CPU cores.

    Short rows in large batches, because seeds then differ least; K, E and the step's length are
    those that did best on the corpus that settings were chosen on (docs/experiments.md).
    """
    return {
        "model": {"hidden_size": 64, "layers": 2, "heads": 4, "intermediate_size": 256},
        "training": {"batch_size": 32, "context_length": 32, "learning_rate": 4e-3},
        "learning": {
            "total_steps": 800,
            "probing_steps": 20,
            "free_steps": 10,
            "mixture_learning_rate": 0.15,
            "delta_sequences": 32,
        },
        "evaluation": {"steps": 800, "seeds": 2},
    }


def tiny_abundant() -> Settings:
    """As `tiny_restricted` with the paper's K and its longer free phase."""
    settings = tiny_restricted()
    return settings | {
        "learning": settings["learning"]
        | {"probing_steps": 5, "free_steps": 20, "mixture_learning_rate": 0.1}
    }


def tiny_sft() -> Settings:
    """A small Qwen2-shaped model on bytes, fresh: minutes on two CPU cores.

    K = 20 as in the paper: with repeated epochs few probing steps say little.
    """
    return {
        "model": {
            "architecture": "qwen2",
            "hidden_size": 128,
            "layers": 2,
            "heads": 4,
            "key_value_heads": 2,
            "intermediate_size": 352,
            "tie_embeddings": True,
        },
        "training": {"batch_size": 16, "context_length": 128, "learning_rate": 3e-3},
        "learning": {"total_steps": 300, "probing_steps": 20, "free_steps": 10},
        "evaluation": {"steps": 300, "seeds": 2},
    }


_PYTHIA_160M: Settings = {
    "hidden_size": 768,
    "layers": 12,
    "heads": 12,
    "intermediate_size": 3072,
}
_PYTHIA_410M: Settings = {
    "hidden_size": 1024,
    "layers": 24,
    "heads": 16,
    "intermediate_size": 4096,
}
_PYTHIA_1B: Settings = {
    "hidden_size": 2048,
    "layers": 16,
    "heads": 8,
    "intermediate_size": 8192,
}
_PAPER_LEARNING: Settings = {
    "penalty": 1.0,
    "mixture_step": "raw",
    "validation_reduction": "sum",
    "reference_moments": "clone",
}
_PAPER_TRAINING: Settings = {
    "schedule": "cosine",
    "warmup_fraction": 0.0,
    "weight_decay": 0.01,
    "gradient_clip": 1.0,
}


def _paper(
    model: Settings,
    *,
    batch_size: int,
    context_length: int,
    learning_rate: float,
    mixture_learning_rate: float,
    probing_steps: int,
    free_steps: int,
    total_steps: int,
) -> Settings:
    """Return a column of Table 5; what it does not say is said in `_PAPER_*`."""
    return {
        "model": model,
        "training": _PAPER_TRAINING
        | {
            "batch_size": batch_size,
            "context_length": context_length,
            "learning_rate": learning_rate,
        },
        "learning": _PAPER_LEARNING
        | {
            "reference_learning_rate": learning_rate,
            "mixture_learning_rate": mixture_learning_rate,
            "probing_steps": probing_steps,
            "free_steps": free_steps,
            "total_steps": total_steps,
        },
        "evaluation": {"steps": total_steps, "seeds": 3},
    }


def paper_abundant_160m() -> Settings:
    """Table 5, first column: data-abundant, 160M (the shape of Pythia-160M)."""
    return _paper(
        _PYTHIA_160M,
        batch_size=8,
        context_length=2048,
        learning_rate=5e-5,
        mixture_learning_rate=2e-3,
        probing_steps=5,
        free_steps=20,
        total_steps=40000,
    )


def _paper_restricted(model: Settings) -> Settings:
    return _paper(
        model,
        batch_size=128,
        context_length=512,
        learning_rate=5e-4,
        mixture_learning_rate=4e-3,
        probing_steps=5,
        free_steps=5,
        total_steps=5000,
    )


def paper_restricted_160m() -> Settings:
    """Table 5, data-restricted, 160M (the shape of Pythia-160M)."""
    return _paper_restricted(_PYTHIA_160M)


def paper_restricted_410m() -> Settings:
    """Table 5, data-restricted, 410M (the shape of Pythia-410M)."""
    return _paper_restricted(_PYTHIA_410M)


def paper_restricted_1b() -> Settings:
    """Table 5, data-restricted, 1B (the shape of Pythia-1B)."""
    return _paper_restricted(_PYTHIA_1B)


def paper_sft_qwen2_0_5b() -> Settings:
    """Table 5, last column: fine-tuning of the pretrained Qwen2-0.5B, read from the hub.

    Where the worker has no network, give the folder instead: `model.path` and `tokenizer.path`.
    """
    model = {"architecture": "huggingface", "path": "Qwen/Qwen2-0.5B", "pretrained": True}
    settings = _paper(
        model,
        batch_size=32,
        context_length=512,
        learning_rate=4e-6,
        mixture_learning_rate=4e-3,
        probing_steps=20,
        free_steps=10,
        total_steps=2000,
    )
    return settings | {"tokenizer": {"kind": "huggingface", "path": "Qwen/Qwen2-0.5B"}}


PRESETS: Mapping[str, Callable[[], Settings]] = {
    "tiny-restricted": tiny_restricted,
    "tiny-abundant": tiny_abundant,
    "tiny-sft": tiny_sft,
    "paper-abundant-160m": paper_abundant_160m,
    "paper-restricted-160m": paper_restricted_160m,
    "paper-restricted-410m": paper_restricted_410m,
    "paper-restricted-1b": paper_restricted_1b,
    "paper-sft-qwen2-0.5b": paper_sft_qwen2_0_5b,
}

_KINDS = ("architecture", "kind")
"""Fields that say what the other fields of a part mean."""

DEFAULT_PRESET: Mapping[str, str] = {
    "data_abundant": "tiny-abundant",
    "data_restricted": "tiny-restricted",
    "sft": "tiny-sft",
}


def resolve(spec: JobSpec, *, enough_steps: bool = True) -> JobSpec:
    """Return `spec` with the fields that were not set taken from its preset.

    Args:
        spec: What a user wrote.
        enough_steps: Whether the steps must be enough for the method.

    Raises:
        InvalidSpecError: the preset does not exist, the filled-in whole contradicts itself, or
            its steps are too few for its method.
    """
    name = spec.preset or DEFAULT_PRESET[spec.scenario]
    if name not in PRESETS:
        raise InvalidSpecError(
            f"there is no preset {name!r}",
            field="preset",
            value=name,
            hint=f"use one of {', '.join(PRESETS)}",
        )
    given = spec.model_dump(exclude_unset=True)
    merged = _merge(PRESETS[name](), given) | {"preset": name}
    try:
        resolved = JobSpec.model_validate(merged)
    except ValueError as error:
        raise InvalidSpecError(
            f"with preset {name!r} filled in, the specification is invalid: {error}",
            field="preset",
            value=name,
            hint="set the named fields to values that fit together",
        ) from error
    if enough_steps:
        _require_enough_steps(resolved)
    # A round trip marks every field as set, so that resolving again changes nothing.
    return JobSpec.model_validate(resolved.model_dump())


def _require_enough_steps(spec: JobSpec) -> None:
    try:
        spec.run_length  # noqa: B018 - raises
    except ValueError as error:
        message, _, hint = str(error).partition("; ")
        steps = spec.learning.total_steps
        raise InvalidSpecError(
            message, field="learning.total_steps", value=steps, hint=hint
        ) from error


def _merge(base: Settings, over: Mapping[str, Any]) -> Settings:
    if any(name in over and over[name] != base.get(name) for name in _KINDS):
        # Another kind of model or tokenizer: what the preset says of its own does not fit it.
        return dict(over)
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = (
            _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
        )
    return merged
