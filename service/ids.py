"""Identifiers: a type prefix, the time, and randomness that nobody can guess."""

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no i, l, o, u
_TIME_DIGITS = 10
_RANDOM_DIGITS = 16


def new_id(prefix: str) -> str:
    """Return `prefix`, `_` and 26 characters; ids made later sort later (by the millisecond)."""
    milliseconds = time.time_ns() // 1_000_000
    digits = _encode(milliseconds, _TIME_DIGITS) + _encode(secrets.randbits(80), _RANDOM_DIGITS)
    return f"{prefix}_{digits}"


def _encode(number: int, digits: int) -> str:
    text = ""
    for _ in range(digits):
        text = _ALPHABET[number % 32] + text
        number //= 32
    return text
