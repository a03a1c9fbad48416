"""The null test: where train and validation say the same, alpha has nowhere to go."""

import random
from pathlib import Path

import pytest
from support.corpora import corpus_spec
from support.tiny_jobs import Recorder

from tandem_engine.contracts.records import ResultRecord
from tandem_engine.job import run_job

ABUNDANT = 900
SCARCE = 12


def texts(name: str, count: int) -> list[str]:
    """Return documents of a Markov chain over letters, one chain per name."""
    chain = random.Random(name)
    followers = {letter: chain.sample("abcdefgh", 3) for letter in "abcdefgh"}
    documents = []
    for _ in range(count):
        letters = [chain.choice("abcdefgh")]
        while len(letters) < 60:
            letters.append(chain.choice(followers[letters[-1]]))
        documents.append("".join(letters))
    return documents


def learn(folder: Path, sizes: dict[str, int]) -> ResultRecord:
    spec = corpus_spec(
        folder / "data",
        {name: texts(name, count) for name, count in sizes.items()},
        model={"hidden_size": 32, "layers": 1, "heads": 2, "intermediate_size": 64},
        training={"batch_size": 12, "context_length": 16, "learning_rate": 0.01},
        learning={"total_steps": 800, "probing_steps": 8, "free_steps": 2, "delta_sequences": 16},
        evaluation={"enabled": False},
        runtime={"device": "cpu", "threads": 1},
    )
    return run_job(spec, folder / "out", emit=Recorder())


@pytest.fixture(scope="module")
def abundant(tmp_path_factory: pytest.TempPathFactory) -> ResultRecord:
    return learn(tmp_path_factory.mktemp("abundant"), dict.fromkeys("xyz", ABUNDANT))


@pytest.fixture(scope="module")
def restricted(tmp_path_factory: pytest.TempPathFactory) -> ResultRecord:
    return learn(tmp_path_factory.mktemp("restricted"), {"x": ABUNDANT, "y": SCARCE, "z": ABUNDANT})


def test_alpha_stays_near_its_start_where_nothing_repeats(
    abundant: ResultRecord, restricted: ResultRecord
) -> None:
    null, signal = abundant.verdict.evidence, restricted.verdict.evidence
    assert null is not None
    assert signal is not None
    assert null.moved < 0.4 * signal.moved


def test_the_verdict_tells_the_null_case_from_the_restricted_one(
    abundant: ResultRecord, restricted: ResultRecord
) -> None:
    assert any("hardly worth it" in warning for warning in abundant.verdict.warnings)
    assert restricted.verdict.outcome != "no_effect"
    assert not any("hardly worth it" in warning for warning in restricted.verdict.warnings)


def test_a_repeated_domain_loses_share(restricted: ResultRecord) -> None:
    shares = dict(zip("xyz", restricted.mixture.alpha, strict=True))
    assert shares["y"] < 1 / 3
