"""The unit of work: the only commit in the code base; messages leave after it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

Sessions = sessionmaker[Session]


@dataclass(frozen=True)
class UnitOfWork:
    """One transaction, and what is to happen once it is committed."""

    session: Session
    after_commit: list[Callable[[], None]] = field(default_factory=list)


def create_sessions(engine: Engine) -> Sessions:
    """Return the session factory for `engine`."""
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def unit_of_work(sessions: Sessions) -> Iterator[UnitOfWork]:
    """Commit at the end of the block, roll back on an exception, then send what is to be sent.

    What stands in `after_commit` runs only if the commit succeeded, so nobody ever hears of a row
    that does not exist.
    """
    with sessions.begin() as session:
        work = UnitOfWork(session)
        yield work
    for send in work.after_commit:
        send()
