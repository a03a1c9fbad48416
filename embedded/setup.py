"""What must be true before a client can use the system: schema, secrets, a key that works."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from embedded.server_files import EmbeddedServerError, read_or_create_secret, write_private
from tandem_engine.contracts.uris import SCHEMES

_HTTP_SECONDS = 5.0


def environment(root: Path, database_url: str, redis_url: str) -> dict[str, str]:
    """Return the environment of API and workers on the data folder `root`."""
    settings = {
        "TANDEM_DATABASE_URL": database_url,
        "TANDEM_REDIS_URL": redis_url,
        "TANDEM_DATA_DIR": str(root),
        "TANDEM_KEY_PEPPER": os.environ.get("TANDEM_KEY_PEPPER")
        or read_or_create_secret(root / "key_pepper"),
        # Whoever runs this on a machine of their own may call any host from it anyway.
        "TANDEM_PRIVATE_NETWORKS": os.environ.get("TANDEM_PRIVATE_NETWORKS") or "0.0.0.0/0,::/0",
        "TANDEM_URI_SCHEMES": os.environ.get("TANDEM_URI_SCHEMES") or ",".join(SCHEMES),
    }
    return dict(os.environ) | settings


def migrate(child_environment: Mapping[str, str]) -> None:
    """Bring the database's schema up to date.

    Raises:
        EmbeddedServerError: the database refuses, or is of a newer release.
    """
    _run(["migrations", "upgrade"], child_environment, "the database could not be migrated")


def ensure_api_key(root: Path, url: str, child_environment: Mapping[str, str]) -> str:
    """Return the data folder's API key; make one if there is none that this database knows."""
    path = root / "api_key"
    if path.exists():
        key = path.read_text(encoding="utf-8").strip()
        if _accepted(url, key):
            return key
    key = _run(
        ["service.auth.create_key", "--name", "tandem up"],
        child_environment,
        "the API key could not be made",
    )
    write_private(path, key + "\n")
    return key


def api_answers(url: str) -> bool:
    """Whether the API is up."""
    try:
        return httpx.get(f"{url}/healthz", timeout=_HTTP_SECONDS, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _accepted(url: str, key: str) -> bool:
    headers = {"Authorization": f"Bearer {key}"}
    response = httpx.get(
        f"{url}/v1/jobs?limit=1", headers=headers, timeout=_HTTP_SECONDS, trust_env=False
    )
    return response.status_code != httpx.codes.UNAUTHORIZED


def _run(module: list[str], child_environment: Mapping[str, str], failure: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *module],
        check=False,
        env=dict(child_environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise EmbeddedServerError(f"{failure}:\n{done.stderr.strip()[-3000:]}")
    return done.stdout.strip()
