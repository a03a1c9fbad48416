"""What a running service holds: one per application, made and closed by its lifespan."""

from dataclasses import dataclass
from typing import Self

from sqlalchemy import Engine

from service.artifacts.store import FolderStore
from service.db.engine import create_database_engine
from service.db.session import Sessions, create_sessions
from service.jobs.dispatch import Dispatcher
from service.jobs.reconciler import Reconciler
from service.notifications.hub import Notifications
from service.settings import Settings
from service.task_queue import TaskQueue


@dataclass(frozen=True)
class Context:
    """Connections and helpers that requests share."""

    settings: Settings
    engine: Engine
    sessions: Sessions
    queue: TaskQueue
    dispatcher: Dispatcher
    store: FolderStore
    reconciler: Reconciler
    notifications: Notifications

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """Make everything; nothing connects yet."""
        engine = create_database_engine(
            settings.database_url,
            application_name="tandem-service",
            pool_size=settings.database_pool_size,
            statement_timeout_seconds=settings.statement_timeout_seconds,
        )
        sessions = create_sessions(engine)
        queue = TaskQueue(settings.redis_url)
        dispatcher = Dispatcher(sessions, queue)
        return cls(
            settings=settings,
            engine=engine,
            sessions=sessions,
            queue=queue,
            dispatcher=dispatcher,
            store=FolderStore(settings.data_dir),
            reconciler=Reconciler(
                sessions,
                dispatcher,
                interval_seconds=settings.reconcile_seconds,
                resend_seconds=settings.resend_seconds,
                backoff_seconds=settings.retry_backoff_seconds,
            ),
            notifications=Notifications.create(settings, sessions),
        )

    def close(self) -> None:
        """Close the connections."""
        self.queue.close()
        self.engine.dispose()
