"""The running application as tests of the interface use it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from service.context import Context


@dataclass(frozen=True)
class Api:
    """The running application and a key of one tenant."""

    client: TestClient
    context: Context
    data: Path

    def create(self, **changes: Any) -> dict[str, Any]:
        """Create a job; returns it."""
        answer = self.client.post("/v1/jobs", json={"spec": self.spec(**changes)})
        assert answer.status_code == 201, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def spec(self, **changes: Any) -> dict[str, Any]:
        """Return a specification of two domains that exist."""
        domains = [self.domain("code"), self.domain("manuals")]
        return {"domains": domains, **changes}

    def domain(self, name: str, *, documents: int = 6, text: str = "word " * 40) -> dict[str, Any]:
        """Write a domain's file; returns its part of a specification."""
        path = self.data / f"{name}.jsonl"
        lines = [json.dumps({"text": f"{number} {text}"}) + "\n" for number in range(documents)]
        path.write_text("".join(lines), encoding="utf-8")
        return {"name": name, "uris": [str(path)]}
