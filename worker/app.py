"""The Celery application: `celery -A worker.app worker -c 1`.

The database decides who runs a job; a message only wakes a worker up. So messages are
acknowledged at once, nothing is prefetched, and no results are kept.
"""

from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_init, worker_shutting_down

from service.logging_setup import configure_logging
from service.settings import read_settings
from service.task_queue import QUEUE
from worker.drain import DRAIN


def _configuration() -> dict[str, Any]:
    return {
        "broker_url": read_settings().redis_url,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "accept_content": ["json"],
        "task_serializer": "json",
        "task_ignore_result": True,
        "result_backend": None,
        "task_acks_late": False,
        "task_default_queue": QUEUE,
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": False,
    }


app = Celery("tandem", include=["worker.tasks"])
app.add_defaults(_configuration)  # called when the worker starts, not at import


@worker_init.connect
def _share_drain_flag(**_: object) -> None:
    DRAIN.share()


@worker_shutting_down.connect
def _drain(**_: object) -> None:
    DRAIN.set()


@setup_logging.connect
def _log_as_we_do(**_: object) -> None:
    configure_logging(read_settings().log_level)
