"""Keys made, replaced and ended, each with an entry in the audit log."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from service.auth import repository
from service.auth.api_keys import NewKey, hash_key, make_key
from service.auth.models import ApiKey
from service.errors import InvalidStateError, NotFoundError


def make(
    session: Session,
    tenant_id: str,
    *,
    name: str,
    scopes: Sequence[str],
    pepper: str,
    actor: str,
    expires_in_seconds: float | None = None,
) -> tuple[NewKey, ApiKey]:
    """Make a key; its text is in the answer and nowhere else."""
    new = make_key()
    row = repository.add_key(
        session,
        prefix=new.prefix,
        tenant_id=tenant_id,
        name=name,
        key_hash=hash_key(new.text, pepper),
        scopes=scopes,
        expires_in_seconds=expires_in_seconds,
    )
    _note(session, row, actor, "api_key.created", {"name": name, "scopes": list(scopes)})
    return new, row


def rotate(
    session: Session,
    tenant_id: str,
    prefix: str,
    *,
    grace_seconds: float,
    pepper: str,
    actor: str,
) -> tuple[NewKey, ApiKey]:
    """Make a key with the same rights; the old one goes on for `grace_seconds`.

    Raises:
        NotFoundError: the tenant has no such key.
        InvalidStateError: it was revoked.
    """
    old = _own(session, tenant_id, prefix)
    if old.revoked_at is not None:
        raise InvalidStateError("the key was revoked; make a new one")
    new, row = make(
        session, tenant_id, name=old.name, scopes=old.scopes, pepper=pepper, actor=actor
    )
    repository.expire_within(session, prefix, grace_seconds)
    data = {"replaced_by": new.prefix, "grace_seconds": grace_seconds}
    _note(session, old, actor, "api_key.rotated", data)
    return new, row


def revoke(session: Session, tenant_id: str, prefix: str, *, actor: str) -> None:
    """End a key at once; a second time changes nothing.

    Raises:
        NotFoundError: the tenant has no such key.
        InvalidStateError: nobody could administer the tenant's keys any more.
    """
    key = _own(session, tenant_id, prefix)
    if key.revoked_at is not None:
        return
    last = "admin" in key.scopes and repository.count_administrators(session, tenant_id) == 1
    if last:
        raise InvalidStateError(
            "it is the last valid key with the scope `admin`; make another one first"
        )
    repository.revoke(session, prefix)
    _note(session, key, actor, "api_key.revoked", {})


def _own(session: Session, tenant_id: str, prefix: str) -> ApiKey:
    key = None if "\0" in prefix else repository.find_own_key(session, tenant_id, prefix)
    if key is None:
        raise NotFoundError(f"there is no key {prefix[:100]!r}")
    return key


def _note(session: Session, key: ApiKey, actor: str, action: str, data: dict[str, object]) -> None:
    repository.add_audit_event(
        session, key.tenant_id, actor=actor, action=action, target=key.prefix, data=data
    )
