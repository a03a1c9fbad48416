"""Folders that are datasets: those that `save_to_disk` wrote, and those of MDS.

A small JSON file says which files belong to one. It is as little to be trusted as the data: it
names files of its own folder only, and what it says is checked before it is used.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from tandem_engine.contracts.formats import Compression
from tandem_engine.contracts.uris import Location
from tandem_engine.errors import DatasetMalformedError, DatasetUnreadableError
from tandem_engine.inputs.access import Access
from tandem_engine.inputs.files import MdsColumn, SourceFile
from tandem_engine.inputs.lines import read_up_to
from tandem_engine.inputs.patterns import MOST_FILES, too_many
from tandem_engine.inputs.remote import open_remote

T = TypeVar("T")

_MDS_INDEX = "index.json"
_SAVED_DATASET = "state.json"
_MDS_COMPRESSIONS: dict[str, Compression | None] = {"": None, "gz": "gzip", "zstd": "zstd"}
_LONGEST_INDEX = 1 << 26


def members_of(folder: Location, access: Access) -> list[Location] | None:
    """Return the files of a dataset's folder, None if it is no dataset.

    Raises:
        DatasetMalformedError: its index is damaged, or names a file outside of it.
        DatasetUnreadableError: it has several splits, or too many files.
    """
    for name, names in ((_SAVED_DATASET, _saved_files), (_MDS_INDEX, _shard_files)):
        index = _inside(folder, name)
        content = _json(index, access)
        if content is None:
            continue
        members = _checked(index, names, content)
        if len(members) > MOST_FILES:
            raise too_many(folder.uri)
        for member in members:
            if member.startswith("/") or {"", ".", ".."} & set(member.split("/")):
                raise _damaged(index, f"names the file {member[:200]!r}")
        return [_inside(folder, member) for member in members]
    if _json(_inside(folder, "dataset_dict.json"), access) is not None:
        raise DatasetUnreadableError(
            f"{folder.uri}: is a saved dataset with several splits",
            hint=f"name one, for example {folder.uri.rstrip('/')}/train",
        )
    return None


def is_dataset(folder: Location, access: Access) -> bool:
    """Tell if a folder is a dataset; raises as `members_of`."""
    names = (_SAVED_DATASET, _MDS_INDEX)
    return any(_json(_inside(folder, name), access) is not None for name in names)


def mds_shard(file: SourceFile) -> SourceFile:
    """Return `file` with the columns and the compression that the index beside it says.

    Raises:
        DatasetMalformedError: the index does not list it, or lists what cannot be read.
    """
    folder = file.location.at(file.location.path.rpartition("/")[0])
    index = _inside(folder, _MDS_INDEX)
    content = _json(index, file.access) or {}
    name = PurePosixPath(file.location.path).name
    found = _checked(index, lambda index: _described(index, name), content)
    if found is None:
        raise file.malformed(
            f"is not listed in {_MDS_INDEX} beside it", "copy the whole MDS folder"
        )
    columns, algorithm = found
    if algorithm not in _MDS_COMPRESSIONS:
        raise file.malformed(
            f"is compressed by {algorithm!r}", "write MDS plain or with gz or zstd"
        )
    return replace(file, columns=columns, compression=_MDS_COMPRESSIONS[algorithm])


def _saved_files(content: dict[str, Any]) -> list[str]:
    return [str(file["filename"]) for file in content.get("_data_files", [])]


def _shard_files(content: dict[str, Any]) -> list[str]:
    return [_stored_name(shard) for shard in content.get("shards", [])]


def _stored_name(shard: dict[str, Any]) -> str:
    stored = shard.get("zip_data") or shard["raw_data"]
    return str(stored["basename"])


def _described(content: dict[str, Any], name: str) -> tuple[tuple[MdsColumn, ...], str] | None:
    for shard in content.get("shards", []):
        if _stored_name(shard) == name:
            columns = zip(
                shard["column_names"], shard["column_encodings"], shard["column_sizes"], strict=True
            )
            algorithm = str(shard.get("compression") or "").split(":")[0]
            return tuple(_column(*column) for column in columns), algorithm
    return None


def _column(name: object, encoding: object, size: object) -> MdsColumn:
    if size is not None and (not isinstance(size, int) or size < 0):
        msg = f"a column has the size {size!r}"
        raise ValueError(msg)
    return MdsColumn(str(name), str(encoding), size)


def _checked(index: Location, read: Callable[[dict[str, Any]], T], content: dict[str, Any]) -> T:
    try:
        return read(content)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise _damaged(index, f"is no index of a dataset: {error!r}") from error


def _json(location: Location, access: Access) -> dict[str, Any] | None:
    """Return the object in a small JSON file, None if there is no such file."""
    try:
        if location.scheme == "file":
            stream = access.open(Path(location.path))
        else:
            stream = open_remote(location, access)
    except DatasetUnreadableError:
        return None
    with stream:
        raw = read_up_to(stream, _LONGEST_INDEX + 1)
    if len(raw) > _LONGEST_INDEX:
        raise _damaged(location, f"is longer than {_LONGEST_INDEX >> 20} MiB")
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _damaged(location, f"is not JSON: {error}") from error
    return content if isinstance(content, dict) else {}


def _damaged(index: Location, what: str) -> DatasetMalformedError:
    return DatasetMalformedError(f"{index.uri}: {what}", hint="copy the dataset's folder again")


def _inside(folder: Location, name: str) -> Location:
    return folder.at(f"{folder.path.rstrip('/')}/{name}")
