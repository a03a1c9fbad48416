"""A job's result and a corpus record to draw, print and write."""

from typing import Any

from demo.corpus.build import CorpusRecord, DomainRecord
from demo.corpus.texts import Origin
from tandem_engine.contracts.records import ResultRecord

DOMAINS = ["code", "legal"]


def stage_two_row(mixture: str, average: float) -> dict[str, Any]:
    return {
        "mixture": mixture,
        "alpha": [0.5, 0.5],
        "epochs": [1.0, 4.0],
        "perplexity": [average, average],
        "average_perplexity": average,
        "average_loss": 1.0,
        "average_loss_sd": 0.01,
        "seeds": 2,
    }


def domain(name: str) -> dict[str, Any]:
    counts = (
        "documents",
        "duplicates_removed",
        "bytes",
        "tokens",
        "train_documents",
        "train_tokens",
        "validation_tokens",
        "test_tokens",
        "train_sequences",
    )
    return dict.fromkeys(counts, 1) | {"name": name, "natural_share": 0.5, "fingerprint": "f"}


RESULT = ResultRecord.model_validate(
    {
        "mixture": {
            "domains": DOMAINS,
            "alpha": [0.6, 0.4],
            "trajectory_mean": [0.55, 0.45],
            "last": [0.61, 0.39],
            "natural": [0.8, 0.2],
        },
        "domains": [domain(name) for name in DOMAINS],
        "stage_two": [stage_two_row("natural", 5.5), stage_two_row("tandem", 5.25)],
        "verdict": {
            "outcome": "better",
            "text": "The learned mixture is best.",
            "best_mixture": "tandem",
            "warnings": ["The mixture still moved at the end."],
        },
        "manifest": {
            "path": "manifest",
            "sha256": "abc123",
            "target_tokens": 1000,
            "planned_tokens": 1000,
        },
        "episodes": 40,
        "steps": 400,
        "versions": {"torch": "2.13.0"},
        "learning_seconds": 60.0,
        "evaluation_seconds": 90.0,
    }
)
CORPUS = CorpusRecord(
    1,
    0,
    [
        DomainRecord(name, "a nature", f"{name}.jsonl", 3, 100, 0.5, [Origin("p", "1.0", "MIT")])
        for name in DOMAINS
    ],
)
