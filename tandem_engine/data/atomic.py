"""Folders that are whole or absent, and one writer at a time.

A reader sees the old folder or the new one, never a half-written one; a process that is killed
leaves at most a hidden `.NAME.partial` that the next writer removes.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tandem_engine.files import sync_folder, translated_disk_errors


@contextmanager
def whole_directory(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` if the block ends without an error.

    An older `target` is replaced. There must be one writer of `target` at a time.

    Raises:
        DiskFullError: no space is left; `target` is as it was.
    """
    partial = target.with_name(f".{target.name}.partial")
    replaced = target.with_name(f".{target.name}.replaced")
    try:
        with translated_disk_errors(target):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            yield partial
            _sync_all(partial)
            shutil.rmtree(replaced, ignore_errors=True)
            if target.exists():
                target.rename(replaced)
            partial.rename(target)
            sync_folder(target.parent)
            shutil.rmtree(replaced, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Wait until no other process holds `path`, then hold it; a death releases it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sync_all(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for name in names:
            with (Path(root) / name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(root))
