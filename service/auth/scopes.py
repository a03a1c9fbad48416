"""What a key may do: read, write, administer; each is granted by itself."""

from typing import Literal, get_args

Scope = Literal["read", "write", "admin"]

SCOPES: tuple[Scope, ...] = get_args(Scope)
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def scope_of(method: str, path: str) -> Scope:
    """Return the scope that a request needs: keys and the audit log are the administrators'."""
    if path.startswith(("/v1/api-keys", "/v1/audit-events")):
        return "admin"
    return "read" if method in _READING else "write"
