"""Where data may come from: schemes, and folders of this machine."""

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tandem_engine.contracts.uris import SCHEMES, Location, Scheme
from tandem_engine.errors import DatasetUnreadableError, TandemError, UriNotAllowedError
from tandem_engine.inputs.guard import ANY_NETWORK, Network, require_url

_OF_THE_KERNEL = (Path("/proc"), Path("/sys"))
"""Files here show the process itself, its environment and secrets included."""


@dataclass(frozen=True, slots=True)
class Access:
    """What may be read; by default what the process may read, but no private network by HTTP."""

    roots: Sequence[Path] | None = None
    """Folders, without links, that local files must lie in; None is no limit."""
    schemes: frozenset[Scheme] = frozenset(SCHEMES)
    private_networks: tuple[Network, ...] = ()
    """Networks beside the public ones that http and https may lead to."""
    closed: tuple[Path, ...] = ()
    """Folders, without links, that nothing is read from: where jobs of others leave their files."""

    def require(self, location: Location) -> None:
        """Check the scheme, and of a web address what it says by itself.

        Raises:
            UriNotAllowedError: it is switched off, or leads where no data may come from.
        """
        if location.scheme not in self.schemes:
            allowed = ", ".join(sorted(self.schemes))
            raise UriNotAllowedError(
                f"{location.uri} has the scheme {location.scheme!r}, which is switched off here",
                hint=f"use one of {allowed}, or add it to TANDEM_URI_SCHEMES",
            )
        if location.scheme in {"http", "https"}:
            require_url(location.uri)

    def resolve(self, path: Path) -> Path:
        """Return `path` with all links followed.

        Raises:
            UriNotAllowedError: it lies outside of the roots.
            DatasetUnreadableError: the path cannot be followed.
        """
        if "\0" in str(path):
            raise DatasetUnreadableError("the path holds a NUL character", hint="remove it")
        # Where the answer is "not allowed", whether the file exists is nobody's business: the
        # place is checked first, links and `..` included.
        try:
            place = Path(os.path.realpath(path))
        except OSError as error:
            raise unreadable(path, error) from error
        if not self.covers(place):
            raise self._outside(path)
        return place

    def covers(self, place: Path) -> bool:
        """Tell if `place`, a path without links, lies in the roots."""
        if any(place.is_relative_to(folder) for folder in self.closed):
            return False
        if self.roots is None:
            return True
        # A root of "/" is meant for data; a folder of the kernel must be a root itself.
        hidden = next((top for top in _OF_THE_KERNEL if place.is_relative_to(top)), Path("/"))
        roots = (root for root in self.roots if root.is_relative_to(hidden))
        return any(place.is_relative_to(root) for root in roots)

    def _outside(self, path: Path) -> UriNotAllowedError:
        shown = os.pathsep.join(str(root) for root in self.roots or ())
        return UriNotAllowedError(
            f"{path} is outside of the folders that data may come from",
            hint=f"put the file below one of {shown}, or add its folder to TANDEM_FILE_ROOTS",
        )

    def open(self, path: Path) -> BinaryIO:
        """Open a local file for reading.

        Raises:
            UriNotAllowedError: it lies outside of the roots.
            DatasetUnreadableError: it is missing, no regular file, or not readable.
        """
        place = self.resolve(path)
        try:
            # Non-blocking, because opening a pipe would wait for its writer; no links, because
            # all were followed above and a new one would be an attempt to get out.
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(place, flags)
        except OSError as error:
            raise unreadable(path, error) from error
        # A folder on the way may have become a link since: what was opened is what counts.
        if not self.covers(_opened(descriptor, place)):
            os.close(descriptor)
            raise self._outside(path)
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            return os.fdopen(descriptor, "rb")
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise is_directory(path)
        raise DatasetUnreadableError(
            f"{path}: is not a regular file", hint="give the path of a regular file"
        )


EVERYWHERE = Access(private_networks=ANY_NETWORK)
"""No limits: for an engine that its own user starts."""


def _opened(descriptor: int, place: Path) -> Path:
    try:
        return Path(f"/proc/self/fd/{descriptor}").readlink()
    except OSError:  # no Linux: at least what is there now must be what was opened
        now = Path(os.path.realpath(place))
        same = now.exists() and os.path.samestat(now.stat(), os.fstat(descriptor))
        return now if same else Path("/")


def is_directory(place: object) -> DatasetUnreadableError:
    """Return the error of a folder that is no dataset."""
    return DatasetUnreadableError(
        f"{place}: is a directory, and neither a saved Hugging Face dataset nor MDS",
        hint=f"name its files, for example {str(place).rstrip('/')}/*.jsonl",
    )


def unreadable(path: object, error: OSError) -> TandemError:
    """Return our error for one of the operating system."""
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return DatasetUnreadableError(
            f"{path}: does not exist",
            hint="correct the path; it must exist on the machine that runs the job, and on the "
            "service's",
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return DatasetUnreadableError(
            f"{path}: may not be read",
            hint="give the user that runs service and jobs read permission",
        )
    return DatasetUnreadableError(
        f"{path}: cannot be read: {error.strerror or error}", hint="check the path and the disk"
    )
