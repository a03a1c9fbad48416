"""Keys and the audit log as the interface takes and shows them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.auth.scopes import Scope

_TIME = "2026-11-28T05:54:57.123456Z"
_PREFIX = "0123456789ab"
_YEARS_OF_DAYS = 3660


class ApiKeyCreate(BaseModel):
    """A request for a key."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="What it is for; no control characters.",
        examples=["nightly sweep"],
    )
    scopes: list[Scope] = Field(
        default=["read", "write"],
        min_length=1,
        max_length=3,
        description="`read`: look; `write`: make and control jobs; `admin`: keys and audit log.",
        examples=[["read", "write"]],
    )
    expires_in_days: Annotated[float, Field(gt=0, le=_YEARS_OF_DAYS)] | None = Field(
        default=None, description="Days until it ends; null is never.", examples=[90]
    )


class ApiKeyRotate(BaseModel):
    """How long the old key goes on."""

    model_config = ConfigDict(extra="forbid")

    grace_seconds: Annotated[float, Field(ge=0, le=30 * 86_400)] = Field(
        default=86_400, description="Seconds that the old key is still good for.", examples=[3600]
    )


class ApiKeyRead(BaseModel):
    """A key without its secret."""

    model_config = ConfigDict(from_attributes=True)

    object: Literal["api_key"] = Field(
        default="api_key", description="Kind of this object.", examples=["api_key"]
    )
    prefix: str = Field(description="Its public part, and its id.", examples=[_PREFIX])
    name: str = Field(description="What it is for.", examples=["nightly sweep"])
    scopes: list[Scope] = Field(description="What it may do.", examples=[["read", "write"]])
    created_at: datetime = Field(description="UTC.", examples=[_TIME])
    expires_at: datetime | None = Field(description="When it ends, UTC.", examples=[None])
    last_used_at: datetime | None = Field(
        description="To the minute, UTC; null if it never was.", examples=[_TIME]
    )
    revoked_at: datetime | None = Field(description="When it was ended, UTC.", examples=[None])


class ApiKeyMade(ApiKeyRead):
    """A key that was just made."""

    key: str = Field(
        description="The key; shown this once.", examples=[f"tnd_{_PREFIX}_{'0' * 64}"]
    )


class ApiKeyList(BaseModel):
    """All keys of a tenant, oldest first."""

    object: Literal["list"] = Field(default="list", description="A list.", examples=["list"])
    data: list[ApiKeyRead] = Field(description="The keys.", examples=[[]])


class AuditEventRead(BaseModel):
    """Something that was done to keys."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(description="Rises.", examples=[17])
    at: datetime = Field(description="UTC.", examples=[_TIME])
    actor: str = Field(
        description="Prefix of the key that asked, or `operator`.", examples=[_PREFIX]
    )
    action: str = Field(
        description="`api_key.created`, `api_key.rotated`, `api_key.revoked`.",
        examples=["api_key.created"],
    )
    target: str = Field(description="What it was done to.", examples=[_PREFIX])
    data: dict[str, Any] = Field(
        description="The details; never a secret.", examples=[{"scopes": ["read"]}]
    )


class AuditEventList(BaseModel):
    """A page of the audit log, oldest first."""

    object: Literal["list"] = Field(default="list", description="A list.", examples=["list"])
    data: list[AuditEventRead] = Field(description="The events.", examples=[[]])
    last_id: int = Field(description="Give it as `after` for the next page.", examples=[17])
    has_more: bool = Field(description="Whether there are more now.", examples=[False])
