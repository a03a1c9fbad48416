"""The first half of a shuffle that is larger than memory: readings, dealt to parts by their key.

A reading's key is a 64-bit hash of seed, domain, record number and repetition. The part is the
key's place among equal ranges, and within a part readings are ordered by key: so the corpus is in
one random order that the number of workers does not change.

A task writes one file of runs, a run being readings of one part: their keys, their sizes, their
contents. Beside it lies a table of the runs. Files are as many as tasks, not tasks times parts, and
a part is read in its order out of mapped files, so that memory holds 32 bytes per reading.
"""

import hashlib
import mmap
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

BUFFER_BYTES = 1 << 26
"""What a task holds of all parts before it writes a run of each."""

_MASK64 = 2**64 - 1
_READING_BYTES = 12  # of key and size, beside the content
_STEP = 1 << 16
_RUN = np.dtype([("part", "<i8"), ("offset", "<i8"), ("readings", "<i8")])


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


@dataclass(slots=True)
class _Run:
    keys: "array[int]" = field(default_factory=lambda: array("Q"))
    sizes: "array[int]" = field(default_factory=lambda: array("I"))
    contents: bytearray = field(default_factory=bytearray)


class SpillWriter:
    """Writes the readings of one task; they are on disk after `close`."""

    def __init__(self, folder: Path, task: int, parts: int) -> None:
        """Write below `folder` under the number of the task."""
        self._path, self._parts = folder / f"{task:08d}.spill", parts
        self._runs: dict[int, _Run] = {}
        self._held = 0
        self._offset = 0
        self._table: list[tuple[int, int, int]] = []

    def add(self, key: int, content: bytes) -> None:
        """Keep a reading."""
        run = self._runs.setdefault(part_of(key, self._parts), _Run())
        run.keys.append(key)
        run.sizes.append(len(content))
        run.contents += content
        self._held += len(content) + _READING_BYTES
        if self._held >= BUFFER_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the table of the runs."""
        self._flush()
        np.save(self._path.with_suffix(".npy"), np.array(self._table, dtype=_RUN))

    def _flush(self) -> None:
        with self._path.open("ab") as file:
            for part, run in sorted(self._runs.items()):
                self._table.append((part, self._offset, len(run.keys)))
                for block in (run.keys, run.sizes, run.contents):
                    self._offset += file.write(block)
        self._runs, self._held = {}, 0


class PartReadings:
    """The readings of one part in their order."""

    def __init__(self, folder: Path, part: int) -> None:
        """Find the readings of `part` among all that was spilled to `folder`."""
        keys, sizes, offsets, maps = [], [], [], []
        self._maps: list[mmap.mmap] = []
        # By task and then as they were added: that decides between equal keys.
        for table in sorted(folder.glob("*.npy")):
            runs = np.load(table)
            runs = runs[runs["part"] == part]
            if not len(runs):
                continue
            with table.with_suffix(".spill").open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            for _, offset, count in runs.tolist():
                found, size = _heads(mapped, offset, count)
                keys.append(found)
                sizes.append(size)
                begin = offset + count * _READING_BYTES
                offsets.append(begin + np.cumsum(size, dtype=np.int64) - size)
                maps.append(np.full(count, len(self._maps), dtype=np.int32))
            self._maps.append(mapped)
        order = np.argsort(_joined(keys, np.uint64), kind="stable")
        self._sizes = _joined(sizes, np.uint32)[order]
        self._offsets = _joined(offsets, np.int64)[order]
        self._map_of = _joined(maps, np.int32)[order]

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def sizes(self) -> npt.NDArray[np.uint32]:
        """Bytes of each content, shape (readings,)."""
        return self._sizes

    def __iter__(self) -> Iterator[bytes]:
        for step in range(0, len(self), _STEP):
            part = slice(step, step + _STEP)
            columns = (self._map_of, self._offsets, self._sizes)
            for place, offset, size in zip(*(c[part].tolist() for c in columns), strict=True):
                yield self._maps[place][offset : offset + size]

    def close(self) -> None:
        """Let go of the files."""
        for mapped in self._maps:
            mapped.close()


def _heads(
    mapped: mmap.mmap, offset: int, count: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]:
    # Copied, so that nothing holds the map open.
    keys = np.frombuffer(mapped, dtype=np.uint64, count=count, offset=offset).copy()
    sizes = np.frombuffer(mapped, dtype=np.uint32, count=count, offset=offset + 8 * count).copy()
    return keys, sizes


def _joined(arrays: list[npt.NDArray[Any]], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.empty(0, dtype=dtype)


def _mix(z: int) -> int:
    z = (z + 0x9E3779B97F4A7C15) & _MASK64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK64
    return z ^ (z >> 31)
