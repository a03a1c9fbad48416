"""How the worker's main process tells its pool that it is to leave.

Celery answers SIGTERM by waiting for running tasks, which here take hours. So the main process
sets a flag in memory that the pool's processes share, and the running job goes back to the queue.
"""

import os
from ctypes import c_bool
from multiprocessing.sharedctypes import RawValue
from typing import Any


class DrainFlag:
    """Set in the main process, read in the pool; without a lock that a killed child could hold."""

    def __init__(self) -> None:
        """Start unset and unshared."""
        self._shared: Any = None
        self._main_pid: int | None = None

    def share(self) -> None:
        """Make the flag visible to processes forked from here on; called by the main process."""
        self._shared = RawValue(c_bool, False)
        self._main_pid = os.getpid()

    def set(self) -> None:
        """Ask all running jobs of this worker to stop at a checkpoint."""
        if self._shared is not None:
            self._shared.value = True

    def is_set(self) -> bool:
        """Whether this process is to give its job back.

        A process of the pool whose main process is gone would run on with nobody to stop it.
        """
        if self._shared is None:
            return False
        if os.getpid() != self._main_pid and os.getppid() != self._main_pid:
            return True
        return bool(self._shared.value)


DRAIN = DrainFlag()
