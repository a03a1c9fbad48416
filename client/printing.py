"""Output for programs."""

import json
import sys


def print_json(value: object) -> None:
    """Print indented JSON."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
