"""`Idempotency-Key`: the first answer is stored with what it made, and given again."""

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Header
from starlette.responses import Response

from service.errors import IdempotencyKeyReusedError

REPLAYED_HEADER = "Idempotent-Replayed"

IdempotencyKeyDep = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Any unique text, such as a UUID; kept for two days. The same key with the "
        "same body gives the first answer again, so a lost answer can be asked for without "
        "making a second job.",
        examples=["7c4a8d09-ca37-62af-61e5-9520943dc264"],
    ),
]


@dataclass(frozen=True)
class Answer:
    """An answer that may be stored."""

    status_code: int
    location: str
    body: str
    replayed: bool = False

    def response(self) -> Response:
        """Write it."""
        headers = {"Location": self.location}
        if self.replayed:
            headers[REPLAYED_HEADER] = "true"
        return Response(self.body, self.status_code, headers=headers, media_type="application/json")


def request_sha256(method: str, path: str, body: Any) -> bytes:
    """Return a hash that is equal for requests that mean the same."""
    canonical = json.dumps([method, path, body], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).digest()


def replay(stored: Answer, *, stored_sha256: bytes, sha256: bytes) -> Answer:
    """Return the stored answer again.

    Raises:
        IdempotencyKeyReusedError: it belongs to another request.
    """
    if stored_sha256 != sha256:
        raise IdempotencyKeyReusedError(
            "this Idempotency-Key was sent before with another body; use a new key"
        )
    return Answer(stored.status_code, stored.location, stored.body, replayed=True)
