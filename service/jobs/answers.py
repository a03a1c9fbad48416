"""The first answer to a request with an `Idempotency-Key`, kept with what it made."""

from sqlalchemy.orm import Session

from service.dependencies import Caller
from service.idempotency import Answer, replay
from service.jobs.repository.idempotency import add_answer, find_answer


def stored_answer(session: Session, caller: Caller, key: str, sha256: bytes) -> Answer | None:
    """Return the first answer to `key`, None if it is new.

    Raises:
        IdempotencyKeyReusedError: the key belongs to another request.
    """
    row = find_answer(session, caller.tenant_id, key)
    if row is None:
        return None
    stored = Answer(row.status_code, row.location, row.body)
    return replay(stored, stored_sha256=row.request_sha256, sha256=sha256)


def store_answer(session: Session, caller: Caller, key: str, sha256: bytes, answer: Answer) -> bool:
    """Write the answer to `key`; False if another request with the key was faster."""
    return add_answer(
        session,
        caller.tenant_id,
        key,
        request_sha256=sha256,
        status_code=answer.status_code,
        location=answer.location,
        body=answer.body,
    )
