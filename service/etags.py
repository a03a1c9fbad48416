"""Entity tags: what a caller already has is not sent again."""

import hashlib

from starlette.responses import Response


def strong_etag(content: bytes) -> str:
    """Return the tag of exactly these bytes."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def is_current(etag: str, if_none_match: str | None) -> bool:
    """Say whether the header `If-None-Match` names `etag` (compared weakly, RFC 9110)."""
    if if_none_match is None:
        return False
    given = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in given or etag.removeprefix("W/") in given


def not_modified(etag: str) -> Response:
    """Return the answer to a caller who has it."""
    return Response(status_code=304, headers={"ETag": etag})


def tagged_json(content: bytes, if_none_match: str | None) -> Response:
    """Return JSON with a strong tag, or 304."""
    return tagged(content, if_none_match, "application/json")


def tagged(
    content: bytes, if_none_match: str | None, media_type: str, *, filename: str | None = None
) -> Response:
    """Return content with a strong tag, or 304; `filename` is what a browser would save it as."""
    etag = strong_etag(content)
    if is_current(etag, if_none_match):
        return not_modified(etag)
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if filename is not None:
        headers["Content-Disposition"] = f'inline; filename="{filename}"'
    return Response(content, headers=headers, media_type=media_type)
