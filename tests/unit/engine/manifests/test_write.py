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
from support.manifests import listed_documents

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import Corpus, load_corpus
from tandem_engine.manifests.permutation import permute
from tandem_engine.manifests.plan import DomainPlan, plan_expected, plan_measured, repeat_counts
from tandem_engine.manifests.write import canonical_json, write_manifest

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
    return head, listed_documents(folder / "manifest")


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
    head, rows = write(tmp_path, manifest={"target_tokens": 900})
    excluded = pq.read_table(tmp_path / "manifest" / "excluded.parquet").to_pylist()
    for domain in head["domains"]:
        assert domain["full_passes"] == 0
        count = domain["records"]
        places = permute(np.arange(count), count, seed=head["seed"], domain=domain["domain"])
        left_out = {row["record"] for row in excluded if row["domain"] == domain["domain"]}
        assert len(left_out) == count - domain["available_documents"]
        below = np.flatnonzero(places < domain["threshold"]).tolist()
        chosen = [number for number in below if number not in left_out]
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
    files = sorted(
        str(path.relative_to(tmp_path / "one"))
        for path in (tmp_path / "one").rglob("*")
        if path.is_file()
    )
    assert files == [
        "README.md",
        "croissant.json",
        *(f"documents/domain={name}/part-00000.parquet" for name in "abc"),
        "domains.parquet",
        "excluded.parquet",
        "lengths.parquet",
        "manifest.json",
        "shards.parquet",
    ]
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
        if file["path"].endswith(".parquet"):
            table = pq.ParquetFile(tmp_path / "out/manifest" / file["path"]).read()
            assert file["rows"] == table.num_rows
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


def test_where_a_files_records_begin_is_said(tmp_path: Path) -> None:
    corpus, spec = prepared(tmp_path)
    write_manifest(tmp_path / "manifest", corpus, SHARES, spec)
    shards = pq.read_table(tmp_path / "manifest" / "shards.parquet").to_pylist()
    for row in shards:
        content = Path(row["source_uri"]).read_bytes()
        assert row["fingerprint"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        assert (row["records"], row["first_record"]) == (content.count(b"\n"), 0)
        assert (row["format"], row["bytes"]) == ("jsonl", len(content))


def test_lengths_hold_every_available_document(tmp_path: Path) -> None:
    head, _ = write(tmp_path)
    lengths = pq.read_table(tmp_path / "manifest" / "lengths.parquet").to_pylist()
    for domain in head["domains"]:
        own = [row for row in lengths if row["domain"] == domain["domain"]]
        assert sum(row["documents"] for row in own) == domain["available_documents"]
        tokens = sum(row["documents"] * row["tokens"] for row in own)
        assert tokens == domain["available_tokens"]


def test_rows_of_documents_are_written_only_where_they_are_asked_for(tmp_path: Path) -> None:
    head, rows = write(tmp_path, manifest={"rows": "never"})
    assert (head["documents_listed"], rows) == (False, [])
    assert not (tmp_path / "manifest" / "documents").exists()


def test_many_documents_are_spread_over_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, whole = write(tmp_path)
    monkeypatch.setattr("tandem_engine.manifests.expand.ROWS_PER_PART", 7)
    monkeypatch.setattr("tandem_engine.manifests.expand._CHUNK", 5)
    head, rows = write(tmp_path)
    assert rows == whole
    names = [entry["path"] for entry in head["files"] if "domain=a/" in entry["path"]]
    assert len(names) > 2


numbers = st.lists(st.tuples(st.integers(1, 500), st.booleans()), min_size=1, max_size=40)


def _plan(lengths: list[tuple[int, bool]], target: int, seed: int) -> tuple[Any, ...]:
    """Plan for records of which some are excluded; the first never is."""
    kept = [n for n, (_, keep) in enumerate(lengths) if keep or not n]
    tokens = np.array([lengths[n][0] for n in kept], dtype=np.int64)
    found = np.array(kept, dtype=np.int64)
    plan = plan_measured(found, tokens, len(lengths), target, seed=seed, domain="d")
    return plan, tokens, found


def _counts(plan: DomainPlan, found: Any, records: int, seed: int) -> Any:
    rule = (records, plan.full_passes, plan.threshold)
    return repeat_counts(found, *rule, seed=seed, domain="d")


@given(numbers, st.integers(0, 50_000), st.integers(0, 2**63 - 1))
def test_no_other_threshold_comes_nearer(
    lengths: list[tuple[int, bool]], target: int, seed: int
) -> None:
    plan, tokens, found = _plan(lengths, target, seed)
    counts = _counts(plan, found, len(lengths), seed)
    assert plan.planned_tokens == int((counts * tokens).sum())
    assert plan.planned_documents == int(counts.sum())
    assert plan.extra_documents == int((counts - plan.full_passes).sum())
    for threshold in range(len(lengths) + 1):
        rule = (len(lengths), plan.full_passes, threshold)
        other = int((repeat_counts(found, *rule, seed=seed, domain="d") * tokens).sum())
        assert abs(plan.planned_tokens - target) <= abs(other - target)


@given(numbers, st.integers(0, 20_000), st.integers(0, 20_000))
def test_a_larger_target_only_adds_readings(
    lengths: list[tuple[int, bool]], one: int, other: int
) -> None:
    low, high = (
        _counts(plan, found, len(lengths), 1)
        for plan, _, found in (_plan(lengths, target, 1) for target in sorted((one, other)))
    )
    assert (low <= high).all()


@given(st.integers(1, 10**10), st.integers(1, 10**4), st.integers(0, 3 * 10**14))
def test_an_expected_plan_is_arithmetic_and_within_a_document(
    records: int, mean: int, target: int
) -> None:
    plan = plan_expected(records, records * mean, records, target)
    assert abs(plan.planned_tokens - target) <= mean
    assert plan.planned_documents == plan.full_passes * records + plan.threshold
    assert not plan.measured
    more = plan_expected(records, records * mean, records, target + 1)
    assert (more.full_passes, more.threshold) >= (plan.full_passes, plan.threshold)


def test_an_expected_plan_of_equal_documents_is_what_is_counted() -> None:
    tokens = np.full(1000, 7)
    counted = plan_measured(np.arange(1000), tokens, 1000, 9123, seed=0, domain="d")
    expected = plan_expected(1000, 7000, 1000, 9123)
    assert counted.planned_tokens == expected.planned_tokens
    assert counted.planned_documents == expected.planned_documents
