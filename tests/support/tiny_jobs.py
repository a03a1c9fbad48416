"""A job of seconds: three small domains, a model of a few thousand parameters."""

from pathlib import Path

from pydantic import BaseModel

from support.corpora import corpus_spec, texts
from tandem_engine.contracts.records import CheckpointRecord, TrajectoryPoint
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.reporting import StopFlag


def tiny_spec(folder: Path, **settings: object) -> JobSpec:
    """Return a specification of a job with 6 episodes and 4 stage-two models."""
    domains = {
        "apples": texts("apple", 60, length=60),
        "brass": texts("brass 0123456789", 30, length=60),
        "cedar": texts("CEDAR", 12, length=60),
    }
    learning = {"total_steps": 24, "probing_steps": 2, "free_steps": 2, "checkpoint_every": 2}
    base: dict[str, object] = {
        "model": {"hidden_size": 32, "layers": 1, "heads": 2, "intermediate_size": 64},
        "training": {"batch_size": 6, "context_length": 16, "learning_rate": 0.01},
        "learning": learning | {"delta_sequences": 4},
        "evaluation": {
            "steps": 8,
            "seeds": 2,
            "mixtures": ["uniform"],
            "test_sequences": 4,
            "checkpoint_every": 3,
        },
        "runtime": {"device": "cpu", "threads": 1},
        "seed": 7,
    }
    return corpus_spec(folder, domains, **(base | settings))


class Recorder:
    """Keeps every record; may ask for a stop after so many checkpoints."""

    def __init__(self, stop_after_checkpoints: int | None = None) -> None:
        self.records: list[BaseModel] = []
        self.stop = StopFlag()
        self._left = stop_after_checkpoints

    def __call__(self, record: BaseModel) -> None:
        self.records.append(record)
        if isinstance(record, CheckpointRecord) and self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self.stop.set()

    @property
    def points(self) -> list[TrajectoryPoint]:
        return [record for record in self.records if isinstance(record, TrajectoryPoint)]
