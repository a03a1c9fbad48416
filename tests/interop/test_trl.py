"""TRL: fractions of rows, of which no dataset repeats, give the learned shares of tokens."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from interop.shares import (
    Check,
    Mixture,
    bounds_of_counts,
    naive_tokens,
    read_mixture,
    response_tokens,
    within,
)

pytest.importorskip("trl", reason="trl is in an environment of its own")
import datasets
import yaml
from trl import DatasetMixtureConfig, get_dataset
from trl.scripts.utils import DatasetConfig


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stays behind in the user's own cache."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def _read(export: Path) -> Any:
    config = yaml.safe_load((export / "mixture.yaml").read_text())
    described = [DatasetConfig(**entry) for entry in config.pop("datasets")]
    return get_dataset(DatasetMixtureConfig(datasets=described, **config))["train"]


def _planned_rows(export: Path) -> int:
    found = re.search(r"the mixture has about (\d+) rows", (export / "NOTES.md").read_text())
    assert found
    return int(found[1])


def _bounds(mixture: Mixture, export: Path, rows: int) -> dict[str, float]:
    """Return the bound of whole rows: half of one for each time that a domain is listed."""
    entries = yaml.safe_load((export / "mixture.yaml").read_text())["datasets"]
    most = Counter(str(entry["data_files"]) for entry in entries).most_common(1)[0][1]
    scale = rows / mixture.documents[export.name]
    target = round(mixture.target_tokens * scale)
    return bounds_of_counts(mixture, target=target, loose=most / 2)


def test_fractions_of_rows_give_the_learned_shares(
    data: Path, texts: Mixture, check: Check
) -> None:
    export = data / "exports" / "trl"
    rows = _read(export)
    assert len(rows) == pytest.approx(_planned_rows(export), abs=3)
    # Each entry is rounded by itself, and this domain is listed three times.
    assert texts.documents_off(rows["text"]) <= 2
    bounds = _bounds(texts, export, len(rows))
    check("trl", texts, texts.tokens_of(rows["text"]), bounds)
    assert not within(naive_tokens(texts, lambda one: one.share), texts.shares, bounds)


@pytest.mark.parametrize("export", ["sft_trl", "cut_trl"])
def test_the_response_tokens_of_conversations_have_the_learned_shares(
    data: Path, check: Check, export: str
) -> None:
    said = json.loads((data / "expected.json").read_text())["conversations"]
    cut = said["truncate_tokens"] if export == "cut_trl" else None
    learned = read_mixture(data, "conversations", cut)
    rows = _read(data / "exports" / export)
    # TRL trains on completions alone where rows have prompts.
    assert rows.column_names == ["prompt", "completion"]
    assert learned.documents_off(rows["prompt"]) <= 2
    drawn: Counter[str] = Counter()
    for row in rows:
        tokens = response_tokens(row["prompt"], row["completion"], cut)
        drawn[learned.domain_of(row["prompt"])] += tokens
    bounds = _bounds(learned, data / "exports" / export, len(rows))
    check(f"trl {export}", learned, drawn, bounds)


def test_tokens_as_fractions_would_fail_the_bound(data: Path, texts: Mixture) -> None:
    export = data / "exports" / "trl"
    config = yaml.safe_load((export / "mixture.yaml").read_text())
    seen: dict[str, dict[str, Any]] = {
        str(entry["data_files"]): entry for entry in config["datasets"]
    }
    described = [
        DatasetConfig(**entry | {"fraction": share})
        for entry, share in zip(seen.values(), texts.shares.values(), strict=True)
    ]
    rows = get_dataset(DatasetMixtureConfig(datasets=described))["train"]
    drawn = texts.tokens_of(rows["text"])
    assert not within(drawn, texts.shares, _bounds(texts, export, len(rows)))
