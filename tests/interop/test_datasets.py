"""Hugging Face `datasets`: both scripts, materialised corpora, and the manifest as a dataset."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from interop.shares import (
    Check,
    Mixture,
    bounds_of_counts,
    bounds_of_draws,
    bounds_of_plan,
    naive_tokens,
    read_mixture,
    response_tokens,
    within,
)

datasets = pytest.importorskip("datasets")

DRAWS = 20_000
Load = Callable[..., ModuleType]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stays behind in the user's own cache."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def test_the_exact_script_takes_the_planned_number_of_each_domain(
    texts: Mixture, check: Check, exported: Load
) -> None:
    script = exported("huggingface", "take.py")
    rows = script.mixture()
    planned = {name: count for name, *_, count in script.PLAN}
    assert Counter(rows["domain"]) == planned
    assert len(rows) == sum(planned.values()) == texts.documents["huggingface"]
    assert all(texts.domain_of(row["text"]) == row["domain"] for row in rows)
    assert texts.documents_off(rows["text"]) < 1
    drawn = texts.tokens_of(rows["text"])
    check("datasets take.py", texts, drawn, bounds_of_counts(texts))


def test_the_exact_script_repeats_no_document_more_often_than_the_others_by_two(
    texts: Mixture, exported: Load
) -> None:
    read = Counter(exported("huggingface", "take.py").mixture()["text"])
    times = {one.name: set[int]() for one in texts.domains}
    for text, count in read.items():
        times[texts.domain_of(text)].add(count)
    assert times == {"long/papers": {1}, "mid": {1}, "short notes": {2, 3}}


@pytest.mark.parametrize("kind", ["in memory", "streamed"])
def test_interleaving_draws_the_learned_shares(
    texts: Mixture, check: Check, exported: Load, kind: str
) -> None:
    rows = exported("huggingface", "interleave.py").mixture(streaming=kind == "streamed")
    drawn = [row["text"] for row in islice(rows, DRAWS)]
    assert len(drawn) >= texts.documents["huggingface"] / 2
    bounds = bounds_of_draws(texts, len(drawn))
    check(f"datasets interleave.py, {kind}", texts, texts.tokens_of(drawn), bounds)


def test_interleaving_by_shares_of_tokens_would_fail_the_bound(
    texts: Mixture, exported: Load
) -> None:
    script = exported("huggingface", "interleave.py")
    script.PLAN = [[*row[:3], texts.shares[row[0]]] for row in script.PLAN]
    drawn = texts.tokens_of(row["text"] for row in islice(script.mixture(), DRAWS))
    assert not within(drawn, texts.shares, bounds_of_draws(texts, DRAWS))


def test_taking_documents_by_shares_of_tokens_would_fail_the_bound(texts: Mixture) -> None:
    wrong = naive_tokens(texts, lambda one: one.share)
    assert not within(wrong, texts.shares, bounds_of_counts(texts))


@pytest.mark.parametrize("export", ["sft_huggingface", "cut_huggingface"])
def test_the_response_tokens_of_conversations_have_the_learned_shares(
    data: Path, check: Check, exported: Load, export: str
) -> None:
    limit = json.loads((data / "expected.json").read_text())["conversations"]["truncate_tokens"]
    cut = export == "cut_huggingface"
    learned = read_mixture(data, "conversations", limit if cut else None)
    rows = exported(export, "take.py").mixture()
    assert len(rows) == learned.documents[export]
    assert learned.documents_off(rows["prompt"]) < 1
    drawn = _responses(learned, rows, limit if cut else None)
    check(f"datasets {export}", learned, drawn, bounds_of_counts(learned))
    # Shares of all tokens, and those without the truncation, are other mixtures.
    everything = Counter[str]()
    for row in rows:
        tokens = len(row["prompt"]) + len(row["completion"])
        everything[learned.domain_of(row["prompt"])] += tokens
    assert not within(everything, learned.shares, bounds_of_counts(learned))
    other = read_mixture(data, "conversations", None if cut else limit)
    by_other = _responses(other, rows, None if cut else limit)
    assert not within(by_other, other.shares, bounds_of_counts(other))


def _responses(
    learned: Mixture, rows: Iterable[Mapping[str, str]], cut: int | None
) -> Counter[str]:
    counted: Counter[str] = Counter()
    for row in rows:
        tokens = response_tokens(row["prompt"], row["completion"], cut)
        counted[learned.domain_of(row["prompt"])] += tokens
    return counted


@pytest.mark.parametrize(("loader", "ending"), [("json", "jsonl"), ("parquet", "parquet")])
def test_a_materialised_corpus_has_the_learned_shares(
    data: Path, texts: Mixture, check: Check, loader: str, ending: str
) -> None:
    rows = _load(loader, data_files=f"{data}/corpus/{ending}/part-*.{ending}", split="train")
    assert rows.column_names == ["text", "domain"]
    assert all(texts.domain_of(row["text"]) == row["domain"] for row in rows)
    drawn = texts.tokens_of(rows["text"])
    check(f"datasets, materialised {ending}", texts, drawn, bounds_of_plan(texts))


@pytest.mark.parametrize(("loader", "ending"), [("json", "jsonl"), ("parquet", "parquet")])
def test_a_materialised_corpus_of_conversations_has_the_learned_shares(
    data: Path, check: Check, loader: str, ending: str
) -> None:
    learned = read_mixture(data, "conversations")
    rows = _load(loader, data_files=f"{data}/sft_corpus/{ending}/part-*.{ending}", split="train")
    assert rows.column_names == ["prompt", "completion", "domain"]
    drawn = _responses(learned, rows, None)
    bounds = bounds_of_plan(learned)
    check(f"datasets, materialised conversations {ending}", learned, drawn, bounds)


def test_the_manifest_is_a_dataset_by_its_card(data: Path, texts: Mixture) -> None:
    folder = str(data / "manifest")
    names = datasets.get_dataset_config_names(folder)
    assert {"domains", "shards", "lengths", "documents-mid"} <= set(names)
    domains = _load(folder, "domains", split="train")
    assert {row["domain"]: row["share"] for row in domains} == {**texts.shares, "unused": 0.0}
    assert _load(folder, split="train").column_names == domains.column_names
    listed = {
        one.name: _load(folder, f"documents-{one.slug}", split="train") for one in texts.domains
    }
    planned = {row["domain"]: row["planned_documents"] for row in domains}
    for name, rows in listed.items():
        assert sum(rows["repeat_count"]) == planned[name]


def _load(*arguments: Any, **options: Any) -> Any:
    return datasets.load_dataset(*arguments, **options)
