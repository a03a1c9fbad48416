"""`python -m service.auth.create_key --name local`: make an API key and print it once."""

import argparse
import sys
from collections.abc import Sequence

from service.auth import keys, repository
from service.auth.scopes import SCOPES
from service.db.engine import create_database_engine
from service.db.session import Sessions, create_sessions, unit_of_work
from service.settings import read_settings


def create_key(
    sessions: Sessions, *, name: str, tenant: str, pepper: str, scopes: Sequence[str] = SCOPES
) -> str:
    """Make a key called `name` for `tenant` (made when missing) and return it."""
    with unit_of_work(sessions) as work:
        key, _ = keys.make(
            work.session,
            repository.get_or_create_tenant(work.session, tenant),
            name=name,
            scopes=scopes,
            pepper=pepper,
            actor="operator",
        )
    return key.text


def main(arguments: list[str] | None = None) -> int:
    """Write a new key to standard output; it cannot be shown again."""
    parser = argparse.ArgumentParser(prog="python -m service.auth.create_key", description=__doc__)
    parser.add_argument("--name", required=True, help="what the key is for")
    parser.add_argument("--tenant", default="default", help="whose jobs it sees")
    parser.add_argument(
        "--scope",
        action="append",
        choices=SCOPES,
        dest="scopes",
        help="what it may do; again for more; default: everything",
    )
    chosen = parser.parse_args(arguments)
    settings = read_settings()
    engine = create_database_engine(settings.database_url, application_name="tandem-create-key")
    try:
        key = create_key(
            create_sessions(engine),
            name=chosen.name,
            tenant=chosen.tenant,
            pepper=settings.key_pepper.get_secret_value(),
            scopes=chosen.scopes or SCOPES,
        )
    finally:
        engine.dispose()
    sys.stdout.write(key + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
