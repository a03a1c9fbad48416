"""Opaque page tokens for lists that are ordered by time of creation and id."""

import base64
import binascii
import json
from datetime import datetime

from service.errors import InvalidCursorError

DEFAULT_LIMIT = 20
MAX_LIMIT = 100

Position = tuple[datetime, str]


def encode_token(position: Position) -> str:
    """Return the token for what comes after `position`. It carries no right to see anything."""
    created_at, identifier = position
    document = json.dumps([created_at.isoformat(), identifier])
    return base64.urlsafe_b64encode(document.encode()).decode().rstrip("=")


def decode_token(token: str) -> Position:
    """Return the position of a token.

    Raises:
        InvalidCursorError: the token was not made by `encode_token`.
    """
    try:
        padded = token + "=" * (-len(token) % 4)
        created_at, identifier = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        moment = datetime.fromisoformat(created_at)
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise _invalid(token) from error
    if not isinstance(identifier, str) or "\0" in identifier or moment.tzinfo is None:
        raise _invalid(token)
    return moment, identifier


def _invalid(token: str) -> InvalidCursorError:
    return InvalidCursorError(
        f"page_token {token[:100]!r} was not given out by this service; "
        "leave it out to start from the first page"
    )
