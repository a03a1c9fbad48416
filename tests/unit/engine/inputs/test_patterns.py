"""Local files stay in the folders that data may come from, whatever a pattern or a link says."""

import os
from pathlib import Path
from typing import Any

import pytest

from tandem_engine.contracts.uris import parse_uri
from tandem_engine.errors import DatasetUnreadableError, UriNotAllowedError
from tandem_engine.inputs.access import Access
from tandem_engine.inputs.patterns import matches


def _tree(folder: Path) -> Path:
    root = folder / "root"
    for name in ("a/1.txt", "a/b/2.txt", "a/.hidden/3.txt", "c/4.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (folder / "outside").mkdir()
    (folder / "outside" / "secret.txt").write_text("secret")
    return root


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("**/*.txt", ["a/1.txt", "a/b/2.txt", "c/4.txt"]),
        ("*/*.txt", ["a/1.txt", "c/4.txt"]),
        ("a/**/?.txt", ["a/1.txt", "a/b/2.txt"]),
        ("*/b/2.txt", ["a/b/2.txt"]),
        ("a/.*/*.txt", ["a/.hidden/3.txt"]),
        ("[ab]/[!x].txt", ["a/1.txt"]),
        ("**/nothing", []),
        ("missing/*", []),
    ],
)
def test_patterns_match_as_glob_does(tmp_path: Path, pattern: str, found: list[str]) -> None:
    root = _tree(tmp_path)
    (root / "a" / "loop").symlink_to(root)
    matched = matches(f"{root}/{pattern}", Access([root]))
    assert [name for name in matched if "loop" not in name] == [f"{root}/{name}" for name in found]
    assert len(matched) <= 2 * len(found)


@pytest.mark.parametrize("pattern", ["*", "*/*", "**", "**/*.txt", "link/*"])
def test_a_link_out_of_the_roots_is_an_error_that_says_nothing_of_what_lies_there(
    tmp_path: Path, pattern: str
) -> None:
    root = _tree(tmp_path)
    (root / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(UriNotAllowedError) as caught:
        matches(f"{root}/{pattern}", Access([root]))
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("pattern", ["../outside/*.txt", "../*", "*/../../outside/*.txt", "../x*"])
def test_a_pattern_does_not_tell_what_lies_outside(tmp_path: Path, pattern: str) -> None:
    root = _tree(tmp_path)
    with pytest.raises((UriNotAllowedError, DatasetUnreadableError)) as caught:
        matches(f"{root}/{pattern}", Access([root]))
    assert "secret" not in caught.value.message


def test_a_pattern_that_matches_too_much_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = _tree(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("tandem_engine.inputs.patterns.MOST_FILES", 2)
        with pytest.raises(DatasetUnreadableError, match="more than 2 files"):
            matches(f"{root}/**/*.txt", Access([root]))
    monkeypatch.setattr("tandem_engine.inputs.patterns._MOST_LOOKED_AT", 3)
    with pytest.raises(DatasetUnreadableError, match="look at more than 3 names"):
        matches(f"{root}/**/none", Access([root]))


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_folder_that_becomes_a_link_between_check_and_opening_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = _tree(tmp_path)
    (tmp_path / "outside" / "1.txt").write_text("secret")
    real = os.open

    def swap_and_open(place: Any, flags: int) -> int:
        (root / "a").rename(root / "moved")
        (root / "a").symlink_to(tmp_path / "outside")
        return real(place, flags)

    monkeypatch.setattr("tandem_engine.inputs.access.os.open", swap_and_open)
    before = _open_files()
    with pytest.raises(UriNotAllowedError):
        Access([root]).open(root / "a" / "1.txt")
    assert _open_files() == before


@pytest.mark.parametrize("path", ["/proc/self/environ", "/proc/1/environ", "/sys/kernel/notes"])
def test_the_files_of_the_kernel_are_no_data(path: str) -> None:
    with pytest.raises(UriNotAllowedError):
        Access([Path("/")]).open(Path(path))


@pytest.mark.parametrize("written", ["file:///%2e%2e/root", "file:///data/%2e%2e/%2e%2e/root"])
def test_dots_that_are_percent_encoded_do_not_leave_the_roots(tmp_path: Path, written: str) -> None:
    with pytest.raises(UriNotAllowedError):
        Access([tmp_path]).open(Path(parse_uri(written).path))
    with pytest.raises(ValueError, match="NUL"):
        parse_uri("file:///data/a%00.jsonl")


def test_what_jobs_left_behind_is_no_data_whatever_the_roots(tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    (artifacts / "theirs.jsonl").write_text('{"text": "secret"}\n')
    (tmp_path / "link.jsonl").symlink_to(artifacts / "theirs.jsonl")
    access = Access([tmp_path], closed=(artifacts,))
    for name in ("artifacts/theirs.jsonl", "link.jsonl", "artifacts/../artifacts/theirs.jsonl"):
        with pytest.raises(UriNotAllowedError, match="outside of the folders"):
            access.open(tmp_path / name)
