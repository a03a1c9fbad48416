"""LLaMA-Factory: its own loader draws `num_samples` of each dataset; shares of tokens follow."""

import importlib.machinery
import json
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType, SimpleNamespace
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

pytest.importorskip("llamafactory", reason="llamafactory is in its own environment")
import datasets
import numpy as np
import transformers.utils.import_utils
import yaml

# It imports what reads sound at its start; no wheel of that is here, and texts need none.
assert transformers.utils.import_utils
_SOUND = ModuleType("torchaudio")
_SOUND.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
sys.modules.setdefault("torchaudio", _SOUND)

from llamafactory.data.loader import _get_merged_dataset  # noqa: E402
from llamafactory.hparams.data_args import DataArguments  # noqa: E402


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stays behind in the user's own cache; what is drawn is the same in every run."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    np.random.seed(0)  # noqa: NPY002 - the generator that LLaMA-Factory draws from


def _read(stage: str, monkeypatch: pytest.MonkeyPatch, export: Path) -> Any:
    """Return the aligned dataset; `dataset_dir` is relative to the export's folder."""
    monkeypatch.chdir(export)
    data = DataArguments(**yaml.safe_load((export / "dataset.yaml").read_text()))
    model = SimpleNamespace(cache_dir=None, hf_hub_token=None)
    training = SimpleNamespace(seed=0, local_process_index=0, dataloader_num_workers=0)
    return _get_merged_dataset(data.dataset, model, data, training, stage)


def _bounds(mixture: Mixture) -> dict[str, float]:
    """Return the bound of exact counts; beyond one pass it draws with replacement."""
    return bounds_of_counts(mixture, replaced=True)


def test_numbers_of_samples_give_the_learned_shares(
    data: Path, texts: Mixture, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = _read("pt", monkeypatch, data / "exports" / "llama_factory")
    assert len(rows) == texts.documents["llama_factory"]
    read = [turn["content"] for row in rows for turn in row["_prompt"]]
    assert texts.documents_off(read) < 1
    drawn = texts.tokens_of(read)
    check("llama_factory", texts, drawn, _bounds(texts))
    assert not within(naive_tokens(texts, lambda one: one.share), texts.shares, _bounds(texts))


@pytest.mark.parametrize("export", ["sft_llama_factory", "cut_llama_factory"])
def test_the_response_tokens_of_conversations_have_the_learned_shares(
    data: Path, check: Check, monkeypatch: pytest.MonkeyPatch, export: str
) -> None:
    said = json.loads((data / "expected.json").read_text())["conversations"]
    cut = said["truncate_tokens"] if export == "cut_llama_factory" else None
    learned = read_mixture(data, "conversations", cut)
    rows = _read("sft", monkeypatch, data / "exports" / export)
    assert len(rows) == learned.documents[export]
    assert learned.documents_off([row["_prompt"][0]["content"] for row in rows]) < 1
    drawn: Counter[str] = Counter()
    for row in rows:
        (asked,), (answered,) = row["_prompt"], row["_response"]
        tokens = response_tokens(asked["content"], answered["content"], cut)
        drawn[learned.domain_of(asked["content"])] += tokens
    check(f"llama_factory {export}", learned, drawn, _bounds(learned))


def test_tokens_as_numbers_of_samples_would_fail_the_bound(
    data: Path, texts: Mixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    export = data / "exports" / "llama_factory"
    info = json.loads((export / "dataset_info.json").read_text())
    for domain in texts.domains:
        entry = info[domain.slug]
        entry["num_samples"] = round(domain.share * texts.documents["llama_factory"])
        entry["file_name"] = str((export / entry["file_name"]).resolve())
    (tmp_path / "dataset_info.json").write_text(json.dumps(info))
    (tmp_path / "dataset.yaml").write_text((export / "dataset.yaml").read_text())
    rows = _read("pt", monkeypatch, tmp_path)
    drawn = texts.tokens_of(turn["content"] for row in rows for turn in row["_prompt"])
    assert not within(drawn, texts.shares, _bounds(texts))
