"""Sources of many kinds: of tokens, only counted, or not what they were."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.conversations import tokenizer_folder
from support.corpora import texts, write_jsonl
from support.files import write_megatron
from support.materialised import planned, records_planned, records_written, token_documents

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.errors import InvalidSpecError, ManifestDamagedError
from tandem_engine.manifests.elsewhere import plan_elsewhere
from tandem_engine.materialise.run import MaterialiseRequest, materialise


def made(manifest: Path, out: Path, **settings: Any) -> dict[str, Any]:
    return materialise(MaterialiseRequest(manifest, out, **settings))


def counted(folder: Path, records: list[str], *, claimed: int | None = None) -> Path:
    """Plan for a file of these records that nobody read, twice each; `claimed` is their number."""
    path = write_jsonl(folder / "web.jsonl", records)
    count = claimed or len(records)
    row = {"domain": "web", "source_uri": str(path), "records": count, "tokens": 10 * count}
    pq.write_table(pa.Table.from_pylist([row]), folder / "files.parquet")
    (folder / "mixture.json").write_text('{"web": 1.0}')
    inputs = (folder / "mixture.json", folder / "files.parquet")
    plan_elsewhere(*inputs, folder / "manifest", target_tokens=20 * count)
    return folder / "manifest"


def of_tokens(folder: Path) -> tuple[Path, list[list[int]]]:
    """Plan for documents that were tokenised by the byte tokenizer, some with its end-of-text."""
    documents = [[*f"document {n}".encode(), *([256] if n % 2 else [])] for n in range(200)]
    write_megatron(folder / "corpus", documents, "uint16")
    content = {
        "domains": [
            {"name": "tokens", "uris": [str(folder / "corpus.idx")]},
            {"name": "texts", "uris": [str(write_jsonl(folder / "t.jsonl", texts("t", 60)))]},
        ],
        "training": {"context_length": 16},
        "manifest": {"target_tokens": 4000, "documents": "all"},
    }
    return planned(folder, JobSpec.model_validate(content), [0.0, 1.0]), documents


def test_tokens_are_written_as_they_are_read_with_one_end_of_text(tmp_path: Path) -> None:
    manifest, documents = of_tokens(tmp_path)
    made(manifest, tmp_path / "out", format="megatron")
    written = Counter(tuple(ids) for ids in token_documents(tmp_path / "out", "megatron"))
    assert set(written) == {tuple([n for n in ids if n != 256] + [256]) for ids in documents}
    assert max(written.values()) > 1


def test_tokens_cannot_become_records(tmp_path: Path) -> None:
    manifest, _ = of_tokens(tmp_path)
    with pytest.raises(InvalidSpecError, match="holds tokens, which cannot be written as records"):
        made(manifest, tmp_path / "out", format="jsonl")


def test_tokens_of_one_tokenizer_are_not_passed_off_as_anothers(tmp_path: Path) -> None:
    manifest, _ = of_tokens(tmp_path)
    other = str(tokenizer_folder(tmp_path / "tokenizer"))
    with pytest.raises(InvalidSpecError, match="tokens of the job's tokenizer, not of the given"):
        made(manifest, tmp_path / "out", format="tokens", tokenizer=other)


def test_a_file_that_was_only_counted_is_written(tmp_path: Path) -> None:
    manifest = counted(tmp_path, texts("web", 50))
    index = made(manifest, tmp_path / "out")
    rows = records_written(tmp_path / "out", "jsonl")
    assert Counter(row["text"] for row in rows) == dict.fromkeys(texts("web", 50), 2)
    assert (index["documents"], index["left_out"]) == (100, 0)
    assert len(records_planned(manifest)) == 50


def test_a_file_that_was_only_counted_may_have_a_few_blank_records(tmp_path: Path) -> None:
    records = texts("web", 250)
    records[7], records[249] = "  ", ""
    index = made(counted(tmp_path, records), tmp_path / "out")
    assert (index["documents"], index["left_out"]) == (496, 2)


def test_a_file_with_far_fewer_documents_than_were_counted_is_refused(tmp_path: Path) -> None:
    manifest = counted(tmp_path, texts("web", 50), claimed=60)
    with pytest.raises(ManifestDamagedError, match="has no document 51, which the manifest reads"):
        made(manifest, tmp_path / "out")


def test_without_a_tokenizer_tokens_ask_for_one(tmp_path: Path) -> None:
    manifest = counted(tmp_path, texts("web", 50))
    with pytest.raises(InvalidSpecError, match="was made without a tokenizer"):
        made(manifest, tmp_path / "out", format="tokens")
    folder = str(tokenizer_folder(tmp_path / "tokenizer"))
    index = made(manifest, tmp_path / "out", format="tokens", tokenizer=folder)
    ids = np.fromfile(tmp_path / "out" / "part-00000.npy", index["dtype"])
    assert len(ids) == index["parts"][0]["tokens"]


def test_a_source_that_is_gone_is_named(tmp_path: Path) -> None:
    manifest = counted(tmp_path, texts("web", 50))
    (tmp_path / "web.jsonl").unlink()
    with pytest.raises(Exception, match=r"web\.jsonl"):
        made(manifest, tmp_path / "out")
    assert not list(tmp_path.glob("*out*"))


def test_fields_that_json_does_not_have_become_texts(tmp_path: Path) -> None:
    seen = datetime(2026, 1, 2, tzinfo=UTC)
    turns = [[{"role": "assistant", "content": f"c{n}", "seen": seen}] for n in range(60)]
    table = pa.table({"prompt": [f"p{n}" for n in range(60)], "completion": turns})
    pq.write_table(table, tmp_path / "turns.parquet")
    uris = [str(tmp_path / "turns.parquet")]
    domains = [{"name": n, "uris": uris, "records": "prompt_completion"} for n in ("one", "two")]
    spec = JobSpec.model_validate({"scenario": "sft", "domains": domains})
    made(planned(tmp_path, spec, [0.5, 0.5]), tmp_path / "out")
    rows = records_written(tmp_path / "out", "jsonl")
    assert {row["completion"][0]["seen"] for row in rows} == {"2026-01-02 00:00:00+00:00"}
