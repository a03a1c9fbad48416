"""The client's calls for comparisons."""

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx

Json = dict[str, Any]

COMPARISON_ENDS = frozenset({"succeeded", "partial", "failed"})


class ComparisonCalls(ABC):
    """Methods of `TandemClient` about comparisons."""

    def compare(
        self,
        spec: Mapping[str, Any],
        *,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        reuse: bool = True,
        idempotency_key: str | None = None,
    ) -> Json:
        """Create a comparison; a lost answer is asked for again without a second one."""
        body = {"spec": spec, "name": name, "labels": labels or {}, "reuse": reuse}
        headers = {"Idempotency-Key": idempotency_key or secrets.token_hex(16)}
        return self._json("POST", "/v1/comparisons", json=body, headers=headers)

    def comparison(self, comparison_id: str) -> Json:
        """Return a comparison with its cells and the table so far."""
        return self._json("GET", _path(comparison_id))

    def comparisons(self, *, limit: int | None = None) -> Iterator[Json]:
        """Yield comparisons, newest first: all of them, or the first `limit`."""
        token: str | None = None
        count = 0
        while True:
            page = self._json("GET", "/v1/comparisons", params={"page_token": token})
            for comparison in page["data"]:
                if limit is not None and count >= limit:
                    return
                count += 1
                yield comparison
            token = page.get("next_page_token")
            if token is None:
                return

    def comparison_report(self, comparison_id: str, kind: str) -> str:
        """Return the report as `json`, `csv`, `markdown` or `html`."""
        return self._request("GET", _path(comparison_id, "report"), params={"format": kind}).text

    def cancel_comparison(self, comparison_id: str) -> Json:
        """Stop the jobs that a comparison made."""
        return self._json("POST", _path(comparison_id, "cancel"))

    def retry_comparison(self, comparison_id: str) -> Json:
        """Run failed and cancelled cells again."""
        return self._json("POST", _path(comparison_id, "retry"))

    def wait_for_comparison(
        self,
        comparison_id: str,
        *,
        timeout_seconds: float | None = None,
        poll_seconds: float = 2.0,
    ) -> Json:
        """Return the comparison once all its cells have ended.

        Raises:
            TimeoutError: they have not ended after `timeout_seconds`.
        """
        end = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            comparison = self.comparison(comparison_id)
            state = comparison["state"]
            if state in COMPARISON_ENDS:
                return comparison
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"{comparison_id} is still {state} after {timeout_seconds:g} s")
            self.sleep(poll_seconds)

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Sleep between two polls."""

    @abstractmethod
    def _json(self, method: str, path: str, **options: Any) -> Json: ...

    @abstractmethod
    def _request(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, **options: Any
    ) -> httpx.Response: ...


def _path(comparison_id: str, rest: str = "") -> str:
    path = f"/v1/comparisons/{quote(comparison_id, safe='')}"
    return f"{path}/{rest}" if rest else path
