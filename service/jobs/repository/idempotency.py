"""First answers to requests with an `Idempotency-Key`."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.jobs.models import IdempotencyKey


def find_answer(session: Session, tenant_id: str, key: str) -> IdempotencyKey | None:
    """Return the first answer to `key`, None if it is new."""
    statement = select(IdempotencyKey).where(
        IdempotencyKey.tenant_id == tenant_id, IdempotencyKey.key == key
    )
    return session.scalars(statement).one_or_none()


def add_answer(
    session: Session,
    tenant_id: str,
    key: str,
    *,
    request_sha256: bytes,
    status_code: int,
    location: str,
    body: str,
) -> bool:
    """Write the answer to `key`; False if another request with the key was first.

    Waits for that other request's transaction to end.
    """
    statement = (
        insert(IdempotencyKey)
        .values(
            tenant_id=tenant_id,
            key=key,
            request_sha256=request_sha256,
            status_code=status_code,
            location=location,
            body=body,
        )
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    )
    return session.execute(statement).one_or_none() is not None
