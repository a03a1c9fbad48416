"""What one study consists of: the job, its variants, and the models to train.

Replicate j is one root seed: alpha is learned with it, and every mixture trains a model with it.
All replicates share the corpus of seed 0, so that validation and test text are the same for all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.quality.corpora import DomainFiles
from tandem_engine.contracts.domains import DomainSpec
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.contracts.targets import TargetSpec
from tandem_engine.presets import resolve

STEPS = 800
VALIDATION_FRACTION = 0.02
TEST_FRACTION = 0.04
"""The held files are split in this ratio: a third for validation, the rest for the test. Of the
train files only what the domains' own validation needs is lost."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "tandem": {},
    "paper": {
        "probing_steps": 5,
        "free_steps": 5,
        "mixture_step": "raw",
        "mixture_learning_rate": 4e-3,
        "validation_reduction": "sum",
        "reference_moments": "clone",
    },
    "K 5, E 5": {"probing_steps": 5, "free_steps": 5, "mixture_learning_rate": 0.1},
    "K 20, E 0": {"free_steps": 0},
    "gamma 10": {"penalty": 10.0},
    "sum": {"validation_reduction": "sum"},
    "raw": {"mixture_step": "raw", "mixture_learning_rate": 0.05},
    "sampled": {"sampling": "sampled"},
    "one restart": {"restarts": 1},
    "prior n^.5": {"prior": {"kind": "temperature", "temperature": 0.5}},
}
"""Learning settings that differ from the default's; `paper` is Table 5 as far as it fits."""


@dataclass(frozen=True, slots=True)
class Study:
    """Sizes of a study; `corpus` names one of `corpora.CORPORA`."""

    corpus: str
    replicates: int
    search: int
    """Mixtures that the oracle tries."""
    variants: tuple[str, ...] = ("tandem",)
    steps: int = STEPS


def job(files: Mapping[str, DomainFiles], tokenizer: Path, *, steps: int = STEPS) -> JobSpec:
    """Return the resolved job on the files of a corpus: every domain is judged by its held file."""
    return resolve(
        JobSpec.model_validate(
            {
                "scenario": "data_restricted",
                "preset": "tiny-restricted",
                "domains": [
                    DomainSpec(name=name, uris=[_uri(paths.train)]) for name, paths in files.items()
                ],
                "targets": [
                    TargetSpec(name=held_name(name), uris=[_uri(paths.held)])
                    for name, paths in files.items()
                ],
                "tokenizer": {"kind": "huggingface", "path": str(tokenizer)},
                "learning": {"total_steps": steps},
                "evaluation": {"steps": steps, "seeds": 1, "test_sequences": 1_000_000},
                "split": {
                    "validation_fraction": VALIDATION_FRACTION,
                    "test_fraction": TEST_FRACTION,
                },
                "runtime": {"device": "cpu", "threads": 1},
            }
        )
    )


def held_name(domain: str) -> str:
    """Return the name of the target that judges `domain`."""
    return f"{domain} (held)"


def with_learning(spec: JobSpec, seed: int, changes: Mapping[str, Any]) -> JobSpec:
    """Return `spec` with root seed `seed` and `changes` of its learning settings."""
    return spec.evolve(seed=seed, learning=spec.learning.model_dump() | dict(changes))


def _uri(path: Path) -> str:
    return path.resolve().as_uri()
