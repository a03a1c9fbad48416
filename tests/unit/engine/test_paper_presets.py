"""A preset of the paper runs as it is, once its model is one that fits the machine."""

import random
from pathlib import Path

import pytest
from support.corpora import write_jsonl
from support.tiny_jobs import Recorder

from tandem_engine.contracts.records import TrajectoryPoint
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.errors import StopRequestedError
from tandem_engine.job import run_job
from tandem_engine.presets import resolve

SHRUNKEN = {"hidden_size": 16, "layers": 1, "heads": 2, "intermediate_size": 32}


class TwoEpisodes(Recorder):
    """Asks for a stop after the second episode."""

    def __call__(self, record: object) -> None:
        super().__call__(record)  # type: ignore[arg-type]
        if isinstance(record, TrajectoryPoint) and record.episode == 2:
            self.stop.set()


def domain(folder: Path, name: str, words: str) -> dict[str, object]:
    generator = random.Random(name)
    texts = [" ".join(generator.choices(words.split(), k=150)) for _ in range(12)]
    return {"name": name, "uris": [str(write_jsonl(folder / f"{name}.jsonl", texts))]}


def test_paper_restricted_160m_runs_two_episodes_with_only_its_model_shrunken(
    tmp_path: Path,
) -> None:
    domains = [
        domain(tmp_path, "letters", "alpha beta gamma delta"),
        domain(tmp_path, "numbers", "1 2 3 5 8 13 21 34"),
    ]
    spec = JobSpec.model_validate(
        {"preset": "paper-restricted-160m", "domains": domains, "model": SHRUNKEN}
    )
    whole = resolve(spec)
    assert (whole.training.batch_size, whole.training.context_length) == (128, 512)
    assert whole.learning.episodes == 500
    recorder = TwoEpisodes()
    with pytest.raises(StopRequestedError):
        run_job(spec, tmp_path / "out", emit=recorder, stop=recorder.stop)
    first, second = recorder.points
    assert (first.step, second.step) == (10, 20)
    assert first.tokens == 10 * 128 * 512
    # Algorithm 1 by hand: the raw step at eta_alpha = 4e-3, and the projection onto two shares.
    move = 4e-3 * (first.delta[0] - first.delta[1]) / 2
    assert first.alpha == pytest.approx([0.5 - move, 0.5 + move], abs=1e-12)
