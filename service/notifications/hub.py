"""The service's sinks of events: made from the settings, started and stopped with it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Self

import structlog
from sqlalchemy.exc import SQLAlchemyError

from service.db.base import Json
from service.db.session import Sessions, unit_of_work
from service.notifications import cloud_events, lineage, repository
from service.notifications.cloud_events import cloud_events as render_cloud_events
from service.notifications.courier import Courier, Sink
from service.notifications.lineage import Producer, run_events
from service.notifications.occurrences import Occurrence
from service.notifications.receiver import Receiver
from service.notifications.repository import SinkLock
from service.settings import Settings

log = structlog.get_logger(__name__)

OPENLINEAGE = "openlineage"
WEBHOOK = "webhook"


class Notifications:
    """All couriers of a service, and the one event that the service itself adds: an export."""

    def __init__(self, sessions: Sessions, couriers: Sequence[Courier], *, active: bool) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            sessions: The database.
            couriers: One per sink, of those that are off too.
            active: Whether any sink is on.
        """
        self._sessions, self._couriers, self._active = sessions, couriers, active

    @classmethod
    def create(cls, settings: Settings, sessions: Sessions) -> Self:
        """Make a courier per sink; one without an address is off."""
        lineage_receiver = webhook_receiver = None
        if settings.openlineage_url:
            lineage_receiver = Receiver(
                settings.openlineage_url,
                media_type=lineage.MEDIA_TYPE,
                api_key=settings.openlineage_api_key.get_secret_value(),
            )
        if settings.webhook_url:
            webhook_receiver = Receiver(settings.webhook_url, media_type=cloud_events.MEDIA_TYPE)
        couriers = [
            Courier(sessions, openlineage_sink(settings), lineage_receiver),
            Courier(sessions, webhook_sink(), webhook_receiver),
        ]
        active = lineage_receiver is not None or webhook_receiver is not None
        return cls(sessions, couriers, active=active)

    def start(self) -> None:
        """Start delivering."""
        for courier in self._couriers:
            courier.start()

    def stop(self) -> None:
        """Stop delivering; what is queued stays queued."""
        for courier in self._couriers:
            courier.stop()

    def record_export(
        self, job_id: str, format_: str, *, mixture_id: str, files: Mapping[str, str]
    ) -> None:
        """Note that an export was handed out, once per job, format and content.

        It never fails and, without a sink, does nothing: an export is the caller's in any case.

        Args:
            job_id: The job whose mixture it is.
            format_: The trainer's format.
            mixture_id: Name of the manifest by its content.
            files: Content by name.
        """
        if not self._active:
            return
        data = export_data(format_, mixture_id=mixture_id, files=files)
        try:
            with unit_of_work(self._sessions) as work:
                if not repository.has_export(work.session, job_id, data):
                    repository.add_export(work.session, job_id, data)
        except SQLAlchemyError as error:
            log.warning("export_not_recorded", job_id=job_id, format=format_, cause=str(error))


def openlineage_sink(settings: Settings) -> Sink:
    """Return the sink that is told of lineage."""
    producer = Producer(settings.openlineage_namespace, settings.data_dir, version("tandem-mix"))

    def render(occurrence: Occurrence) -> Sequence[Json]:
        return run_events(occurrence, producer)

    return Sink(OPENLINEAGE, SinkLock.OPENLINEAGE, render)


def webhook_sink() -> Sink:
    """Return the sink that is told of changes of state."""
    return Sink(WEBHOOK, SinkLock.WEBHOOK, render_cloud_events)


def export_data(format_: str, *, mixture_id: str, files: Mapping[str, str]) -> Json:
    """Return what the event of an export says; the sha256 is over names and contents."""
    sums = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    whole = hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()
    return {"format": format_, "mixture_id": mixture_id, "sha256": whole, "files": sums}
