"""From a source's URIs to its files: patterns, and folders that are datasets.

The order is bytewise by URI, so that the order of a request changes nothing; a file that several
URIs match is read once.
"""

from collections.abc import Iterator
from pathlib import Path

from tandem_engine.contracts.formats import format_of
from tandem_engine.contracts.sources import SourceSpec
from tandem_engine.contracts.uris import Location, parse_uri
from tandem_engine.errors import DatasetUnreadableError, TandemError
from tandem_engine.inputs.access import EVERYWHERE, Access, is_directory
from tandem_engine.inputs.files import SourceFile
from tandem_engine.inputs.folders import is_dataset, mds_shard, members_of
from tandem_engine.inputs.patterns import MOST_FILES, matches, too_many
from tandem_engine.inputs.remote import Entry, describe, find


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
        if len(files) > MOST_FILES:
            error = too_many(f"{source.section}.{source.name}")
            error.field, error.value = f"{source.section}.{source.name}.uris", uri
            raise error
    return sorted(files.values(), key=lambda file: file.uri)


def files_of(source: SourceSpec, uri: str, access: Access = EVERYWHERE) -> list[SourceFile]:
    """Return the files that one URI of `source` names; raises as `source_files`."""
    location = parse_uri(uri)
    try:
        access.require(location)
        entries = (
            _local(location, access) if location.scheme == "file" else _remote(location, access)
        )
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
    found = [location.at(match) for match in matches(location.path, access)]
    inside = [_local_entry(place, access) for place in found]
    matched = [
        entry for entry in inside if not entry.is_folder or is_dataset(entry.location, access)
    ]
    return matched or _nothing(location)


def _local_entry(location: Location, access: Access) -> Entry:
    place = access.resolve(Path(location.path))
    size = place.stat().st_size if place.is_file() else None
    return Entry(location, place.is_dir(), size, None)


def _remote(location: Location, access: Access) -> list[Entry]:
    if not location.is_pattern:
        return [describe(location, access)]
    found = find(location, access)
    if len(found) > MOST_FILES:
        raise too_many(location.uri)
    return found or _nothing(location)


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
    yield mds_shard(file) if file_format == "mds" else file


def _of_folder(source: SourceSpec, folder: Location, access: Access) -> Iterator[SourceFile]:
    members = members_of(folder, access)
    if members is None:
        raise is_directory(folder.uri)
    for place in members:
        entry = _local_entry(place, access) if place.scheme == "file" else describe(place, access)
        yield from _files(source, entry, place.uri, access)
