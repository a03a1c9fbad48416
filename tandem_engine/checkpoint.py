"""Checkpoints: whole or absent, verified before they are trusted, never shared between attempts.

    OUT/checkpoints/attempt-0002/checkpoint-000013.pt and .pt.sha256

The sum is written after the file, so a file without one was cut short. Several attempts may write
the same sequence number: their content is the same, because a run is deterministic.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tandem_engine.contracts.records import CheckpointRecord
from tandem_engine.errors import CheckpointError
from tandem_engine.files import replaced_when_whole, sha256_of, write_text

SCHEMA_VERSION = 2
_PATTERN = re.compile(r"attempt-(\d+)/checkpoint-(\d+)\.pt$")


@dataclass(frozen=True, slots=True)
class Restored:
    """A checkpoint that was read."""

    state: dict[str, Any]
    sequence: int
    attempt: int


class CheckpointStore:
    """Checkpoints of one job below one folder, written by one attempt."""

    def __init__(self, out: Path, *, attempt: int, spec_sha256: str, keep: int = 2) -> None:
        """Take the output folder, this attempt's number and how many checkpoints to keep."""
        self._out = out
        self._attempt = attempt
        self._spec_sha256 = spec_sha256
        self._keep = keep
        self._sequence = 0

    def save(self, state: dict[str, Any], *, episode: int) -> CheckpointRecord:
        """Write `state` durably, then drop older checkpoints of this attempt.

        Raises:
            DiskFullError: no space is left; older checkpoints are kept.
        """
        self._sequence += 1
        path = self._folder(self._attempt) / f"checkpoint-{self._sequence:06d}.pt"
        with replaced_when_whole(path) as partial:
            torch.save(
                {
                    "schema_version": SCHEMA_VERSION,
                    "spec_sha256": self._spec_sha256,
                    "state": state,
                },
                partial,
            )
        digest = sha256_of(path)
        write_text(_sum_path(path), digest)
        self._prune()
        return CheckpointRecord(
            episode=episode,
            sequence=self._sequence,
            path=str(path.relative_to(self._out)),
            sha256=digest,
            bytes=path.stat().st_size,
        )

    def restore(self) -> Restored | None:
        """Return the newest whole checkpoint of this or an earlier attempt, None if there is none.

        Raises:
            CheckpointError: there are checkpoints, but of another specification or version.
        """
        for sequence, attempt, path in sorted(self._found(), reverse=True):
            if not _is_whole(path):
                continue
            content = torch.load(path, map_location="cpu", weights_only=True)
            if content["schema_version"] != SCHEMA_VERSION:
                raise CheckpointError(
                    f"{path.name} has schema version {content['schema_version']}",
                    field="out",
                    value=path,
                    hint=f"this engine reads version {SCHEMA_VERSION}; use an empty folder",
                )
            if content["spec_sha256"] != self._spec_sha256:
                raise CheckpointError(
                    "the folder holds checkpoints of another specification",
                    field="out",
                    value=self._out,
                    hint="use an empty folder for a changed specification",
                )
            self._sequence = sequence
            return Restored(state=content["state"], sequence=sequence, attempt=attempt)
        return None

    def _found(self) -> list[tuple[int, int, Path]]:
        found = []
        for path in self._out.glob("checkpoints/attempt-*/checkpoint-*.pt"):
            match = _PATTERN.search(path.as_posix())
            if match and int(match[1]) <= self._attempt:
                found.append((int(match[2]), int(match[1]), path))
        return found

    def _folder(self, attempt: int) -> Path:
        return self._out / "checkpoints" / f"attempt-{attempt:04d}"

    def _prune(self) -> None:
        mine = sorted(self._folder(self._attempt).glob("checkpoint-*.pt"))
        for path in mine[: -self._keep]:
            # The sum goes first: a file without one is never taken for whole.
            _sum_path(path).unlink(missing_ok=True)
            path.unlink()


def _sum_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _is_whole(path: Path) -> bool:
    try:
        return _sum_path(path).read_text(encoding="utf-8") == sha256_of(path)
    except OSError:
        return False
