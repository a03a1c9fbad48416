import json
from typing import Any

from demo.corpus.build import CorpusRecord, DomainRecord
from demo.corpus.texts import Origin
from demo.report import aligned, comparison_table, markdown, mixture_json, mixture_table, report
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


def test_the_mixture_table_compares_with_the_natural_shares() -> None:
    assert mixture_table(RESULT)[1:] == [
        ["code", "80.0%", "60.0%", "x 0.75", "1.0"],
        ["legal", "20.0%", "40.0%", "x 2.00", "4.0"],
    ]


def test_the_best_mixture_stands_first() -> None:
    table = comparison_table(DOMAINS, RESULT.stage_two)
    assert [row[0] for row in table] == ["mixture", "tandem", "natural"]
    assert table[1][1] == "5.250"


def test_columns_are_aligned() -> None:
    assert aligned([["a", "long"], ["bcd", "1"]]) == "a    long\n---------\nbcd     1"


def test_a_markdown_table_has_a_rule_below_its_header() -> None:
    assert markdown([["a", "b"], ["1", "2"]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"


def test_the_report_holds_verdict_warnings_sources_and_times() -> None:
    text = report(RESULT, CORPUS, {"the job": 150.0}, "2 cores")
    assert "**better**: The learned mixture is best." in text
    assert "- The mixture still moved at the end." in text
    assert "| code | a nature | 3 | 100 | p 1.0 | MIT |" in text
    assert "| the job | 150.0 |" in text
    assert "sha256 `abc123`" in text


def test_the_mixture_file_is_shares_per_domain() -> None:
    content = json.loads(mixture_json(RESULT))
    assert content["shares"] == {"code": 0.6, "legal": 0.4}
    assert content["verdict"]["outcome"] == "better"
