"""A file is whole or absent, and a full disk is said in our words."""

import errno
from pathlib import Path

import pytest
import torch

from tandem_engine.checkpoint import CheckpointStore
from tandem_engine.errors import DiskFullError
from tandem_engine.files import replaced_when_whole, write_text


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with pytest.raises(RuntimeError), replaced_when_whole(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_keeps_the_last_checkpoint_and_may_be_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CheckpointStore(tmp_path, attempt=1, spec_sha256="x")
    store.save({"number": 1}, episode=1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(DiskFullError) as caught:
        store.save({"number": 2}, episode=2)
    assert caught.value.retryable
    restored = CheckpointStore(tmp_path, attempt=2, spec_sha256="x").restore()
    assert restored is not None
    assert restored.state == {"number": 1}


def test_checkpoints_of_later_attempts_are_not_read(tmp_path: Path) -> None:
    CheckpointStore(tmp_path, attempt=2, spec_sha256="x").save({}, episode=1)
    assert CheckpointStore(tmp_path, attempt=1, spec_sha256="x").restore() is None


def test_attempts_never_write_to_one_path(tmp_path: Path) -> None:
    first = CheckpointStore(tmp_path, attempt=1, spec_sha256="x").save({}, episode=1)
    second = CheckpointStore(tmp_path, attempt=2, spec_sha256="x").save({}, episode=1)
    assert first.path != second.path
