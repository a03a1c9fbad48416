"""Reads what a user wants to submit from a file."""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]


class SpecFileError(Exception):
    """A specification file cannot be read, or is no object; the message says where."""


def read_request(file: str) -> Json:
    """Return `{"spec": ..., "name"?, "labels"?}` from a file that holds that, or only a spec.

    Paths of datasets, of a tokenizer and of a model that are relative are taken from the file's
    folder, since the service knows no other folder to start from. `owner/name` stays a name on the
    hub unless there is such a folder.

    Raises:
        SpecFileError: the file cannot be read or is no JSON or YAML object.
    """
    request = _read(file, "job specification")
    _make_absolute(request["spec"], _folder(file))
    return request


def read_comparison(file: str) -> Json:
    """Return the same from a file with a comparison, whose paths are in `base` and `entries`.

    Raises:
        SpecFileError: the file cannot be read or is no JSON or YAML object.
    """
    request = _read(file, "comparison")
    entries = request["spec"].get("entries")
    parts = [request["spec"].get("base"), *(entries if isinstance(entries, list) else [])]
    for part in parts:
        if isinstance(part, dict):
            _make_absolute(part, _folder(file))
    return request


def _read(file: str, what: str) -> Json:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise SpecFileError(f"{file}: {error.strerror}; give a readable file") from error
    except ValueError as error:
        raise SpecFileError(f"{file} is not UTF-8 text: {error}") from error
    kind = "YAML" if file.endswith((".yaml", ".yml")) else "JSON"
    try:
        content = yaml.safe_load(text) if kind == "YAML" else json.loads(text)
    except (ValueError, yaml.YAMLError) as error:
        raise SpecFileError(f"{file} is not {kind}: {error}") from error
    if not isinstance(content, dict):
        raise SpecFileError(f"{file} holds no {kind} object; it should be a {what}")
    request: Json = content if isinstance(content.get("spec"), dict) else {"spec": content}
    return request


def _folder(file: str) -> Path:
    return Path.cwd() if file == "-" else Path(file).resolve().parent


def _make_absolute(spec: Json, folder: Path) -> None:
    # What is not shaped as a specification is left as it is: the service says what is wrong.
    sections = [spec.get(name) for name in ("domains", "targets")]
    for source in [one for section in sections if isinstance(section, list) for one in section]:
        uris = source.get("uris") if isinstance(source, dict) else None
        if isinstance(uris, list):
            source["uris"] = [_absolute(uri, folder) for uri in uris]
    for part in (spec.get("tokenizer"), spec.get("model")):
        path = part.get("path") if isinstance(part, dict) else None
        if isinstance(part, dict) and isinstance(path, str):
            on_hub = path.count("/") == 1 and not (folder / path).exists()
            part["path"] = path if on_hub else _absolute(path, folder)


def _absolute(uri: object, folder: Path) -> object:
    if not isinstance(uri, str) or not uri or "://" in uri or uri.startswith("/"):
        return uri
    return str(folder / uri)
