"""The first half of a shuffle that is larger than memory: readings, dealt to parts by their key.

A reading's key is a 64-bit hash of seed, domain, record number and repetition. The part is the
key's place among equal ranges, and within a part readings are ordered by key: so the corpus is in
one random order that neither the number of workers nor the order of files changes.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_HEAD = struct.Struct("<QqiI")  # key, record number, repetition, bytes of the content
_BUFFER_BYTES = 1 << 18
_MASK64 = 2**64 - 1


@dataclass(frozen=True, slots=True, order=True)
class Reading:
    """One reading of a document, ordered by key; `content` is what the writer makes of it."""

    key: int
    domain: str
    record: int
    repetition: int
    content: bytes


def domain_state(seed: int, domain: str) -> int:
    """Return the state that the keys of a domain start from."""
    material = b"tandem order 1" + seed.to_bytes(8, "little") + domain.encode("utf-8")
    return int.from_bytes(hashlib.sha256(material).digest()[:8], "little")


def key_of(state: int, record: int, repetition: int) -> int:
    """Return the key of a reading: two rounds of SplitMix64's mixing."""
    return _mix((_mix((state + record) & _MASK64) + repetition) & _MASK64)


def part_of(key: int, parts: int) -> int:
    """Return the part, 0 to parts - 1, that a key falls into."""
    return key * parts >> 64


class SpillWriter:
    """Appends readings of one task to a file per part; files are opened when they are needed."""

    def __init__(self, folder: Path, task: int, parts: int, domain: str) -> None:
        """Write below `folder` under the number of the task."""
        self._folder, self._task, self._parts = folder, task, parts
        self._domain = domain
        self._buffers: dict[int, bytearray] = {}

    def add(self, key: int, record: int, repetition: int, content: bytes) -> None:
        """Keep a reading; it is on disk after `close`."""
        part = part_of(key, self._parts)
        buffer = self._buffers.setdefault(part, bytearray())
        buffer += _HEAD.pack(key, record, repetition, len(content))
        buffer += content
        if len(buffer) >= _BUFFER_BYTES:
            self._flush(part)

    def close(self) -> None:
        """Write what is left."""
        for part in list(self._buffers):
            self._flush(part)

    def _flush(self, part: int) -> None:
        # Opened for each flush: thousands of parts must not need thousands of open files.
        with spill_path(self._folder, part, self._task, self._domain).open("ab") as file:
            file.write(self._buffers.pop(part))


def spill_path(folder: Path, part: int, task: int, domain: str) -> Path:
    """Return where the readings of a task for a part lie."""
    tag = hashlib.sha256(domain.encode("utf-8")).hexdigest()[:12]
    return folder / f"{part:05d}-{task:06d}-{tag}.spill"


def read_part(folder: Path, part: int, domains: dict[str, str]) -> list[Reading]:
    """Return the readings of a part in their order.

    Args:
        folder: Where the spills lie.
        part: Number of the part.
        domains: Names by the tag in the spills' names (`domain_tags`).
    """
    found: list[Reading] = []
    for path in sorted(folder.glob(f"{part:05d}-*.spill")):
        domain = domains[path.stem.rsplit("-", 1)[1]]
        with path.open("rb") as file:
            found += _read(file, domain)
    found.sort()
    return found


def domain_tags(names: list[str]) -> dict[str, str]:
    """Return domains by the tags that stand for them in names of spills."""
    return {hashlib.sha256(name.encode("utf-8")).hexdigest()[:12]: name for name in names}


def _read(file: BinaryIO, domain: str) -> Iterator[Reading]:
    while head := file.read(_HEAD.size):
        key, record, repetition, size = _HEAD.unpack(head)
        yield Reading(key, domain, record, repetition, file.read(size))


def _mix(z: int) -> int:
    z = (z + 0x9E3779B97F4A7C15) & _MASK64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK64
    return z ^ (z >> 31)
