"""The manifest: what it promises to a trainer that reads it."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.corpora import Progress, corpus_spec, texts

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import Corpus, load_corpus
from tandem_engine.manifest import canonical_json, plan_domain, write_manifest
from tandem_engine.permutation import permute

TEXTS = {
    "a": texts("alpha", 60),
    "b": texts("beta", 20, length=80),
    "c": [*texts("gamma", 30), *texts("gamma", 4)],
}
SHARES = [0.2, 0.5, 0.3]


def prepared(folder: Path, **settings: object) -> tuple[Corpus, JobSpec]:
    spec = corpus_spec(folder, TEXTS, **settings)
    return load_corpus(spec, folder / "cache", Progress()), spec


def write(
    folder: Path, shares: Sequence[float] = SHARES, **settings: object
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    corpus, spec = prepared(folder, **settings)
    write_manifest(folder / "manifest", corpus, shares, spec)
    head: dict[str, Any] = json.loads((folder / "manifest" / "manifest.json").read_bytes())
    rows: list[dict[str, Any]] = pq.read_table(folder / "manifest/documents.parquet").to_pylist()
    return head, rows


def text_of(row: dict[str, Any]) -> str:
    line = Path(row["source_uri"]).read_text(encoding="utf-8").splitlines()[row["document_index"]]
    text: str = json.loads(line)["text"]
    return text


def test_targets_sum_to_the_whole_and_plans_come_near(tmp_path: Path) -> None:
    head, rows = write(tmp_path, manifest={"target_tokens": 10_001})
    assert head["target_tokens"] == 10_001
    assert [domain["target_tokens"] for domain in head["domains"]] == [2000, 5001, 3000]
    for domain in head["domains"]:
        longest = max(map(len, TEXTS[domain["domain"]])) + 1
        assert abs(domain["planned_tokens"] - domain["target_tokens"]) <= longest / 2
        own = [row for row in rows if row["domain"] == domain["domain"]]
        planned = sum(row["repeat_count"] * row["token_count"] for row in own)
        assert domain["planned_tokens"] == planned
        assert domain["planned_documents"] == sum(row["repeat_count"] for row in own)
        assert domain["epochs"] == domain["target_tokens"] / domain["available_tokens"]
    assert head["planned_tokens"] == sum(d["planned_tokens"] for d in head["domains"])


def test_rows_lead_to_documents_of_their_length(tmp_path: Path) -> None:
    _, rows = write(tmp_path)
    for row in rows:
        assert text_of(row) in TEXTS[row["domain"]]
        assert row["token_count"] == len(text_of(row)) + 1


def test_every_available_document_is_read_full_passes_times_or_once_more(tmp_path: Path) -> None:
    head, rows = write(tmp_path, manifest={"target_tokens": 12_000})
    for domain in head["domains"]:
        counts = [row["repeat_count"] for row in rows if row["domain"] == domain["domain"]]
        passes, extra = domain["full_passes"], domain["extra_documents"]
        assert passes >= 1
        assert len(counts) == domain["available_documents"]
        assert sorted(counts) == [passes] * (len(counts) - extra) + [passes + 1] * extra


def test_a_trainer_can_work_out_the_rows_from_the_published_rule(tmp_path: Path) -> None:
    head, rows = write(tmp_path, manifest={"target_tokens": 900, "documents": "all"})
    for domain in head["domains"]:
        assert domain["full_passes"] == 0
        count = domain["available_documents"]  # the duplicates of "c" are its last records
        places = permute(np.arange(count), count, seed=head["seed"], domain=domain["domain"])
        chosen = np.flatnonzero(places < domain["extra_documents"]).tolist()
        own = [row for row in rows if row["domain"] == domain["domain"]]
        assert [row["document_index"] for row in own] == chosen
        assert {row["repeat_count"] for row in own} == {1}


def test_held_out_documents_are_left_out_by_default(tmp_path: Path) -> None:
    corpus, _ = prepared(tmp_path)
    head, rows = write(tmp_path, manifest={"target_tokens": 50_000})
    for domain, planned in zip(corpus.domains, head["domains"], strict=True):
        train = domain.documents[(domain.documents["split"] == 0) & ~domain.documents["duplicate"]]
        own = [row["document_index"] for row in rows if row["domain"] == domain.name]
        assert own == train["document"].tolist()
        assert planned["available_tokens"] == domain.statistics.train_tokens
        assert planned["available_documents"] == domain.statistics.train_documents


def test_all_documents_are_read_on_request_but_duplicates_once(tmp_path: Path) -> None:
    head, rows = write(tmp_path, manifest={"target_tokens": 50_000, "documents": "all"})
    assert head["documents"] == "all"
    for domain in head["domains"]:
        own = [text_of(row) for row in rows if row["domain"] == domain["domain"]]
        assert sorted(own) == sorted(set(TEXTS[domain["domain"]]))


def test_the_target_is_what_is_available_when_none_is_set(tmp_path: Path) -> None:
    head, _ = write(tmp_path)
    assert head["target_tokens"] == sum(domain["available_tokens"] for domain in head["domains"])


def test_the_natural_mixture_of_what_is_there_reads_everything_once(tmp_path: Path) -> None:
    corpus, _ = prepared(tmp_path)
    natural = [domain.statistics.natural_share for domain in corpus.domains]
    head, rows = write(tmp_path, natural)
    assert {row["repeat_count"] for row in rows} == {1}
    assert head["planned_tokens"] == head["target_tokens"]


def test_a_domain_with_share_zero_is_listed_and_not_read(tmp_path: Path) -> None:
    head, rows = write(tmp_path, [0.4, 0.0, 0.6])
    empty = head["domains"][1]
    assert empty["domain"] == "b"
    assert {empty[key] for key in ("share", "target_tokens", "epochs", "planned_documents")} == {0}
    assert {row["domain"] for row in rows} == {"a", "c"}


def test_equal_input_gives_equal_bytes_wherever_the_cache_lies(tmp_path: Path) -> None:
    spec = corpus_spec(tmp_path, TEXTS)
    for name in ("one", "two"):
        corpus = load_corpus(spec, tmp_path / f"cache-{name}", Progress())
        write_manifest(tmp_path / name, corpus, SHARES, spec)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["documents.parquet", "domains.parquet", "manifest.json"]
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_order_of_domains_in_a_request_changes_no_byte(tmp_path: Path) -> None:
    spec = corpus_spec(tmp_path, TEXTS)
    turned = spec.evolve(
        domains=[domain.model_dump(exclude_unset=True) for domain in spec.domains[::-1]]
    )
    summaries = [
        write_manifest(tmp_path / "m", load_corpus(s, tmp_path / "cache", Progress()), SHARES, s)
        for s in (spec, turned)
    ]
    assert summaries[0] == summaries[1]


def test_the_summary_and_the_head_vouch_for_the_files(tmp_path: Path) -> None:
    corpus, spec = prepared(tmp_path)
    summary = write_manifest(tmp_path / "out" / "manifest", corpus, SHARES, spec)
    written = (tmp_path / "out" / "manifest" / "manifest.json").read_bytes()
    head = json.loads(written)
    assert summary.path == "manifest"
    assert summary.sha256 == hashlib.sha256(written).hexdigest()
    assert (summary.target_tokens, summary.planned_tokens) == (
        head["target_tokens"],
        head["planned_tokens"],
    )
    assert canonical_json(head) == written
    for file in head["files"]:
        content = (tmp_path / "out" / "manifest" / file["path"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["bytes"] == len(content)
        assert file["rows"] == pq.read_table(tmp_path / "out/manifest" / file["path"]).num_rows
    assert head["selector"] == {"name": "feistel6-splitmix64", "version": 1}
    assert head["unit"] == "tokens"
    assert head["method"] == "tandem"


def test_the_domain_table_says_what_the_head_says(tmp_path: Path) -> None:
    head, _ = write(tmp_path)
    assert pq.read_table(tmp_path / "manifest" / "domains.parquet").to_pylist() == head["domains"]


def test_an_older_manifest_is_replaced(tmp_path: Path) -> None:
    corpus, spec = prepared(tmp_path)
    (tmp_path / "manifest").mkdir()
    (tmp_path / "manifest" / "stale").write_text("old")
    write_manifest(tmp_path / "manifest", corpus, SHARES, spec)
    assert not (tmp_path / "manifest" / "stale").exists()


@pytest.mark.parametrize(
    "shares", [[0.5, 0.5], [0.5, 0.5, 0.5], [-0.1, 0.6, 0.5], [float("nan"), 0.5, 0.5]]
)
def test_shares_off_the_simplex_write_nothing(tmp_path: Path, shares: list[float]) -> None:
    corpus, spec = prepared(tmp_path)
    with pytest.raises(ValueError, match="need 3 shares that sum to 1"):
        write_manifest(tmp_path / "manifest", corpus, shares, spec)
    assert not (tmp_path / "manifest").exists()


counts = st.lists(st.integers(1, 500), min_size=1, max_size=40)


@given(counts, st.integers(0, 50_000), st.integers(0, 2**63 - 1))
def test_no_other_number_of_extra_documents_comes_nearer(
    lengths: list[int], target: int, seed: int
) -> None:
    tokens = np.array(lengths, dtype=np.int64)
    plan = plan_domain(tokens, target, seed=seed, domain="d")
    assert plan.planned_tokens == int((plan.repeat_counts * tokens).sum())
    places = permute(np.arange(len(tokens)), len(tokens), seed=seed, domain="d")
    base = target // int(tokens.sum())
    for extra in range(len(tokens) + 1):
        other = int(((base + (places < extra)) * tokens).sum())
        assert abs(plan.planned_tokens - target) <= abs(other - target)


@given(counts, st.integers(0, 20_000), st.integers(0, 20_000))
def test_a_larger_target_only_adds_readings(lengths: list[int], one: int, other: int) -> None:
    tokens = np.array(lengths, dtype=np.int64)
    low, high = (
        plan_domain(tokens, target, seed=1, domain="d").repeat_counts
        for target in sorted((one, other))
    )
    assert (low <= high).all()
