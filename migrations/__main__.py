"""`python -m migrations upgrade|downgrade|check|current|revision [TARGET]`."""

import argparse
import sys

from service.db import migrate
from service.db.engine import create_database_engine
from service.settings import read_settings


def main(arguments: list[str] | None = None) -> int:
    """Run one command on the database of `TANDEM_DATABASE_URL`."""
    parser = argparse.ArgumentParser(prog="python -m migrations", description=__doc__)
    parser.add_argument("command", choices=["upgrade", "downgrade", "check", "current", "revision"])
    parser.add_argument("target", nargs="?", default=None, help="a revision, or a message")
    chosen = parser.parse_args(arguments)
    if chosen.command in {"downgrade", "revision"} and chosen.target is None:
        parser.error(f"{chosen.command} needs a second word")
    engine = create_database_engine(
        read_settings().database_url,
        application_name="tandem-migrations",
        # A migration may rewrite a table; its locks have a timeout of their own.
        statement_timeout_seconds=0,
    )
    try:
        if chosen.command == "upgrade":
            migrate.upgrade(engine, chosen.target or "head")
        elif chosen.command == "downgrade":
            migrate.downgrade(engine, chosen.target)
        elif chosen.command == "check":
            migrate.check(engine)
        elif chosen.command == "revision":
            migrate.create_revision(engine, chosen.target)
        else:
            with engine.connect() as connection:
                sys.stdout.write(f"{migrate.current_revision(connection)}\n")
    finally:
        engine.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
