"""A receiver on this machine, and couriers of sinks that are on."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from support.receivers import Received, receiver_at

from service.db.session import Sessions
from service.notifications.courier import Courier, Sink
from service.notifications.hub import webhook_sink
from service.notifications.receiver import Receiver

MakeCourier = Callable[..., Courier]


@pytest.fixture
def received() -> Received:
    return Received()


@pytest.fixture
def url(received: Received) -> Iterator[str]:
    with receiver_at(received) as address:
        yield address


@pytest.fixture
def make_courier(sessions: Sessions) -> Iterator[MakeCourier]:
    """Make a courier of the webhook that is switched on; every receiver is closed at the end."""
    with ExitStack() as closing:

        def make(url: str, sink: Sink | None = None, **options: Any) -> Courier:
            options.setdefault("first_backoff_seconds", 0.0)
            receiver = Receiver(url, media_type="application/cloudevents+json")
            closing.callback(receiver.close)
            courier = Courier(sessions, sink or webhook_sink(), receiver, **options)
            courier.run_once()
            return courier

        yield make
