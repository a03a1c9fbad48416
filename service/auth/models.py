"""Tables `tenants` and `api_keys`."""

from datetime import datetime

from sqlalchemy import ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base


class Tenant(Base):
    """Whose jobs they are; nobody sees another tenant's."""

    __tablename__ = "tenants"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class ApiKey(Base):
    """A key by its public prefix and the HMAC of the whole; the secret itself is not kept."""

    __tablename__ = "api_keys"

    prefix: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    name: Mapped[str]
    key_hash: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    revoked_at: Mapped[datetime | None]
