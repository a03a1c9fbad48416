"""What an exporter is, what it returns, and what several of them need."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import yaml

from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.plan import MixturePlan, PlannedDomain

Counts = Literal["tokens", "documents", "passes", "any"]


@dataclass(frozen=True, slots=True)
class Export:
    """Files by name, the one that the trainer loads first; and what its reader must know."""

    files: dict[str, str]
    usage: tuple[str, ...]
    """How the trainer is told to load it."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exporter:
    """A trainer's format."""

    name: str
    title: str
    counts: Counts
    """What a weight of the trainer counts; `any` of files that hold all units."""
    source: str
    """What it was written from: repository, commit or release, and file."""
    write: Callable[[MixturePlan, ExportOptions], Export]
    reads_sources: bool = True
    """Whether the trainer reads the domains' files, or what was made of all their records."""


def exact(shares: Sequence[float]) -> list[float]:
    """Return shares that sum to 1, also when added from left to right in double precision."""
    total = math.fsum(shares)
    found = [share / total for share in shares]
    largest = max(range(len(found)), key=found.__getitem__)
    for _ in range(8):
        missing = 1.0 - sum(found)
        if missing == 0.0:
            break
        found[largest] += missing
    return found


def as_yaml(value: object) -> str:
    """Return YAML in the order of `value`."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=10_000)


def as_json(value: object) -> str:
    """Return indented JSON with a newline at its end."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def python_literal(value: Any) -> str:
    """Return data as Python source: numbers, text, None, lists and dictionaries by line."""
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return "[\n" + "".join(f"    {item!r},\n" for item in value) + "]"
    return repr(value)


def paths(
    domain: PlannedDomain, options: ExportOptions, default: str, *formats: str
) -> tuple[str, ...]:
    """Return where the trainer finds a domain: as told, its own files, or the `default` template.

    Args:
        domain: The domain.
        options: May hold a template.
        default: Template where neither is there.
        formats: Source formats that the trainer reads as they are; none: all of them.
    """
    if options.path_template is not None:
        return (_fill(options.path_template, domain),)
    files = domain.files
    known = files and all(file.format is not None for file in files)
    if known and (not formats or all(file.format in formats for file in files)):
        return tuple(plain(file.uri) for file in files)
    return (_fill(default, domain),)


def path(domain: PlannedDomain, options: ExportOptions, default: str) -> str:
    """Return the one place of a domain, of a trainer that reads a format of its own."""
    return _fill(options.path_template or default, domain)


def plain(uri: str) -> str:
    """Return the path of a `file:` URI, and every other URI as it is."""
    return unquote(urlsplit(uri).path) if uri.startswith("file:") else uri


def builder(file: str) -> str:
    """Return the loader of `datasets` for a file's name: json, parquet, arrow or text."""
    name = PurePosixPath(file)
    while name.suffix in {".gz", ".zst"}:
        name = name.with_suffix("")
    return {".parquet": "parquet", ".arrow": "arrow", ".txt": "text"}.get(name.suffix, "json")


def _fill(template: str, domain: PlannedDomain) -> str:
    # Not str.format: a template is user input, and format reaches attributes.
    return template.replace("{slug}", domain.slug).replace("{domain}", domain.name)
