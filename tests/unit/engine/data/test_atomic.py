"""Folders are whole or absent."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from tandem_engine.data.atomic import whole_directory
from tandem_engine.errors import DiskFullError


def test_the_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "below" / "folder"
    with whole_directory(target) as folder:
        (folder / "a").write_text("1")
        assert not target.exists()
    assert (target / "a").read_text() == "1"
    assert [path.name for path in target.parent.iterdir()] == ["folder"]


def test_an_older_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with whole_directory(tmp_path / "folder") as folder:
            (folder / name).write_text(name)
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]


def test_an_error_leaves_the_older_folder_and_no_rest(tmp_path: Path) -> None:
    with whole_directory(tmp_path / "folder") as folder:
        (folder / "a").write_text("old")
    with pytest.raises(RuntimeError), whole_directory(tmp_path / "folder") as folder:
        (folder / "a").write_text("new")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert (tmp_path / "folder" / "a").read_text() == "old"


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".folder.partial").mkdir()
    (tmp_path / ".folder.partial" / "rest").write_text("half")
    with whole_directory(tmp_path / "folder"):
        pass
    assert list((tmp_path / "folder").iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_our_error(tmp_path: Path, number: int) -> None:
    with pytest.raises(DiskFullError) as caught, whole_directory(tmp_path / "folder"):
        raise OSError(number, "full")
    assert caught.value.retryable
    assert not (tmp_path / "folder").exists()


COUNT_UP = """
import sys
from pathlib import Path
from tandem_engine.data.atomic import exclusive_lock
lock, number = map(Path, sys.argv[1:])
for _ in range(200):
    with exclusive_lock(lock):
        number.write_text(str(int(number.read_text()) + 1))
"""


def test_the_lock_lets_one_process_in_at_a_time(tmp_path: Path) -> None:
    number = tmp_path / "number"
    number.write_text("0")
    command = [sys.executable, "-c", COUNT_UP, str(tmp_path / "locks" / "a"), str(number)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert number.read_text() == "400"
