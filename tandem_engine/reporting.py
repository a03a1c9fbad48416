"""Where records go, and how a running engine is asked to stop."""

import sys
import threading
from collections.abc import Callable
from typing import TextIO

from pydantic import BaseModel

from tandem_engine.errors import StopRequestedError

Emit = Callable[[BaseModel], None]


class LineEmitter:
    """Writes one JSON object per line and flushes, so that a reader sees it at once."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Take the stream, standard output by default."""
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()

    def __call__(self, record: BaseModel) -> None:
        """Write `record`."""
        with self._lock:
            self._stream.write(record.model_dump_json() + "\n")
            self._stream.flush()


class StopFlag:
    """Set by a signal handler, read between steps."""

    def __init__(self) -> None:
        """Start unset."""
        self._event = threading.Event()

    def set(self) -> None:
        """Ask for a stop at the next boundary."""
        self._event.set()

    @property
    def requested(self) -> bool:
        """Tell if a stop was asked for."""
        return self._event.is_set()

    def leave_if_requested(self) -> None:
        """Return, unless a stop was asked for.

        Raises:
            StopRequestedError: a stop was asked for.
        """
        if self.requested:
            raise StopRequestedError(
                "the engine was asked to stop", hint="run it again: it goes on from its checkpoint"
            )
