"""What waits in the real queue."""

import json
from typing import Any

from redis import Redis

from service.settings import Settings
from service.task_queue import QUEUE


def messages(settings: Settings) -> list[dict[str, Any]]:
    """Return the messages, the newest first."""
    client = Redis.from_url(settings.redis_url)
    try:
        found = client.lrange(QUEUE, 0, -1)
        return [json.loads(message) for message in found]  # type: ignore[union-attr]
    finally:
        client.close()
