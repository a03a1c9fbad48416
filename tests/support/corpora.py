"""Tiny corpora on disk, and specifications that read them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tandem_engine.contracts.domains import DomainSpec
from tandem_engine.contracts.records import PhaseRecord, ProgressRecord
from tandem_engine.contracts.spec import JobSpec

CONTEXT_LENGTH = 16


def texts(word: str, count: int, *, length: int = 40) -> list[str]:
    """Return `count` different texts of about `length` bytes with `word` in them."""
    return [(f"{word} {number} " * length)[: length + number % 7] for number in range(count)]


def write_jsonl(path: Path, records: Iterable[str], *, text_field: str = "text") -> Path:
    """Write one record per text."""
    lines = [json.dumps({text_field: record}) + "\n" for record in records]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def domain(name: str, *paths: Path, **settings: str) -> DomainSpec:
    """Return the specification of a domain of these files."""
    return DomainSpec.model_validate(
        {"name": name, "uris": [str(path) for path in paths]} | settings
    )


def corpus_spec(folder: Path, domains: Mapping[str, Sequence[str]], **settings: object) -> JobSpec:
    """Write each domain into one file of `folder` and return a specification of all."""
    folder.mkdir(parents=True, exist_ok=True)
    described = [
        {"name": name, "uris": [str(write_jsonl(folder / f"{name}.jsonl", records))]}
        for name, records in domains.items()
    ]
    base = {"domains": described, "training": {"context_length": CONTEXT_LENGTH}}
    return JobSpec.model_validate(base | settings)


class Progress:
    """Collects what loading says."""

    def __init__(self) -> None:
        self.records: list[ProgressRecord | PhaseRecord] = []

    def __call__(self, record: ProgressRecord | PhaseRecord) -> None:
        self.records.append(record)

    @property
    def phases(self) -> list[str]:
        return [record.phase for record in self.records if isinstance(record, PhaseRecord)]
