"""Presets: functions that return a whole set of settings; `resolve` fills a specification in.

A preset never carries domains. Numbers of the paper are in its Table 5.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.errors import InvalidSpecError

Settings = dict[str, Any]


def tiny_restricted() -> Settings:
    """Half a million parameters on bytes, small domains that repeat: minutes on two CPU cores."""
    return {
        "model": {"hidden_size": 128, "layers": 2, "heads": 4, "intermediate_size": 512},
        "training": {"batch_size": 8, "context_length": 128, "learning_rate": 3e-3},
        "learning": {"total_steps": 500, "probing_steps": 5, "free_steps": 5},
        "evaluation": {"steps": 500, "seeds": 2},
    }


def tiny_abundant() -> Settings:
    """As `tiny_restricted` with the paper's longer free phase."""
    return tiny_restricted() | {
        "learning": {"total_steps": 500, "probing_steps": 5, "free_steps": 20}
    }


def _paper(hidden_size: int, layers: int, heads: int) -> Settings:
    return {
        "model": {
            "hidden_size": hidden_size,
            "layers": layers,
            "heads": heads,
            "intermediate_size": 4 * hidden_size,
        },
        "evaluation": {"steps": 5000, "seeds": 3},
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


def paper_abundant_160m() -> Settings:
    """Table 5, first column: data-abundant, 160M."""
    return _paper(768, 12, 12) | {
        "training": _PAPER_TRAINING
        | {"batch_size": 8, "context_length": 2048, "learning_rate": 5e-5},
        "learning": _PAPER_LEARNING
        | {
            "total_steps": 40000,
            "probing_steps": 5,
            "free_steps": 20,
            "mixture_learning_rate": 2e-3,
        },
        "evaluation": {"steps": 40000, "seeds": 3},
    }


def _paper_restricted(hidden_size: int, layers: int, heads: int) -> Settings:
    return _paper(hidden_size, layers, heads) | {
        "training": _PAPER_TRAINING
        | {"batch_size": 128, "context_length": 512, "learning_rate": 5e-4},
        "learning": _PAPER_LEARNING
        | {"total_steps": 5000, "probing_steps": 5, "free_steps": 5, "mixture_learning_rate": 4e-3},
    }


def paper_restricted_160m() -> Settings:
    """Table 5, data-restricted, 160M (the shape of Pythia-160M)."""
    return _paper_restricted(768, 12, 12)


def paper_restricted_410m() -> Settings:
    """Table 5, data-restricted, 410M (the shape of Pythia-410M)."""
    return _paper_restricted(1024, 24, 16)


def paper_restricted_1b() -> Settings:
    """Table 5, data-restricted, 1B (the shape of Pythia-1B)."""
    return _paper_restricted(2048, 16, 8)


PRESETS: Mapping[str, Callable[[], Settings]] = {
    "tiny-restricted": tiny_restricted,
    "tiny-abundant": tiny_abundant,
    "paper-abundant-160m": paper_abundant_160m,
    "paper-restricted-160m": paper_restricted_160m,
    "paper-restricted-410m": paper_restricted_410m,
    "paper-restricted-1b": paper_restricted_1b,
}

DEFAULT_PRESET: Mapping[str, str] = {
    "data_abundant": "tiny-abundant",
    "data_restricted": "tiny-restricted",
}


def resolve(spec: JobSpec) -> JobSpec:
    """Return `spec` with the fields that were not set taken from its preset.

    Raises:
        InvalidSpecError: the preset does not exist, or the filled-in whole contradicts itself.
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
    # A round trip marks every field as set, so that resolving again changes nothing.
    return JobSpec.model_validate(resolved.model_dump())


def _merge(base: Settings, over: Mapping[str, Any]) -> Settings:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = (
            _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
        )
    return merged
