"""`python -m benchmarks.data.manifests`: time and memory of planning, and speed of expansion.

Measured plans know every document's length; expected plans know files and counts. Each size is run
in a process of its own. Lengths are drawn, log-normal around 400 tokens; a domain's share differs
from what it has, so that some documents are read several times and some not at all.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.data.measure import Measured, Stopwatch, measured, table, write_report

SHARES = {"code": 0.3, "manuals": 0.5, "web": 0.2}
PARTS = {"code": 0.2, "manuals": 0.1, "web": 0.7}
"""Of the documents."""
SEED = 20261124

_LONGEST = 65_536
_MEAN = 660
_FILES = 1000
_FILE_RECORDS = 10**6


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for, print a table, write JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.data.manifests", description=__doc__
    )
    parser.add_argument("--out", type=Path, default=Path("manifests.json"))
    parser.add_argument(
        "--measured", type=float, nargs="*", default=[1e6, 1e8], help="documents of measured plans"
    )
    parser.add_argument(
        "--expected", type=float, nargs="*", default=[1e6, 1e8, 1e10], help="of expected plans"
    )
    parser.add_argument("--expand", type=float, default=2e7, help="documents to expand")
    parser.add_argument("--scratch", type=Path, help="folder for the manifests")
    chosen = parser.parse_args(arguments)
    rows: list[dict[str, object]] = []
    with TemporaryDirectory(dir=chosen.scratch) as scratch:
        folder = Path(scratch)
        for size in map(int, chosen.measured):
            for listed in ("always", "never"):
                done = measured(plan_measured_lengths, folder, size, listed)
                _say(rows, f"plan, measured, rows {listed}", size, done)
        for size in map(int, chosen.expected):
            _say(rows, "plan, expected, no rows", size, measured(plan_counts, folder, size))
        largest = int(max(chosen.expected))
        for what in ("rule", "parquet"):
            done = measured(expand, folder / f"expected-{largest}", int(chosen.expand), what)
            _say(rows, f"expand to {what}, of {largest:.0e}", int(done.facts["documents"]), done)
    print(table(rows))
    write_report(chosen.out, rows, shares=SHARES, seed=SEED)


def _say(rows: list[dict[str, object]], what: str, documents: int, done: Measured) -> None:
    row: dict[str, object] = {
        "what": what,
        "documents": f"{documents:.3g}",
        "seconds": done.seconds,
        "documents/s": documents / done.seconds,
        "peak MB": done.peak_mb,
        "inputs MB": done.facts.get("inputs_mb", 0.0),
        "manifest MB": done.facts.get("manifest_mb", 0.0),
    }
    rows.append(row)
    print(table([row]), flush=True)


def plan_measured_lengths(
    stopwatch: Stopwatch, folder: Path, size: int, listed: Any
) -> dict[str, Any]:
    """Plan for documents whose lengths are known."""
    import numpy as np  # noqa: PLC0415 - the measuring process stays small

    from tandem_engine.manifests import inventory, write  # noqa: PLC0415

    draw = np.random.default_rng(SEED)
    domains = []
    for name, part in PARTS.items():
        count = round(size * part)
        tokens = np.minimum(draw.lognormal(6, 1, count), _LONGEST).astype(np.int64) + 1
        numbers = np.arange(count)
        domains.append(
            inventory.DomainInventory(
                name,
                [inventory.FileCounts(f"/corpora/{name}.jsonl", count)],
                count,
                int(tokens.sum()),
                inventory.Documents(numbers, tokens, tokens),
            )
        )
    total = sum(domain.available_tokens for domain in domains)
    request = write.ManifestRequest("benchmark", total, SEED, rows=listed)
    out = folder / f"measured-{size}-{listed}"
    with stopwatch:
        write.write_inventory(out, domains, list(SHARES.values()), request)
    return {"manifest_mb": _megabytes(out), "inputs_mb": 16 * size / 2**20}


def plan_counts(stopwatch: Stopwatch, folder: Path, size: int) -> dict[str, Any]:
    """Plan from a table of files with counts, read from Parquet."""
    import json  # noqa: PLC0415

    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    from tandem_engine.manifests.elsewhere import plan_elsewhere  # noqa: PLC0415

    files = []
    for name, part in PARTS.items():
        count = max(1, min(_FILES, round(size * part / _FILE_RECORDS)))
        records = round(size * part / count)
        files += [
            {
                "domain": name,
                "source_uri": f"s3://corpora/{name}/{n:05d}.jsonl.zst",
                "records": records,
                "tokens": records * _MEAN,
            }
            for n in range(count)
        ]
    inputs = folder / f"mixture-{size}.json", folder / f"files-{size}.parquet"
    inputs[0].write_text(json.dumps(SHARES), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(files), inputs[1])
    out = folder / f"expected-{size}"
    with stopwatch:
        plan_elsewhere(*inputs, out, target_tokens=size * _MEAN, seed=SEED, rows="never")
    return {"manifest_mb": _megabytes(out), "files": len(files)}


def expand(stopwatch: Stopwatch, folder: Path, documents: int, what: str) -> dict[str, Any]:
    """Expand as many files as hold `documents`, one after the other in one process."""
    from tandem_engine.manifests.expand import readings  # noqa: PLC0415
    from tandem_engine.manifests.listing import write_listing  # noqa: PLC0415
    from tandem_engine.manifests.read import Manifest  # noqa: PLC0415

    manifest = Manifest(folder)
    # The domain with the most documents, of which some are read and some not.
    files, total = [], 0
    for file in reversed(manifest.files):
        if total >= documents:
            break
        files.append(file)
        total += file.records.records
    with stopwatch:
        if what == "parquet":
            write_listing(manifest, files, folder / "rows.parquet")
        else:
            for file in files:
                rule = manifest.rules[file.domain]
                for _ in readings(rule, file.records, manifest.excluded(file)):
                    pass
    return {"documents": total}


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


if __name__ == "__main__":
    main()
