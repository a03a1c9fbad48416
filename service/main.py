"""`python -m service.main`: serve the interface."""

import argparse
import sys

import uvicorn

from service.app import create_app
from service.logging_setup import configure_logging
from service.settings import read_settings


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C; requests in progress are finished."""
    parser = argparse.ArgumentParser(prog="python -m service.main", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on")
    chosen = parser.parse_args(arguments)
    settings = read_settings()
    configure_logging(settings.log_level)
    uvicorn.run(
        create_app(settings),
        host=chosen.host,
        port=chosen.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
