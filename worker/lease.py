"""Keeps a lease alive, and knows without the database when it must be taken for lost.

One thread renews; it may hang with the network. Another only looks at the clock: when no renewal
succeeded for three quarters of the lease, the engine is stopped before anyone else can start one.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog

from service.jobs.leases import Desired, LeaseLostError

log = structlog.get_logger(__name__)

MARGIN = 0.75
"""Part of the lease after which, without a renewal, its holder stops by itself."""
_GUARD_SECONDS = 0.2


class LeaseKeeper:
    """Renews in the background between `__enter__` and `__exit__`."""

    def __init__(
        self,
        renew: Callable[[], Desired],
        *,
        lease_seconds: float,
        heartbeat_seconds: float,
        on_stop: Callable[[], None],
        on_lost: Callable[[], None],
        on_tick: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            renew: Extends the lease by one transaction and says what is wanted.
            lease_seconds: How long the lease lasts without a renewal.
            heartbeat_seconds: How often to renew.
            on_stop: Called once when the job is to be cancelled, and once when it is to pause.
            on_lost: Called once when the lease is gone, or must be taken for gone.
            on_tick: Called about five times a second from the guarding thread.
            clock: Monotonic seconds.
        """
        self._renew = renew
        self._margin = MARGIN * lease_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._on_stop, self._on_lost, self._on_tick = on_stop, on_lost, on_tick
        self._clock = clock
        self._renewed_at = clock()
        self._done = threading.Event()
        self._mutex = threading.Lock()
        self._lost = False
        self._cancelled = False
        self._paused = False
        self._threads = [
            threading.Thread(target=self._renew_regularly, name="lease-renewal", daemon=True),
            threading.Thread(target=self._guard, name="lease-guard", daemon=True),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(timeout=self._heartbeat_seconds)

    @property
    def lost(self) -> bool:
        """Whether the lease is gone: nothing may be written any more."""
        return self._lost

    @property
    def cancelled(self) -> bool:
        """Whether the job is to be cancelled."""
        return self._cancelled

    @property
    def paused(self) -> bool:
        """Whether the job is to be laid aside."""
        return self._paused

    @property
    def seconds_left(self) -> float:
        """Time in which a write is still ours to make, by our own clock."""
        return self._margin - (self._clock() - self._renewed_at)

    def lose(self) -> None:
        """Note that the lease is gone, as a fenced write showed."""
        with self._mutex:
            first, self._lost = not self._lost, True
        if first:
            self._on_lost()

    def beat(self) -> None:
        """Renew once."""
        asked_at = self._clock()  # the lease counts from before the question, not from the answer
        try:
            desired = self._renew()
        except LeaseLostError:
            if not self._done.is_set():
                log.warning("lease_lost")
                self.lose()
            return
        except Exception as error:  # noqa: BLE001 - whatever failed, the guard decides by the clock
            log.warning("lease_renewal_failed", error=f"{type(error).__name__}: {error}")
            return
        self._renewed_at = asked_at
        if desired == "cancel" and not self._cancelled:
            self._cancelled = True
            self._on_stop()
        if desired == "pause" and not self._paused:
            self._paused = True
            self._on_stop()

    def check(self) -> None:
        """Give the lease up if it was not renewed for too long."""
        if not self._lost and self.seconds_left < 0:
            log.warning("lease_given_up", seconds_since_renewal=self._clock() - self._renewed_at)
            self.lose()

    def _renew_regularly(self) -> None:
        while not self._done.wait(self._heartbeat_seconds) and not self._lost:
            self.beat()

    def _guard(self) -> None:
        while not self._done.wait(min(_GUARD_SECONDS, self._margin / 10)):
            self.check()
            self._on_tick()
