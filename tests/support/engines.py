"""How to start the fake engine."""

import sys
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
_START = (
    "import sys; sys.path[:0] = sys.argv[1:2]; del sys.argv[1]; "
    "from support.fake_engine import main; sys.exit(main())"
)


def fake_engine(mode: str) -> list[str]:
    """Return the command of a fake engine that behaves as `mode` says."""
    return [sys.executable, "-c", _START, str(_TESTS), mode]
