"""Addresses of data: a scheme that Tandem reads, a place, and where in a repository a revision.

`/data/a.jsonl`, `file:///data/a.jsonl`, `s3://bucket/key`, `gs://bucket/key`, `az://container/key`
(`abfs://` is the same), `https://host/path`, `http://host/path`,
`hf://datasets/owner/name@revision/path`. `*`, `?` and `[...]` in the path of anything but HTTP
match several files; `**` crosses folders.
"""

import re
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import unquote

Scheme = Literal["file", "s3", "gs", "az", "https", "http", "hf"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)

_ALIASES: dict[str, Scheme] = {"gcs": "gs", "abfs": "az", "abfss": "az"}
_WITH_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*)://(.*)$", re.IGNORECASE | re.DOTALL)
_GLOB = re.compile(r"[*?\[]")
_IPV6_HOST = re.compile(r"^\[[0-9a-f:.]*\](?=[:/])", re.IGNORECASE)
_HF = re.compile(r"^(datasets/[\w.-]+/[\w.-]+)(?:@([^/\s]+))?(?:/(.+))?$")


@dataclass(frozen=True, slots=True)
class Location:
    """What a URI names; `path` has no scheme, and of a local file it is not percent-encoded."""

    scheme: Scheme
    path: str

    @property
    def is_pattern(self) -> bool:
        """Tell if the path may match several files; HTTP cannot list, so there it never does."""
        return self.scheme not in {"http", "https"} and _GLOB.search(self.path) is not None

    @property
    def uri(self) -> str:
        """The address as it is written into manifests: a local one is its absolute path."""
        return self.path if self.scheme == "file" else f"{self.scheme}://{self.path}"

    def at(self, path: str) -> "Location":
        """Return another place with the same scheme."""
        return Location(self.scheme, path)


def parse_uri(uri: str) -> Location:
    """Return the place that `uri` names.

    Raises:
        ValueError: it is no absolute path and no URI that Tandem reads; the message says why.
    """
    if re.search(r"[\x00-\x1f\x7f]", uri):
        raise ValueError("a URI holds a control character; remove it")
    if uri.startswith("/"):
        return Location("file", uri)
    match = _WITH_SCHEME.match(uri)
    if match is None:
        msg = f"{uri!r} is neither an absolute path nor a URI with a scheme ({_known()})"
        raise ValueError(msg)
    scheme = _scheme_of(match[1].lower(), uri)
    path = match[2]
    if scheme == "file":
        if not path.startswith("/"):
            msg = f"{uri!r} names no absolute path; write file:///folder/file"
            raise ValueError(msg)
        path = unquote(path)
        if "\0" in path:
            raise ValueError("a URI holds a NUL character; remove it")
        return Location(scheme, path)
    _require_plain(uri, path)
    if scheme == "hf" and not _HF.match(path):
        msg = f"{uri!r} is no dataset of the hub; write hf://datasets/owner/name@revision/path"
        raise ValueError(msg)
    return Location(scheme, path)


def schemes_of(written: str) -> frozenset[Scheme]:
    """Return the schemes of a list by commas.

    Raises:
        ValueError: one of them is unknown.
    """
    names = [name.strip() for name in written.split(",") if name.strip()]
    for name in names:
        if name not in SCHEMES:
            msg = f"{name!r} is no scheme that is read; known are {', '.join(SCHEMES)}"
            raise ValueError(msg)
    return frozenset(scheme for scheme in SCHEMES if scheme in names)


def _scheme_of(written: str, uri: str) -> Scheme:
    scheme = _ALIASES.get(written, written)
    for known in SCHEMES:
        if scheme == known:
            return known
    msg = f"{uri!r} has the scheme {written!r}, which is not read; use {_known()}"
    raise ValueError(msg)


def _require_plain(uri: str, path: str) -> None:
    host = path.split("/", 1)[0]
    if "::" in _IPV6_HOST.sub("", path):
        msg = f"{uri!r} chains several addresses by '::'; give one"
        raise ValueError(msg)
    if "@" in host:
        # What a URI says stands in manifests and logs: no place for a password.
        raise ValueError("a URI holds a user or password before '@'; leave credentials out of it")
    if not host or host == path:
        msg = f"{uri!r} names no file; write scheme://place/path"
        raise ValueError(msg)
    if ".." in path.split("/") or "\\" in path:
        msg = f"{uri!r} holds '..' or a backslash; write the path without them"
        raise ValueError(msg)


def _known() -> str:
    return ", ".join(f"{scheme}://" for scheme in SCHEMES)
