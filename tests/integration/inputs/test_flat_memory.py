"""Five gigabytes of text go through in the memory of one record."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa

GIGABYTE = 2**30
RECORD = 2**20

_READ = """
import resource, sys
from tandem_engine.contracts.domains import DomainSpec
from tandem_engine.inputs.documents import iterate_documents
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
documents = iterate_documents(DomainSpec(name="d", uris=[sys.argv[1]]))
total = sum(len(next(documents).text) for _ in range(50))
before = peak()
count = 50
for document in documents:
    total += len(document.text)
    count += 1
print(count, total, peak() - before)
"""


def _write(path: Path, records: int) -> None:
    text = "lorem ipsum " * (RECORD // 12)
    with pa.OSFile(str(path), "wb") as file, pa.CompressedOutputStream(file, "zstd") as stream:
        for number in range(records):
            stream.write(json.dumps({"text": f"{number} {text}"}).encode() + b"\n")


def test_five_gigabytes_are_read_in_the_memory_of_a_few_records(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl.zst"
    records = 5 * GIGABYTE // RECORD + 1
    _write(path, records)
    ran = subprocess.run(
        [sys.executable, "-c", _READ, str(path)], capture_output=True, text=True, check=True
    )
    count, characters, grown = map(int, ran.stdout.split())
    assert count == records
    assert characters > 5 * GIGABYTE - records * 12
    assert grown < 64 * RECORD
