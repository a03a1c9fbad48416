"""From a source's URIs to its files: patterns, saved datasets, MDS folders.

The order is bytewise by URI, so that the order of a request changes nothing; a file that several
URIs match is read once.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from glob import glob
from pathlib import Path, PurePosixPath
from typing import Any

from tandem_engine.contracts.formats import format_of
from tandem_engine.contracts.sources import SourceSpec
from tandem_engine.contracts.uris import Location, parse_uri
from tandem_engine.errors import (
    DatasetMalformedError,
    DatasetUnreadableError,
    TandemError,
)
from tandem_engine.inputs.access import EVERYWHERE, Access, is_directory
from tandem_engine.inputs.files import MdsColumn, SourceFile
from tandem_engine.inputs.remote import Entry, describe, find, open_remote

_MDS_INDEX = "index.json"
_SAVED_DATASET = "state.json"
_MDS_COMPRESSIONS = {"gz": ".gz", "zstd": ".zstd"}


def source_files(source: SourceSpec, access: Access = EVERYWHERE) -> list[SourceFile]:
    """Return the files of `source` in the order in which they are read.

    A local file that is named without a pattern need not exist: opening it tells.

    Raises:
        TandemError: a pattern matches nothing, a folder is no dataset, a server does not answer,
            or a format is unknown; `field` and `value` name the URI.
    """
    files: dict[str, SourceFile] = {}
    for uri in sorted(source.uris):
        for file in files_of(source, uri, access):
            files.setdefault(file.location.uri, file)
    return sorted(files.values(), key=lambda file: file.uri)


def files_of(source: SourceSpec, uri: str, access: Access = EVERYWHERE) -> list[SourceFile]:
    """Return the files that one URI of `source` names; raises as `source_files`."""
    location = parse_uri(uri)
    try:
        access.require(location)
        entries = _local(location, access) if location.scheme == "file" else _remote(location)
        files: list[SourceFile] = []
        for entry in entries:
            written = entry.location.uri if location.is_pattern else uri
            files += _files(source, entry, written, access)
    except TandemError as error:
        if error.field is None:
            error.field, error.value = f"{source.section}.{source.name}.uris", uri
        raise
    return files


def _local(location: Location, access: Access) -> list[Entry]:
    path = Path(location.path)
    # A name with brackets may be a file's own name.
    if not location.is_pattern or access.resolve(path).exists():
        return [_local_entry(location, access)]
    found = [location.at(match) for match in glob(location.path, recursive=True)]  # noqa: PTH207 - absolute, with **
    inside = [_local_entry(place, access) for place in found]
    matched = [entry for entry in inside if not entry.is_folder or _is_dataset(entry, access)]
    return matched or _nothing(location)


def _local_entry(location: Location, access: Access) -> Entry:
    place = access.resolve(Path(location.path))
    size = place.stat().st_size if place.is_file() else None
    return Entry(location, place.is_dir(), size, None)


def _remote(location: Location) -> list[Entry]:
    if not location.is_pattern:
        return [describe(location)]
    return find(location) or _nothing(location)


def _nothing(location: Location) -> list[Entry]:
    raise DatasetUnreadableError(
        f"{location.uri}: matches no file",
        hint="correct the pattern; ** crosses folders, * does not",
    )


def _files(source: SourceSpec, entry: Entry, uri: str, access: Access) -> Iterator[SourceFile]:
    location = entry.location
    if entry.is_folder:
        yield from _of_folder(source, location, access)
        return
    path = location.path
    if source.format == "megatron":
        # One dataset is two files, and people name either of them or what they share.
        location = location.at(f"{path.removesuffix('.bin').removesuffix('.idx')}.idx")
    file_format, compression = format_of(source, path)
    file = SourceFile(
        section=source.section,
        name=source.name,
        uri=uri,
        location=location,
        format=file_format,
        compression=compression,
        text_field=source.text_field,
        records=source.records,
        token_dtype=source.token_dtype,
        size=entry.size,
        tag=entry.tag,
        access=access,
    )
    if file_format == "mds":
        file = _mds_shard(file, _folder_of(location))
    yield file


def _of_folder(source: SourceSpec, folder: Location, access: Access) -> Iterator[SourceFile]:
    for name, names in ((_SAVED_DATASET, _saved_files), (_MDS_INDEX, _shard_files)):
        content = _json(_inside(folder, name), access)
        if content is None:
            continue
        for member in names(content):
            place = _inside(folder, member)
            entry = _local_entry(place, access) if place.scheme == "file" else describe(place)
            yield from _files(source, entry, place.uri, access)
        return
    if _json(_inside(folder, "dataset_dict.json"), access) is not None:
        raise DatasetUnreadableError(
            f"{folder.uri}: is a saved dataset with several splits",
            hint=f"name one, for example {folder.uri.rstrip('/')}/train",
        )
    raise is_directory(folder.uri)


def _is_dataset(entry: Entry, access: Access) -> bool:
    names = (_SAVED_DATASET, _MDS_INDEX)
    return any(_json(_inside(entry.location, name), access) is not None for name in names)


def _saved_files(content: dict[str, Any]) -> list[str]:
    return [str(file["filename"]) for file in content.get("_data_files", [])]


def _shard_files(content: dict[str, Any]) -> list[str]:
    return [_stored_name(shard) for shard in content.get("shards", [])]


def _stored_name(shard: dict[str, Any]) -> str:
    stored = shard.get("zip_data") or shard["raw_data"]
    return str(stored["basename"])


def _mds_shard(file: SourceFile, folder: Location) -> SourceFile:
    content = _json(_inside(folder, _MDS_INDEX), file.access) or {}
    name = PurePosixPath(file.location.path).name
    for shard in content.get("shards", []):
        if _stored_name(shard) != name:
            continue
        algorithm = str(shard.get("compression") or "").split(":")[0]
        if algorithm and algorithm not in _MDS_COMPRESSIONS:
            raise file.malformed(
                f"is compressed by {algorithm!r}", "write MDS plain or with gz or zstd"
            )
        columns = zip(
            shard["column_names"], shard["column_encodings"], shard["column_sizes"], strict=True
        )
        compression = {"": None, "gz": "gzip", "zstd": "zstd"}[algorithm]
        return replace(
            file,
            columns=tuple(MdsColumn(*column) for column in columns),
            compression=compression,  # type: ignore[arg-type]  # a literal of the table above
        )
    raise file.malformed(f"is not listed in {_MDS_INDEX} beside it", "copy the whole MDS folder")


def _json(location: Location, access: Access) -> dict[str, Any] | None:
    """Return the object in a small JSON file, None if there is no such file."""
    try:
        if location.scheme == "file":
            stream = access.open(Path(location.path))
        else:
            stream = open_remote(location)
    except DatasetUnreadableError:
        return None
    with stream:
        try:
            content = json.loads(stream.read())
        except ValueError as error:
            raise DatasetMalformedError(
                f"{location.uri}: is not JSON: {error}", hint="copy the dataset's folder again"
            ) from error
    return content if isinstance(content, dict) else {}


def _inside(folder: Location, name: str) -> Location:
    return folder.at(f"{folder.path.rstrip('/')}/{name}")


def _folder_of(location: Location) -> Location:
    return location.at(location.path.rpartition("/")[0])
