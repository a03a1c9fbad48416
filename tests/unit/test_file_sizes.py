"""Modules stay small enough to be read in one sitting."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (
    ".ci",
    "client",
    "demo",
    "embedded",
    "migrations",
    "service",
    "tandem_engine",
    "tests",
    "worker",
)
LARGEST = 400


def modules() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def test_the_search_finds_the_modules() -> None:
    assert len(modules()) > 50
    assert Path(__file__) in modules()


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_module_has_more_than_400_lines(folder: str) -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    assert lengths
    assert {name: lines for name, lines in lengths.items() if lines > LARGEST} == {}
