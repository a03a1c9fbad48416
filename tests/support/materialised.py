"""Manifests of tiny corpora, and what a materialised corpus holds, read by its own format."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from support.corpora import Progress, corpus_spec, texts
from tandem_engine.contracts.sources import SourceSpec
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import load_corpus
from tandem_engine.inputs.documents import iterate_documents
from tandem_engine.manifests.expand import readings
from tandem_engine.manifests.read import Manifest
from tandem_engine.manifests.write import write_manifest

TEXTS = {
    "a": texts("alpha", 60),
    "b": texts("bëta", 20, length=80),
    "c": [*texts("gamma", 30), "  ", *texts("gamma", 4)],
}
SHARES = [0.2, 0.5, 0.3]
TARGET = 9_000
"""Of `TEXTS` and `SHARES`: some documents of `b` are read several times, some of `a` never."""


def planned(folder: Path, spec: JobSpec, shares: Sequence[float] = SHARES) -> Path:
    """Write the manifest of a job's domains."""
    corpus = load_corpus(spec, folder / "cache", Progress())
    write_manifest(folder / "manifest", corpus, shares, spec)
    return folder / "manifest"


def texts_planned(
    folder: Path, shares: Sequence[float] = SHARES, target: int = TARGET, **settings: Any
) -> Path:
    """Write `TEXTS` and a manifest of them."""
    manifest = {"target_tokens": target} | settings
    return planned(folder, corpus_spec(folder, TEXTS, manifest=manifest), shares)


def readings_of(folder: Path) -> Counter[tuple[str, str, int]]:
    """Return how often domain, file and record number are read, by the rule."""
    manifest = Manifest(folder)
    counted: Counter[tuple[str, str, int]] = Counter()
    for file in manifest.files:
        rule = manifest.rules[file.domain]
        for part in readings(rule, file.records, manifest.excluded(file)):
            for index, count in zip(part.indices.tolist(), part.counts.tolist(), strict=True):
                counted[file.domain, part.uri, index] += count
    return counted


def records_planned(folder: Path) -> Counter[str]:
    """Return the records that a corpus of JSON lines is to hold, as canonical JSON with `domain`.

    Blank lines count as records, as they do in the manifest.
    """
    counted: Counter[str] = Counter()
    for (domain, uri, index), count in readings_of(folder).items():
        line = Path(uri).read_text(encoding="utf-8").splitlines()[index]
        counted[canonical(json.loads(line) | {"domain": domain})] += count
    return counted


def records_written(out: Path, output: str) -> list[dict[str, Any]]:
    """Return the records of a corpus in its order, without fields that are null."""
    index = json.loads((out / "corpus.json").read_text())
    rows: list[dict[str, Any]] = []
    for name in (name for part in index["parts"] for name in part["files"]):
        path = out / name
        if output == "parquet":
            rows += pq.ParquetFile(path).read().to_pylist()
        elif output == "mds":
            rows += _mds(path)
        else:
            raw = path.read_bytes()
            if path.suffix != ".jsonl":
                raw = pa.input_stream(str(path), compression="detect").read()
            rows += [json.loads(line) for line in raw.decode().splitlines()]
    return [{key: value for key, value in row.items() if value is not None} for row in rows]


def token_documents(out: Path, output: str, dtype: str = "uint16") -> list[list[int]]:
    """Return the documents of a corpus of tokens, each with its end-of-text, in their order."""
    if output == "tokens":
        raw = b"".join(path.read_bytes() for path in sorted(out.glob("part-*.npy")))
        ids = np.frombuffer(raw, dtype)
        ends = np.flatnonzero(ids == 256) + 1  # of the byte tokenizer
        assert ends[-1] == len(ids)
        return [part.tolist() for part in np.split(ids, ends[:-1])]
    source = SourceSpec(name="out", uris=[str(out / "part-*.idx")], format="megatron")
    return [
        document.tokens.tolist()
        for document in iterate_documents(source)
        if document.tokens is not None
    ]


def canonical(record: Mapping[str, Any]) -> str:
    """Return equal texts for equal records."""
    return json.dumps(record, sort_keys=True)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files below a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def _mds(path: Path) -> list[dict[str, Any]]:
    index = json.loads((path.parent / "index.json").read_text())
    (shard,) = [one for one in index["shards"] if one["raw_data"]["basename"] == path.name]
    raw = path.read_bytes()
    assert len(raw) == shard["raw_data"]["bytes"]
    offsets = np.frombuffer(raw, "<u4", shard["samples"] + 1, offset=4).tolist()
    assert offsets[-1] == len(raw)
    rows = []
    for begin in offsets[:-1]:
        sizes = np.frombuffer(raw, "<u4", len(shard["column_names"]), offset=begin).tolist()
        place, row = begin + 4 * len(sizes), {}
        described = zip(shard["column_names"], shard["column_encodings"], sizes, strict=True)
        for name, encoding, size in described:
            text = raw[place : place + size].decode()
            row[name] = text if encoding == "str" else json.loads(text)
            place += size
        rows.append(row)
    return rows
