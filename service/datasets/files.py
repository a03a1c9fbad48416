"""Opens a file that a request names: below the allowed folders, regular, readable."""

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from service.datasets.problems import DatasetProblem
from tandem_engine.errors import DatasetUnreadableError

NOT_ALLOWED = "uri_not_allowed"
_UNREADABLE = DatasetUnreadableError.code


def local_path(uri: str) -> Path:
    """Return the path of an absolute path or `file://` URI (whose %XX are decoded)."""
    if uri.startswith("file://"):
        return Path(unquote(uri.removeprefix("file://")))
    return Path(uri)


def resolve_below(path: Path, roots: Sequence[Path]) -> Path:
    """Return `path` with all links followed.

    Raises:
        DatasetProblem: it does not exist, or lies outside of `roots`.
    """
    if "\0" in str(path):
        raise DatasetProblem(_UNREADABLE, "the path holds a NUL character", "remove it")
    # Where the answer is "not allowed", whether the file exists is nobody's business: the place
    # is checked first, links and `..` included.
    try:
        place = Path(os.path.realpath(path))
    except OSError as error:
        raise _unreadable(path, error) from error
    if not any(place.is_relative_to(root) for root in roots):
        shown = os.pathsep.join(str(root) for root in roots)
        raise DatasetProblem(
            NOT_ALLOWED,
            f"{path} is outside of the folders that data may come from",
            f"put the file below one of {shown}, or add its folder to TANDEM_FILE_ROOTS",
        )
    return place


def open_below(uri: str, roots: Sequence[Path]) -> BinaryIO:
    """Open the file of `uri` for reading.

    Raises:
        DatasetProblem: it is missing, not allowed, no regular file, or not readable.
    """
    path = local_path(uri)
    place = resolve_below(path, roots)
    try:
        # Non-blocking, because opening a pipe would wait for its writer; no links, because all
        # were followed above and a new one would be an attempt to get out.
        descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(path, error) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        hint = "list the files in it one by one" if stat.S_ISDIR(mode) else "give a regular file"
        raise DatasetProblem(_UNREADABLE, f"{path} is {kind}", hint)
    return os.fdopen(descriptor, "rb")


def _unreadable(path: Path, error: OSError) -> DatasetProblem:
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return DatasetProblem(
            _UNREADABLE,
            f"{path} does not exist",
            "correct the path; it must exist on the machines that run the service and the job",
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return DatasetProblem(
            _UNREADABLE,
            f"{path} may not be read",
            "give the user that runs the service read permission",
        )
    reason = error.strerror or str(error)
    return DatasetProblem(_UNREADABLE, f"{path} cannot be read: {reason}", "check path and disk")
