"""Where a local `tandem up` leaves its address and key, and how a client finds a service."""

import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_URL = "http://127.0.0.1:8321"


@dataclass(frozen=True)
class Connection:
    """Address of a service and the key to it."""

    url: str
    api_key: str


class NotConfiguredError(Exception):
    """There is no key to be found; the message says where one may be put."""


def default_data_dir() -> Path:
    """Return the data folder of `tandem up`: TANDEM_DATA_DIR, or one below the home folder."""
    if given := os.environ.get("TANDEM_DATA_DIR"):
        return Path(given)
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "tandem"


def find_connection(data_dir: Path | None = None) -> Connection:
    """Return where to connect to: the environment first, then a local `tandem up`.

    Raises:
        NotConfiguredError: no key is set and no local service has left one.
    """
    folder = data_dir or default_data_dir()
    url = os.environ.get("TANDEM_URL") or _read(folder / "url") or DEFAULT_URL
    key = os.environ.get("TANDEM_API_KEY") or _read(folder / "api_key")
    if not key:
        raise NotConfiguredError(
            f"no API key: set TANDEM_API_KEY (and TANDEM_URL), or start a service here with "
            f"`tandem up` (none has left a key in {folder})"
        )
    return Connection(url, key)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
