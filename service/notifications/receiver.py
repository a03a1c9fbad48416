"""One POST to a receiver, and what its answer means for the event."""

import json
import logging
from collections.abc import Mapping
from typing import Literal

import httpx
import structlog

from service.db.base import Json

log = structlog.get_logger(__name__)

Answer = Literal["taken", "refused", "away"]
"""`refused`: sending it again would not help. `away`: it would, later."""

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
_WORTH_ANOTHER_TRY = frozenset({401, 403, 404, 408, 429})
"""A wrong key or address is the operator's mistake: mended, the events still arrive."""


class Receiver:
    """Posts JSON to one address; the answer's body is not read and redirects are not followed."""

    def __init__(
        self, url: str, *, media_type: str, api_key: str = "", timeout: httpx.Timeout = TIMEOUT
    ) -> None:
        """Prepare the client; it connects with the first event.

        Args:
            url: Where to, chosen by the operator.
            media_type: What is sent.
            api_key: Sent as bearer token; empty sends none.
            timeout: Of connecting, and of each read and write.
        """
        # It would log every request with its URL, which may hold a secret.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        headers = {"Content-Type": media_type, "User-Agent": "tandem"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        self._url = url
        self._client = httpx.Client(headers=headers, timeout=timeout, follow_redirects=False)

    def post(self, document: Mapping[str, object] | Json) -> Answer:
        """Send a document; never raises for what the receiver or the network does."""
        content = json.dumps(document).encode()
        try:
            with self._client.stream("POST", self._url, content=content) as response:
                status = response.status_code
        except httpx.HTTPError as error:
            log.warning("receiver_unreachable", cause=f"{type(error).__name__}: {error}")
            return "away"
        answer = answer_of(status)
        if answer != "taken":
            log.warning("receiver_answered", status=status, answer=answer)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def answer_of(status: int) -> Answer:
    """Return what a status means; a redirect is the operator's mistake, which may be mended."""
    if httpx.codes.is_success(status):
        return "taken"
    if httpx.codes.is_client_error(status) and status not in _WORTH_ANOTHER_TRY:
        return "refused"
    return "away"
