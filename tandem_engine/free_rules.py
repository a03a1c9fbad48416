"""What stage two compares a learned mixture with: rules without learning, and typed-in ones."""

import math
from collections.abc import Callable, Sequence

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import Corpus
from tandem_engine.mixtures import natural, temperature, uniform, unimax


def free_rules(corpus: Corpus, spec: JobSpec) -> dict[str, list[float]]:
    """Return the shares of every free rule that the specification names, then of its own mixtures.

    The bounds on shares do not apply to them: they are baselines, and the verdict says which of
    them break the bounds.
    """
    evaluation = spec.evaluation
    tokens = [domain.statistics.train_loss_tokens for domain in corpus.domains]
    budget = stage_two_tokens(corpus, spec)
    rules: dict[str, Callable[[], Sequence[float]]] = {
        "natural": lambda: natural(tokens),
        "uniform": lambda: uniform(len(tokens)),
        "temperature": lambda: temperature(tokens, evaluation.temperature),
        "unimax": lambda: unimax(tokens, budget, evaluation.unimax_epochs),
    }
    free: dict[str, list[float]] = {
        name: [float(share) for share in rules[name]()] for name in evaluation.mixtures
    }
    for name, shares in evaluation.custom.items():
        total = math.fsum(shares.values())
        free[name] = [shares[domain.name] / total for domain in corpus.domains]
    return free


def stage_two_tokens(corpus: Corpus, spec: JobSpec) -> int:
    """Return the loss-bearing tokens that a model of stage two trains on."""
    rows = spec.evaluation.steps * spec.training.batch_size
    return round(rows * _loss_tokens_per_row(corpus))


def _loss_tokens_per_row(corpus: Corpus) -> float:
    """Return the loss-bearing tokens of a row, averaged over all rows of the domains."""
    if corpus.packed:
        return corpus.context_length
    rows = sum(domain.statistics.train_sequences for domain in corpus.domains)
    return sum(domain.statistics.train_loss_tokens for domain in corpus.domains) / rows
