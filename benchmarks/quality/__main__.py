"""`python -m benchmarks.quality`: is the learned mixture better than what needs no learning?

It can be cut off and started again: finished units are kept. Everything is written to one folder.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.quality.comparison import compare
from benchmarks.quality.corpora import CORPORA, build
from benchmarks.quality.report import draw, rivals_table, shares_table, table
from benchmarks.quality.study import STEPS, VARIANTS, Study, job
from benchmarks.quality.surrogate import fit, geometric_middle, mixtures_around
from benchmarks.quality.tokenizer import build_tokenizer
from benchmarks.quality.units import Learn, Train, run_all
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import load_corpus
from tandem_engine.files import write_text
from tandem_engine.mixtures import natural, temperature, uniform, unimax

SEED = 20261124
UNIMAX_EPOCHS = 4.0
ORACLE, UNIFORM = "oracle", "uniform"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one study and write its report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--corpus", choices=sorted(CORPORA), default="software")
    parser.add_argument("--out", type=Path, default=Path("quality-output"))
    parser.add_argument("--replicates", type=int, default=4, help="root seeds per mixture")
    parser.add_argument("--search", type=int, default=24, help="mixtures that the oracle tries")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of every model")
    parser.add_argument("--variants", nargs="*", choices=sorted(VARIANTS), default=["tandem"])
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args(arguments)
    study = Study(
        corpus=chosen.corpus,
        replicates=chosen.replicates,
        search=chosen.search,
        variants=tuple(dict.fromkeys(["tandem", *chosen.variants])),
        steps=chosen.steps,
    )
    print(run(study, chosen.out.resolve() / study.corpus, workers=chosen.workers))


def run(study: Study, folder: Path, *, workers: int) -> str:
    """Run what is missing of `study` in `folder`; return the report, which is also written there.

    Raises:
        CorpusError: a package with the corpus' text is missing.
        TandemError: a unit failed.
    """
    files = build(study.corpus, folder / "texts")
    tokenizer = build_tokenizer([paths.train for paths in files.values()], folder / "tokenizer")
    spec = job(files, tokenizer, steps=study.steps)
    rules = _free_rules(spec, folder)
    replicates = range(study.replicates)
    print("==> Learning alpha", flush=True)
    learned = _learned(study, spec, folder, workers)
    print("==> Searching the oracle", flush=True)
    oracle = _oracle(study, spec, folder, rules, workers)
    print("==> Training with every mixture", flush=True)
    mixtures = {name: [shares] * study.replicates for name, shares in rules.items()}
    mixtures |= learned
    mixtures["tandem, mean of seeds"] = [_mean(learned["tandem"])] * study.replicates
    mixtures[ORACLE] = [oracle] * study.replicates
    units = [Train(seed, tuple(mixtures[name][seed])) for seed in replicates for name in mixtures]
    results = iter(run_all(units, spec, folder, workers=workers))
    losses: dict[str, list[float]] = {name: [] for name in mixtures}
    for _ in replicates:
        for name in mixtures:
            per_domain = next(results)
            losses[name].append(sum(per_domain) / len(per_domain))
    rows = compare(losses, against="tandem", worst=UNIFORM, oracle=ORACLE, seed=SEED)
    text = "\n\n".join(
        [
            f"# {study.corpus}: {study.replicates} replicates, {study.search} mixtures searched",
            table(rows, against="tandem"),
            rivals_table(rows, learned="tandem"),
            shares_table(spec.domain_names, rules | {ORACLE: oracle}, learned),
            "",
        ]
    )
    write_text(folder / "report.md", text)
    draw(rows, folder / "report.png", title=f"{study.corpus}: what each mixture is worth")
    return text


def _learned(
    study: Study, spec: JobSpec, folder: Path, workers: int
) -> dict[str, list[list[float]]]:
    units = [
        Learn(seed, tuple(VARIANTS[name].items()))
        for name in study.variants
        for seed in range(study.replicates)
    ]
    alphas = iter(run_all(units, spec, folder, workers=workers))
    return {name: [next(alphas) for _ in range(study.replicates)] for name in study.variants}


def _oracle(
    study: Study, spec: JobSpec, folder: Path, rules: dict[str, list[float]], workers: int
) -> list[float]:
    centre = geometric_middle(rules["n^.25"], rules["n^.5"])
    tried = mixtures_around(centre, study.search, seed=SEED)
    # Seeds that no replicate uses, so that the search knows nothing of the comparison; a mixture
    # and its mirror image share theirs.
    seeds = [1_000 + number // 2 % 4 for number in range(study.search)]
    units = [
        Train(seed, tuple(shares), on="validation")
        for seed, shares in zip(seeds, tried, strict=True)
    ]
    return fit(tried, run_all(units, spec, folder, workers=workers), seeds).best()


def _free_rules(spec: JobSpec, folder: Path) -> dict[str, list[float]]:
    corpus = load_corpus(spec, folder / "corpus", lambda _: None)
    tokens = [domain.statistics.train_tokens for domain in corpus.domains]
    training = spec.training
    budget = spec.evaluation.steps * training.batch_size * training.context_length
    return {
        "natural": natural(tokens),
        UNIFORM: uniform(len(tokens)),
        "n^.25": temperature(tokens, 0.25),
        "n^.5": temperature(tokens, 0.5),
        "unimax(4)": unimax(tokens, budget, UNIMAX_EPOCHS),
    }


def _mean(replicates: Sequence[Sequence[float]]) -> list[float]:
    return [sum(values) / len(values) for values in zip(*replicates, strict=True)]


if __name__ == "__main__":
    main()
