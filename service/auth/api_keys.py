"""API keys `tnd_<prefix>_<secret>`: made, hashed, compared."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

_KEY = re.compile(r"tnd_([0-9a-f]{12})_[0-9a-f]{64}")


@dataclass(frozen=True)
class NewKey:
    """A key that was just made; `text` is shown once and stored nowhere."""

    text: str
    prefix: str


def make_key() -> NewKey:
    """Return a new key with 256 random bits."""
    prefix = secrets.token_hex(6)
    return NewKey(text=f"tnd_{prefix}_{secrets.token_hex(32)}", prefix=prefix)


def prefix_of(text: str) -> str | None:
    """Return the public prefix of a key, None if `text` is no key."""
    match = _KEY.fullmatch(text)
    return match.group(1) if match else None


def hash_key(text: str, pepper: str) -> bytes:
    """Return HMAC-SHA256 of a key. It has 256 random bits, so no slow hash is needed."""
    return hmac.new(pepper.encode(), text.encode(), hashlib.sha256).digest()


def matches(text: str, pepper: str, stored: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(hash_key(text, pepper), stored)
