"""The lease by a clock that the test moves; the two threads are not started."""

import time
from collections.abc import Callable

import pytest

from service.jobs.leases import Desired, Lease, LeaseLostError
from worker.lease import LeaseKeeper

LEASE = Lease(job_id="job_1", attempt=1, worker_id="w")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Calls:
    def __init__(self) -> None:
        self.cancelled = 0
        self.lost = 0

    def on_cancel(self) -> None:
        self.cancelled += 1

    def on_lost(self) -> None:
        self.lost += 1


def _keeper(renew: Callable[[], Desired], calls: Calls, clock: Callable[[], float]) -> LeaseKeeper:
    return LeaseKeeper(
        renew,
        lease_seconds=60,
        heartbeat_seconds=10,
        on_stop=calls.on_cancel,
        on_lost=calls.on_lost,
        clock=clock,
    )


def test_a_renewed_lease_is_kept() -> None:
    calls, clock = Calls(), Clock()
    keeper = _keeper(lambda: "run", calls, clock)
    for _ in range(20):
        clock.now += 10
        keeper.beat()
        keeper.check()
    assert not keeper.lost
    assert calls.lost == 0


@pytest.mark.parametrize(("seconds", "times_lost"), [(44.9, 0), (45.1, 1)])
def test_without_renewals_the_lease_is_given_up_at_three_quarters(
    seconds: float, times_lost: int
) -> None:
    def fail() -> Desired:
        raise ConnectionError("the database is away")

    calls, clock = Calls(), Clock()
    keeper = _keeper(fail, calls, clock)
    clock.now += seconds
    keeper.beat()
    keeper.check()
    keeper.check()
    assert keeper.lost is bool(times_lost)
    assert calls.lost == times_lost


def test_a_renewal_counts_from_when_it_was_asked_for() -> None:
    calls, clock = Calls(), Clock()

    def slow() -> Desired:
        clock.now += 40
        return "run"

    keeper = _keeper(slow, calls, clock)
    keeper.beat()
    assert keeper.seconds_left == pytest.approx(45 - 40)


def test_a_fenced_renewal_loses_the_lease_once() -> None:
    def fenced() -> Desired:
        raise LeaseLostError(LEASE)

    calls = Calls()
    keeper = _keeper(fenced, calls, Clock())
    keeper.beat()
    keeper.beat()
    assert keeper.lost
    assert calls.lost == 1


def test_a_wish_to_cancel_is_passed_on_once() -> None:
    calls = Calls()
    keeper = _keeper(lambda: "cancel", calls, Clock())
    keeper.beat()
    keeper.beat()
    assert keeper.cancelled
    assert calls.cancelled == 1
    assert not keeper.lost


def test_the_guard_acts_while_a_renewal_hangs() -> None:
    calls = Calls()

    def hang() -> Desired:
        time.sleep(1.0)
        return "run"

    keeper = LeaseKeeper(
        hang,
        lease_seconds=0.4,
        heartbeat_seconds=0.05,
        on_stop=calls.on_cancel,
        on_lost=calls.on_lost,
    )
    with keeper:
        time.sleep(0.6)
        assert keeper.lost
