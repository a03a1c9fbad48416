import json
from pathlib import Path

import pytest

from demo.corpus import build as builder
from demo.corpus.build import RECIPES, CorpusRecord, build
from demo.corpus.texts import CorpusError, Document

STEPS, BATCH, CONTEXT = 500, 8, 128
TRAIN_PART = 0.7


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CorpusRecord]:
    folder = tmp_path_factory.mktemp("corpus")
    return folder, build(folder, report=lambda _: None)


def texts(folder: Path, name: str) -> list[str]:
    lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")
    return [json.loads(line)["text"] for line in lines]


def test_there_are_seven_domains_of_real_text(corpus: tuple[Path, CorpusRecord]) -> None:
    folder, record = corpus
    assert len(record.domains) == 7
    for domain in record.domains:
        found = texts(folder, domain.name)
        assert len(found) == domain.documents >= 15
        assert sum(len(text.encode()) for text in found) == domain.bytes
        assert len(set(found)) == len(found)


def test_the_domains_are_strongly_imbalanced(corpus: tuple[Path, CorpusRecord]) -> None:
    shares = [domain.share for domain in corpus[1].domains]
    assert max(shares) == pytest.approx(0.5, abs=0.02)
    assert min(shares) == pytest.approx(0.03, abs=0.005)
    assert sum(shares) == pytest.approx(1, abs=1e-5)


def test_equal_shares_repeat_the_smallest_domain_and_natural_ones_repeat_little(
    corpus: tuple[Path, CorpusRecord],
) -> None:
    budget = STEPS * BATCH * CONTEXT
    sizes = [domain.bytes * TRAIN_PART for domain in corpus[1].domains]
    assert budget / len(sizes) / min(sizes) >= 5
    assert budget / sum(sizes) < 1.15


def test_domains_are_of_distinct_nature(corpus: tuple[Path, CorpusRecord]) -> None:
    marks = {
        "code": "(self",
        "dialogue": "\nB: ",
        "encyclopaedia": "Climate:",
        "legal": "warrant",
        "literature": "unto",
        "manual": "statement",
        "mathematics": ">>> mp.dps",
    }
    folder, _ = corpus
    counts = {
        domain: {
            mark: sum(mark in text for text in texts(folder, domain)) / len(texts(folder, domain))
            for mark in marks.values()
        }
        for domain in marks
    }
    for domain, mark in marks.items():
        others = max(counts[other][mark] for other in marks if other != domain)
        assert counts[domain][mark] > others, domain


def test_every_domain_records_package_version_and_licence(
    corpus: tuple[Path, CorpusRecord],
) -> None:
    folder, record = corpus
    stored = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
    for domain, entry in zip(record.domains, stored["domains"], strict=True):
        assert entry["name"] == domain.name
        assert entry["origins"]
        assert all(origin[key] for origin in entry["origins"] for key in origin)
        assert {"package", "version", "licence"} == set(entry["origins"][0])


def test_a_second_build_elsewhere_gives_the_same_bytes(
    corpus: tuple[Path, CorpusRecord], tmp_path: Path
) -> None:
    build(tmp_path, report=lambda _: None)
    for path in sorted(corpus[0].iterdir()):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_a_second_build_in_place_reads_no_package(
    corpus: tuple[Path, CorpusRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder, "shuffled", lambda *_: pytest.fail("built again"))
    assert build(corpus[0], report=lambda _: None) == corpus[1]


def test_a_domain_file_that_was_changed_is_built_again(
    corpus: tuple[Path, CorpusRecord], tmp_path: Path
) -> None:
    build(tmp_path, report=lambda _: None)
    whole = (tmp_path / "dialogue.jsonl").read_bytes()
    (tmp_path / "dialogue.jsonl").write_bytes(whole[: whole.index(b"\n") + 1])
    assert build(tmp_path, report=lambda _: None) == corpus[1]
    assert (tmp_path / "dialogue.jsonl").read_bytes() == whole


def test_too_little_text_is_an_error_and_leaves_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor = builder.Recipe("poor", "x", 1000, lambda: [Document("a", "a")], RECIPES[0].origins)
    monkeypatch.setattr(builder, "RECIPES", (poor,))
    with pytest.raises(CorpusError, match="'poor' has 1 of 1000 bytes"):
        build(tmp_path, report=lambda _: None)
    assert not (tmp_path / "corpus.json").exists()
