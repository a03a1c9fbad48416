"""Entry point of `python -m tandem_engine`."""

import sys

from tandem_engine.cli import main

if __name__ == "__main__":
    sys.exit(main())
