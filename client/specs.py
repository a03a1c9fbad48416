"""Reads what a user wants to submit from a file."""

import json
import sys
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class SpecFileError(Exception):
    """A specification file cannot be read, or is no JSON object; the message says where."""


def read_request(file: str) -> Json:
    """Return `{"spec": ..., "name"?, "labels"?}` from a file that holds that, or only a spec.

    Paths of datasets, of a tokenizer and of a model that are relative are taken from the file's
    folder, since the service knows no other folder to start from. `owner/name` stays a name on the
    hub unless there is such a folder.

    Raises:
        SpecFileError: the file cannot be read or is no JSON object.
    """
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        content = json.loads(text)
    except OSError as error:
        raise SpecFileError(f"{file}: {error.strerror}; give a readable JSON file") from error
    except ValueError as error:
        raise SpecFileError(f"{file} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise SpecFileError(f"{file} holds no JSON object; it should be a job specification")
    request: Json = content if isinstance(content.get("spec"), dict) else {"spec": content}
    _make_absolute(request["spec"], Path.cwd() if file == "-" else Path(file).resolve().parent)
    return request


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
