"""`python -m benchmarks.data.materialise`: writing a mixture, beside Hugging Face `datasets`.

Both read the same JSON lines and write the same number of documents of each domain, shuffled as a
whole, with a column `domain`: Tandem by a manifest whose files have fingerprints, which it checks;
`datasets` by the script that `tandem export huggingface` writes (whole passes, a draw without
replacement, joined, shuffled), with an empty cache. MB/s are of the texts that are written. Runs
alternate; the table holds medians.
"""

import argparse
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.data.measure import Stopwatch, measured, table, write_report

SHARES = {"code": 0.3, "manuals": 0.5, "web": 0.2}
PARTS = {"code": 0.2, "manuals": 0.15, "web": 0.65}
"""Of the bytes of the sources."""
SEED = 20261124
FILES = 4

_MEAN_WORDS = 300


def main(arguments: Sequence[str] | None = None) -> None:
    """Write sources, run both in turn, print a table, write JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.data.materialise", description=__doc__
    )
    parser.add_argument("--out", type=Path, default=Path("materialise.json"))
    parser.add_argument("--megabytes", type=int, default=500, help="of the sources")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--formats", nargs="*", default=["jsonl", "parquet"])
    parser.add_argument("--scratch", type=Path, help="folder for sources and corpora")
    chosen = parser.parse_args(arguments)
    rows: list[dict[str, object]] = []
    with TemporaryDirectory(dir=chosen.scratch) as scratch:
        folder = Path(scratch)
        plan = measured(prepare, folder, chosen.megabytes).facts
        for output in chosen.formats:
            for workers in chosen.workers:
                row = _compare(folder, plan, output, workers, chosen.repetitions)
                rows.append(row)
                print(table([row]), flush=True)
    print(table(rows))
    write_report(
        chosen.out,
        rows,
        megabytes=chosen.megabytes,
        repetitions=chosen.repetitions,
        documents=plan["documents"],
        written_mb=plan["written_mb"],
    )


def _compare(
    folder: Path, plan: dict[str, Any], output: str, workers: int, repetitions: int
) -> dict[str, object]:
    found: dict[str, list[Any]] = {"tandem": [], "datasets": []}
    for _ in range(repetitions):
        for name, function in (("tandem", by_tandem), ("datasets", by_datasets)):
            found[name].append(measured(function, folder, plan, output, workers))
            facts = found[name][-1].facts
            if facts["documents"] != plan["documents"]:
                raise RuntimeError(f"{name} wrote {facts['documents']} documents")
    speeds = {
        name: [plan["written_mb"] / one.seconds for one in runs] for name, runs in found.items()
    }
    ratios = [ours / theirs for ours, theirs in zip(*speeds.values(), strict=True)]
    return {
        "format": output,
        "workers": workers,
        "tandem MB/s": median(speeds["tandem"]),
        "datasets MB/s": median(speeds["datasets"]),
        "ratio": median(ratios),
        "ratios": " ".join(f"{ratio:.2f}" for ratio in sorted(ratios)),
        "tandem peak MB": max(one.peak_mb for one in found["tandem"]),
        "datasets peak MB": max(one.peak_mb for one in found["datasets"]),
    }


def prepare(_: Stopwatch, folder: Path, megabytes: int) -> dict[str, Any]:
    """Write sources and the manifest; return files and documents to read per domain."""
    import numpy as np  # noqa: PLC0415 - the measuring process stays small
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    from tandem_engine.manifests.elsewhere import plan_elsewhere  # noqa: PLC0415
    from tandem_engine.manifests.read import Manifest  # noqa: PLC0415

    draw = np.random.default_rng(SEED)
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    words = np.array(["".join(draw.choice(letters, n)) for n in draw.integers(2, 11, 20_000)])
    inventory: list[dict[str, Any]] = []
    for name, part in PARTS.items():
        for number in range(FILES):
            path = folder / f"{name}-{number}.jsonl"
            records, tokens = _write(path, megabytes * 2**20 * part / FILES, words, draw)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            inventory.append(
                {
                    "domain": name,
                    "source_uri": str(path),
                    "records": records,
                    "tokens": tokens,
                    "bytes": path.stat().st_size,
                    "fingerprint": f"sha256:{digest}",
                    "format": "jsonl",
                }
            )
    pq.write_table(pa.Table.from_pylist(inventory), folder / "files.parquet")
    (folder / "mixture.json").write_text(json.dumps(SHARES), encoding="utf-8")
    total = sum(row["tokens"] for row in inventory)
    plan_elsewhere(
        folder / "mixture.json",
        folder / "files.parquet",
        folder / "manifest",
        target_tokens=total,
        seed=SEED,
    )
    head = Manifest(folder / "manifest").head
    return {
        "domains": [
            [row["domain"], row["source_uris"], row["planned_documents"]] for row in head["domains"]
        ],
        "documents": sum(row["planned_documents"] for row in head["domains"]),
        # Tokens are the bytes of texts.
        "written_mb": head["planned_tokens"] / 2**20,
    }


def _write(path: Path, size: float, words: Any, draw: Any) -> tuple[int, int]:
    records = tokens = 0
    with path.open("w", encoding="utf-8") as file:
        while tokens < size:
            count = int(min(draw.lognormal(5.3, 0.9), 20 * _MEAN_WORDS)) + 1
            # Squared: some words are frequent, so that the text can be compressed like text.
            places = (draw.random(count) ** 3 * len(words)).astype(int)
            text = " ".join(words[places])
            file.write(json.dumps({"text": text, "id": records}) + "\n")
            records, tokens = records + 1, tokens + len(text)
    return records, tokens


def by_tandem(
    stopwatch: Stopwatch, folder: Path, _: dict[str, Any], output: Any, workers: int
) -> dict[str, Any]:
    """Materialise the manifest."""
    from tandem_engine.materialise.executors import LocalExecutor  # noqa: PLC0415
    from tandem_engine.materialise.run import MaterialiseRequest, materialise  # noqa: PLC0415

    out = folder / "tandem"
    with stopwatch:
        request = MaterialiseRequest(folder / "manifest", out, output, parts=workers)
        index = materialise(request, LocalExecutor(workers))
    shutil.rmtree(out)
    return {"documents": index["documents"]}


def by_datasets(
    stopwatch: Stopwatch, folder: Path, plan: dict[str, Any], output: str, workers: int
) -> dict[str, Any]:
    """Take the same number of documents of each domain with `datasets`."""
    import datasets  # noqa: PLC0415

    datasets.disable_progress_bars()
    processes = workers if workers > 1 else None
    out, cache = folder / f"datasets.{output}", folder / "cache"
    with stopwatch:
        parts = []
        for place, (domain, files, count) in enumerate(plan["domains"]):
            rows = datasets.load_dataset(
                "json",
                data_files=files,
                split="train",
                cache_dir=str(cache),
                num_proc=processes,
            )
            rows = rows.select_columns(["text"]).add_column("domain", [domain] * len(rows))
            passes, rest = divmod(count, len(rows))
            parts += [rows] * passes
            if rest:
                parts.append(rows.shuffle(seed=SEED + place).select(range(rest)))
        corpus = datasets.concatenate_datasets(parts).shuffle(seed=SEED)
        if output == "parquet":
            corpus.to_parquet(str(out))  # by one process; Snappy, and Tandem's are Zstandard
        else:
            corpus.to_json(str(out), num_proc=processes)
    out.unlink()
    shutil.rmtree(cache)
    return {"documents": len(corpus)}


if __name__ == "__main__":
    main()
