"""The pieces of work of a study; each writes one JSON file, so that a study can go on any time.

A unit runs in a process of its own on one thread, with the engine that jobs use.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import torch

from benchmarks.quality.study import with_learning
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import Corpus, load_corpus
from tandem_engine.files import write_text
from tandem_engine.stage_one import StageOne
from tandem_engine.stage_two import StageTwo


@dataclass(frozen=True, slots=True)
class Learn:
    """Learn alpha once with root seed `seed` and changed learning settings."""

    seed: int
    changes: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Train:
    """Train and test one model on `shares` with root seed `seed`."""

    seed: int
    shares: tuple[float, ...]
    on: Literal["validation", "test"] = "test"
    """`validation` for the oracle's search: the test text is for the comparison alone."""


Unit = Learn | Train


def run_all(units: Sequence[Unit], spec: JobSpec, folder: Path, *, workers: int) -> list[Any]:
    """Run the units that have no file in `folder` yet; return all results in order.

    A result is alpha for `Learn`, and the losses per domain for `Train`, in nats per byte.
    """
    missing = [unit for unit in dict.fromkeys(units) if not _path(unit, spec, folder).exists()]
    began = time.monotonic()
    context = get_context("spawn")  # a forked child would inherit torch's threads
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [pool.submit(_run, unit, spec, folder) for unit in missing]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            spent = time.monotonic() - began
            print(f"    {done} of {len(missing)} units, {spent:.0f} s", flush=True)
    return [json.loads(_path(unit, spec, folder).read_text())["result"] for unit in units]


def _path(unit: Unit, spec: JobSpec, folder: Path) -> Path:
    described = [type(unit).__name__, asdict(unit), spec.model_dump(mode="json")]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    return folder / "units" / f"{digest[:24]}.json"


def _run(unit: Unit, spec: JobSpec, folder: Path) -> None:
    torch.set_num_threads(1)
    corpus = load_corpus(spec, folder / "corpus", lambda _: None)
    result = _learn(unit, corpus, spec) if isinstance(unit, Learn) else _train(unit, corpus, spec)
    text = json.dumps({"unit": asdict(unit), "result": result}) + "\n"
    write_text(_path(unit, spec, folder), text)


def _learn(unit: Learn, corpus: Corpus, spec: JobSpec) -> list[float]:
    changed = with_learning(spec, unit.seed, dict(unit.changes))
    stage_one = StageOne(corpus, changed, torch.device("cpu"))
    stage_one.run(lambda _: None)
    return stage_one.result().alpha


def _train(unit: Train, corpus: Corpus, spec: JobSpec) -> list[float]:
    changed = with_learning(spec, unit.seed, {})
    if unit.on == "validation":
        targets = [replace(target, test=target.validation) for target in corpus.targets]
        corpus = replace(corpus, targets=targets)
    stage_two = StageTwo(corpus, changed, torch.device("cpu"), {"mixture": list(unit.shares)})
    stage_two.run(lambda _: None, lambda: None, lambda: None)
    return stage_two.runs[0].test_loss
