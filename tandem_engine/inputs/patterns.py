"""Local files that match a pattern, without leaving the folders that data may come from.

As `glob`: `*`, `?` and `[...]` within a name, `**` for any folders, hidden names only where the
pattern's own name starts with a dot. Unlike it, a link that leads outside is an error before
anything behind it is listed, loops of links end, and so does a search that finds too much.
"""

import os
import re
from collections.abc import Iterator
from fnmatch import translate
from itertools import takewhile
from pathlib import Path

from tandem_engine.errors import DatasetUnreadableError, TandemError
from tandem_engine.inputs.access import Access, unreadable

MOST_FILES = 100_000
"""Files that one URI, or one source, may name."""

_MOST_LOOKED_AT = 2_000_000
_MAGIC = re.compile(r"[*?\[]")


def matches(pattern: str, access: Access) -> list[str]:
    """Return the paths, files and folders, that match an absolute pattern, in order.

    Raises:
        UriNotAllowedError: the pattern, or a link on its way, leaves the roots.
        DatasetUnreadableError: too much matches, or must be looked at.
    """
    names = [name for name in pattern.split("/") if name not in {"", "."}]
    fixed = list(takewhile(lambda name: not _MAGIC.search(name), names))
    if ".." in names[len(fixed) :]:
        raise DatasetUnreadableError(
            f"{pattern}: has '..' after a wildcard", hint="write the pattern without '..'"
        )
    start = Path("/", *fixed)
    # Before it is listed: what lies outside is nobody's business.
    access.resolve(start)
    search = _Search(pattern, access)
    found: list[str] = []
    for place in search.below(start, names[len(fixed) :], frozenset()):
        found.append(str(place))
        if len(found) > MOST_FILES:
            raise too_many(pattern)
    return sorted(set(found))


def too_many(what: str) -> TandemError:
    """Return the error of a pattern or source with more files than are read."""
    return DatasetUnreadableError(
        f"{what}: names more than {MOST_FILES} files", hint="pack the data into fewer, larger files"
    )


class _Search:
    """One walk; counts what it looks at."""

    def __init__(self, pattern: str, access: Access) -> None:
        self._pattern, self._access = pattern, access
        self._looked_at = 0

    def below(self, folder: Path, names: list[str], above: frozenset[str]) -> Iterator[Path]:
        """Yield what matches `names` in `folder`; `above` are the folders on the way, resolved."""
        if not names:
            yield folder
            return
        name, rest = names[0], names[1:]
        if not _MAGIC.search(name):
            if os.path.lexists(folder / name):
                self._access.resolve(folder / name)
                yield from self.below(folder / name, rest, above)
            return
        here = str(self._access.resolve(folder))
        if name == "**":
            yield from self._any_depth(folder, here, names, above)
            return
        fits = re.compile(translate(name)).match
        for entry in self._entries(folder, hidden=name.startswith(".")):
            if fits(entry.name) and (not rest or _is_folder(entry)):
                self._access.resolve(folder / entry.name)
                yield from self.below(folder / entry.name, rest, above)

    def _any_depth(
        self, folder: Path, here: str, names: list[str], above: frozenset[str]
    ) -> Iterator[Path]:
        rest = names[1:]
        if here in above:  # a link to a folder that it lies in
            return
        yield from self.below(folder, rest, above)
        for entry in self._entries(folder, hidden=False):
            if _is_folder(entry):
                yield from self.below(folder / entry.name, names, above | {here})
            elif not rest:
                yield folder / entry.name

    def _entries(self, folder: Path, *, hidden: bool) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as found:
                entries = [entry for entry in found if hidden or not entry.name.startswith(".")]
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return []
        except OSError as error:
            raise unreadable(folder, error) from error
        self._looked_at += len(entries)
        if self._looked_at > _MOST_LOOKED_AT:
            raise DatasetUnreadableError(
                f"{self._pattern}: must look at more than {_MOST_LOOKED_AT} names",
                hint="start the pattern at a folder nearer to the data",
            )
        return entries


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False
