"""Reads hostile files in a process of its own, with bounds on memory and time.

`python hostile_reader.py URI FORMAT` reads one; with a folder of `good` files and a number of
rounds it reads damaged copies. Prints one JSON object: what came of it.
"""

import json
import random
import resource
import shutil
import sys
import traceback
from collections import Counter
from pathlib import Path

from tandem_engine.contracts.domains import DomainSpec
from tandem_engine.errors import TandemError
from tandem_engine.inputs.documents import iterate_file
from tandem_engine.inputs.listing import source_files
from tandem_engine.inputs.tokens import count_tokens

MEMORY_BYTES = 3 * 2**30
CPU_SECONDS = 120


def read(uri: str, **settings: str) -> tuple[int, int]:
    """Return documents and characters or tokens of what `uri` names."""
    spec = DomainSpec.model_validate({"name": "d", "uris": [uri]} | settings)
    documents = amount = 0
    for file in source_files(spec):
        if file.format in {"npy", "tokens"}:
            count_tokens(file)
        for document in iterate_file(file, end_of_text=0):
            documents += 1
            amount += len(document.text) if document.tokens is None else len(document.tokens)
    return documents, amount


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Return `content` with a few bytes changed, cut off, repeated, or large numbers inside."""
    raw = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 8])):
        place = chance.randrange(len(raw)) if raw else 0
        # Headers and footers say how the rest is read.
        place = chance.choice([place, place % 64, max(0, len(raw) - 1 - place % 600)])
        kind = chance.randrange(6)
        if kind == 0:
            raw[place : place + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            del raw[place:]
        elif kind == 2:
            raw[place : place + 8] = b"\xff" * chance.choice([1, 2, 4, 7, 8])
        elif kind == 3:
            raw[place:place] = raw[place : place + chance.randrange(1, 40)]
        elif kind == 4:
            raw[place : place + 4] = b"\0\0\0\0"
        else:
            raw[place : place + 8] = b"\xff\xff\xff\xff\xff\xff\xff\x7f"
    return bytes(raw)


def fuzz(good: Path, rounds: int, settings: dict[str, str]) -> dict[str, object]:
    """Read `rounds` damaged copies of the folder `good`; one file of each is damaged."""
    chance = random.Random(20260901)
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    names = sorted(path.name for path in good.iterdir())
    bad = good.with_name("bad")
    for _ in range(rounds):
        shutil.rmtree(bad, ignore_errors=True)
        shutil.copytree(good, bad)
        path = bad / chance.choice(names)
        path.write_bytes(damaged(path.read_bytes(), chance))
        uri = str(bad) if (bad / "index.json").exists() else str(bad / names[-1])
        try:
            read(uri, **settings)
            outcomes["read"] += 1
        except TandemError as error:
            outcomes[error.code] += 1
            if not (error.field and error.value and error.hint):
                faults.append(f"says too little: {error!r}")
        except Exception:  # noqa: BLE001 - whatever it is, it is a fault
            faults.append(traceback.format_exc()[-1500:])
    return {"outcomes": outcomes, "faults": faults}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    uri, settings, rounds = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
    found: dict[str, object]
    if rounds:
        found = fuzz(Path(uri), rounds, settings)
    else:
        try:
            found = {"read": read(uri, **settings)}
        except TandemError as error:
            found = {"code": error.code, "message": error.message}
    # Not `getrusage`: its peak is at least that of the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found["peak"] = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
