"""Every SQL statement about tenants, keys and the audit log."""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, any_, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.auth.models import ApiKey, AuditEvent, Tenant
from service.db.clock import from_now
from service.ids import new_id

LAST_USED_SECONDS = 60.0


def find_key(session: Session, prefix: str) -> ApiKey | None:
    """Return the key of that prefix unless it was revoked or has expired."""
    statement = select(ApiKey).where(ApiKey.prefix == prefix, *_valid())
    return session.scalars(statement).one_or_none()


def note_use(session: Session, prefix: str) -> None:
    """Keep when a key was used last, at most once a minute."""
    session.execute(
        update(ApiKey)
        .where(
            ApiKey.prefix == prefix,
            or_(
                ApiKey.last_used_at.is_(None),
                ApiKey.last_used_at < from_now(-LAST_USED_SECONDS),
            ),
        )
        .values(last_used_at=func.clock_timestamp())
        .execution_options(synchronize_session=False)
    )


def find_own_key(session: Session, tenant_id: str, prefix: str) -> ApiKey | None:
    """Return a tenant's key, whether it is valid or not; its row is locked."""
    statement = select(ApiKey).where(ApiKey.tenant_id == tenant_id, ApiKey.prefix == prefix)
    return session.scalars(
        statement.with_for_update().execution_options(populate_existing=True)
    ).one_or_none()


def list_keys(session: Session, tenant_id: str) -> Sequence[ApiKey]:
    """Return all keys of a tenant, oldest first."""
    statement = select(ApiKey).where(ApiKey.tenant_id == tenant_id)
    return session.scalars(statement.order_by(ApiKey.created_at, ApiKey.prefix)).all()


def get_or_create_tenant(session: Session, name: str) -> str:
    """Return the id of the tenant called `name`; made if there is none."""
    session.execute(insert(Tenant).values(id=new_id("ten"), name=name).on_conflict_do_nothing())
    return session.scalars(select(Tenant.id).where(Tenant.name == name)).one()


def add_key(
    session: Session,
    *,
    prefix: str,
    tenant_id: str,
    name: str,
    key_hash: bytes,
    scopes: Sequence[str],
    expires_in_seconds: float | None = None,
) -> ApiKey:
    """Write a key and return its row."""
    key = ApiKey(
        prefix=prefix,
        tenant_id=tenant_id,
        name=name,
        key_hash=key_hash,
        scopes=list(scopes),
        expires_at=None if expires_in_seconds is None else from_now(expires_in_seconds),
    )
    session.add(key)
    session.flush()
    session.refresh(key)
    return key


def revoke(session: Session, prefix: str) -> None:
    """End a key at once."""
    statement = update(ApiKey).where(ApiKey.prefix == prefix, ApiKey.revoked_at.is_(None))
    session.execute(statement.values(revoked_at=func.clock_timestamp()))


def expire_within(session: Session, prefix: str, seconds: float) -> None:
    """Let a key end after `seconds`, unless it ends before."""
    end = from_now(seconds)
    session.execute(
        update(ApiKey)
        .where(ApiKey.prefix == prefix, or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > end))
        .values(expires_at=end)
        .execution_options(synchronize_session=False)
    )


def count_administrators(session: Session, tenant_id: str) -> int:
    """Return how many valid keys of a tenant may administer keys."""
    statement = select(func.count()).where(
        ApiKey.tenant_id == tenant_id, literal("admin") == any_(ApiKey.scopes), *_valid()
    )
    return session.scalars(statement).one()


def add_audit_event(
    session: Session,
    tenant_id: str,
    *,
    actor: str,
    action: str,
    target: str,
    data: Mapping[str, object],
) -> None:
    """Keep who did what."""
    event = AuditEvent(
        tenant_id=tenant_id, actor=actor, action=action, target=target, data=dict(data)
    )
    session.add(event)


def list_audit_events(
    session: Session, tenant_id: str, *, after: int, limit: int
) -> Sequence[AuditEvent]:
    """Return a tenant's audit events with a higher number, oldest first."""
    statement = select(AuditEvent).where(AuditEvent.tenant_id == tenant_id, AuditEvent.id > after)
    return session.scalars(statement.order_by(AuditEvent.id).limit(limit)).all()


def _valid() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.clock_timestamp()),
    )
