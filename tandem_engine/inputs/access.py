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


@dataclass(frozen=True, slots=True)
class Access:
    """What may be read; by default everything that the process may read."""

    roots: Sequence[Path] | None = None
    """Folders, without links, that local files must lie in; None is no limit."""
    schemes: frozenset[Scheme] = frozenset(SCHEMES)

    def require(self, location: Location) -> None:
        """Check the scheme.

        Raises:
            UriNotAllowedError: it is switched off.
        """
        if location.scheme not in self.schemes:
            allowed = ", ".join(sorted(self.schemes))
            raise UriNotAllowedError(
                f"{location.uri} has the scheme {location.scheme!r}, which is switched off here",
                hint=f"use one of {allowed}, or add it to TANDEM_URI_SCHEMES",
            )

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
        if self.roots is not None and not any(place.is_relative_to(root) for root in self.roots):
            shown = os.pathsep.join(str(root) for root in self.roots)
            raise UriNotAllowedError(
                f"{path} is outside of the folders that data may come from",
                hint=f"put the file below one of {shown}, or add its folder to TANDEM_FILE_ROOTS",
            )
        return place

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
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            return os.fdopen(descriptor, "rb")
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise is_directory(path)
        raise DatasetUnreadableError(
            f"{path}: is not a regular file", hint="give the path of a regular file"
        )


EVERYWHERE = Access()
"""No limits: for an engine that its own user starts."""


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
