"""The wake-up call to workers: a task by name with a job's id, nothing else.

Losing a message costs time, never a job: the jobs table is the truth and the reconciler sends
again. So sending is tried once, with short timeouts, and there is no result backend.
"""

from celery import Celery
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

RUN_JOB = "tandem.run_job"
"""Name of the one task; its one argument is the job's id."""

QUEUE = "tandem.jobs"

_CONNECT_SECONDS = 1.0
_SOCKET_SECONDS = 2.0
# Once more and at once: a pooled connection may be one that a restart of Redis cut.
_RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0}


class QueueUnavailableError(Exception):
    """The message was not sent; the reconciler will."""


class TaskQueue:
    """Sends messages; safe to use from several threads."""

    def __init__(self, redis_url: str) -> None:
        """Prepare the client; it connects with the first message."""
        self._app = Celery("tandem-service", broker=redis_url, set_as_current=False)
        self._app.conf.update(
            task_serializer="json",
            accept_content=["json"],
            task_ignore_result=True,
            task_default_queue=QUEUE,
            broker_connection_timeout=_CONNECT_SECONDS,
            broker_pool_acquire_timeout=_SOCKET_SECONDS,
            broker_transport_options={
                "socket_connect_timeout": _CONNECT_SECONDS,
                "socket_timeout": _SOCKET_SECONDS,
                "retry_on_timeout": False,
                # Kombu would sleep for two seconds and connect again.
                "max_retries": 0,
            },
        )

    def send(self, job_id: str) -> None:
        """Announce a queued job.

        Raises:
            QueueUnavailableError: Redis does not answer.
        """
        try:
            self._app.send_task(
                RUN_JOB,
                args=[job_id],
                queue=QUEUE,
                ignore_result=True,
                retry=True,
                retry_policy=_RETRY,
            )
        except (KombuError, RedisError, OSError) as error:
            raise QueueUnavailableError(str(error)) from error

    def close(self) -> None:
        """Close the connections."""
        self._app.close()
