"""Every SQL statement about tenants and keys."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.auth.models import ApiKey, Tenant
from service.ids import new_id


def find_key(session: Session, prefix: str) -> ApiKey | None:
    """Return the key of that prefix unless it was revoked."""
    statement = select(ApiKey).where(ApiKey.prefix == prefix, ApiKey.revoked_at.is_(None))
    return session.scalars(statement).one_or_none()


def get_or_create_tenant(session: Session, name: str) -> str:
    """Return the id of the tenant called `name`; made if there is none."""
    session.execute(insert(Tenant).values(id=new_id("ten"), name=name).on_conflict_do_nothing())
    return session.scalars(select(Tenant.id).where(Tenant.name == name)).one()


def add_key(session: Session, *, prefix: str, tenant_id: str, name: str, key_hash: bytes) -> None:
    """Write a key."""
    session.add(ApiKey(prefix=prefix, tenant_id=tenant_id, name=name, key_hash=key_hash))
