"""What can go wrong between a client and the service."""

from collections.abc import Mapping
from typing import Any


class TandemApiError(Exception):
    """The service refused a request; the text is the problem's own (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        """Keep the parts of the problem document."""
        self.status = status
        self.code = str(problem.get("code", "unknown"))
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail") or self.title or f"HTTP status {status}")
        self.errors = [dict(error) for error in problem.get("errors") or []]
        self.request_id = problem.get("request_id")
        super().__init__(self._text())

    def _text(self) -> str:
        lines = [f"{self.detail} ({self.code}, HTTP {self.status})"]
        for error in self.errors:
            value = f" (is {error['value']!r})" if error.get("value") is not None else ""
            hint = f"; {error['hint']}" if error.get("hint") else ""
            lines.append(f"  {error.get('pointer', '')}: {error.get('message', '')}{value}{hint}")
        return "\n".join(lines)


class ServiceUnreachableError(Exception):
    """Nothing answers at the service's address, or not in time."""


class ManifestDamagedError(Exception):
    """A downloaded file does not have the checksum that the manifest states."""
