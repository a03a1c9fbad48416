"""Corpora of conversations: their fields are kept, and all parts have the same columns."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.conversations import sft_spec, write_records
from support.materialised import (
    canonical,
    planned,
    readings_of,
    records_planned,
    records_written,
)

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.errors import InvalidSpecError
from tandem_engine.materialise.columns import columns_of, merged, schema_of, table_of
from tandem_engine.materialise.run import MaterialiseRequest, materialise

SHARES = [0.5, 0.3, 0.2]


def tasks(folder: Path, *, target: int = 900) -> Path:
    """Messages (`echo`), and prompts with and without choices (`letter`, `parity`)."""
    return planned(folder, sft_spec(folder, manifest={"target_tokens": target}), SHARES)


def of_files(folder: Path, **records: list[dict[str, Any]]) -> Path:
    """Domains of prompts and completions."""
    domains = [
        {
            "name": name,
            "uris": [str(write_records(folder / f"{name}.jsonl", rows))],
            "records": "prompt_completion",
        }
        for name, rows in records.items()
    ]
    content = sft_spec(folder / "unused").model_dump(exclude_unset=True) | {
        "domains": domains,
        "manifest": {"target_tokens": 2000},
    }
    return planned(folder, JobSpec.model_validate(content), [1 / len(domains)] * len(domains))


def made(manifest: Path, out: Path, **settings: Any) -> dict[str, Any]:
    return materialise(MaterialiseRequest(manifest, out, **settings))


@pytest.mark.parametrize("output", ["jsonl", "parquet", "mds"])
def test_conversations_keep_their_fields(tmp_path: Path, output: Any) -> None:
    manifest = tasks(tmp_path)
    made(manifest, tmp_path / "out", format=output, parts=3)
    rows = records_written(tmp_path / "out", output)
    assert Counter(map(canonical, rows)) == records_planned(manifest)
    assert {tuple(sorted(row)) for row in rows} == {
        ("domain", "messages"),
        ("choices", "completion", "domain", "prompt"),
        ("completion", "domain", "prompt"),
    }


def test_all_parquet_parts_have_one_schema(tmp_path: Path) -> None:
    # So many parts that some hold one kind of conversation only, and some nothing.
    made(tasks(tmp_path), tmp_path / "out", format="parquet", parts=150)
    paths = sorted((tmp_path / "out").glob("*.parquet"))
    (schema,) = {pq.read_schema(path) for path in paths}
    assert schema.names == ["messages", "prompt", "completion", "choices", "domain"]
    assert 0 in {pq.read_metadata(path).num_rows for path in paths}
    assert schema.field("prompt").type == pa.string()


def test_all_mds_shards_have_one_encoding_per_column(tmp_path: Path) -> None:
    made(tasks(tmp_path), tmp_path / "out", format="mds", parts=150)
    shards = json.loads((tmp_path / "out" / "index.json").read_text())["shards"]
    (described,) = {
        tuple(zip(shard["column_names"], shard["column_encodings"], strict=True))
        for shard in shards
    }
    assert described == (
        ("choices", "json"),
        ("completion", "json"),
        ("domain", "str"),
        ("messages", "json"),
        ("prompt", "json"),
    )
    assert all(shard["samples"] for shard in shards)


@pytest.mark.parametrize("output", ["megatron", "tokens"])
def test_tokens_of_conversations_are_refused(tmp_path: Path, output: Any) -> None:
    manifest = tasks(tmp_path)
    with pytest.raises(InvalidSpecError, match="whose loss mask tokens alone do not carry"):
        made(manifest, tmp_path / "out", format=output)
    assert not list(tmp_path.glob("*out*"))


def test_prompts_that_are_texts_and_turns_share_one_column_of_turns(tmp_path: Path) -> None:
    manifest = of_files(
        tmp_path,
        plain=[{"prompt": f"p{n}", "completion": f"c{n}"} for n in range(30)],
        turns=[
            {
                "prompt": [{"role": "system", "content": f"s{n}", "name": "x"}],
                "completion": [{"role": "assistant", "content": f"c{n}"}],
            }
            for n in range(30)
        ],
    )
    made(manifest, tmp_path / "out", format="parquet", parts=3)
    rows = records_written(tmp_path / "out", "parquet")
    assert len(rows) == sum(readings_of(manifest).values())
    for row in rows:
        (prompt,), (completion,) = row["prompt"], row["completion"]
        expected = ("system", "x") if row["domain"] == "turns" else ("user", None)
        assert (prompt["role"], prompt["name"]) == expected
        assert completion["role"] == "assistant"
        assert completion["content"][1:] == prompt["content"][1:]
    made(manifest, tmp_path / "lines", format="jsonl")
    kept = records_written(tmp_path / "lines", "jsonl")
    assert Counter(map(canonical, kept)) == records_planned(manifest)


def test_fields_of_turns_that_do_not_go_together_are_refused_by_parquet_alone(
    tmp_path: Path,
) -> None:
    def turns(weight: object) -> list[dict[str, Any]]:
        return [
            {
                "prompt": f"p{n}",
                "completion": [{"role": "assistant", "content": f"c{n}", "weight": weight}],
            }
            for n in range(30)
        ]

    manifest = of_files(tmp_path, one=turns(1), two=turns({"of": "two"}))
    with pytest.raises(InvalidSpecError, match="'completion' do not fit into one column"):
        made(manifest, tmp_path / "out", format="parquet")
    made(manifest, tmp_path / "out", format="mds")
    rows = records_written(tmp_path / "out", "mds")
    assert Counter(map(canonical, rows)) == records_planned(manifest)


def test_columns_are_widened_until_they_hold_every_record() -> None:
    parts: list[list[dict[str, Any]]] = [
        [{"messages": [{"role": "user", "content": "a"}], "choices": None, "domain": "d"}],
        [{"messages": [{"role": "user", "content": "b", "weight": 1}], "domain": "d"}],
        [{"messages": [{"role": "user", "content": "c", "weight": 0.5}], "domain": "d"}],
    ]
    schema = schema_of(merged(columns_of(part, typed=True) for part in parts))
    turns = schema.field("messages").type.value_type
    assert turns.field("weight").type == pa.float64()
    tables = [table_of(part, schema) for part in parts]
    assert pa.concat_tables(tables).column("messages").to_pylist()[1][0]["weight"] == 1.0


def test_a_corpus_without_documents_has_the_columns_of_texts() -> None:
    assert schema_of(merged([])).names == ["text", "domain"]
