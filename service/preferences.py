"""The request header `Prefer` (RFC 7240): how long an answer may wait for news."""

import re
from typing import Annotated

from fastapi import Header

LONGEST_WAIT_SECONDS = 30
_WAIT = re.compile(r'(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE)

PreferDep = Annotated[
    str,
    Header(
        description=f"`wait=N`: wait up to N seconds ({LONGEST_WAIT_SECONDS} at most) for news "
        "before answering; `Preference-Applied` confirms it (RFC 7240).",
        examples=["wait=20"],
    ),
]


def wait_seconds(prefer: str) -> int | None:
    """Return how long a caller wants to wait, None if it does not say; the first one counts."""
    match = _WAIT.search(prefer)
    return None if match is None else min(int(match[1]), LONGEST_WAIT_SECONDS)
