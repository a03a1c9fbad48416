"""A receiver of events on this machine: real HTTP, remembers what came, can fail and be slow."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from service.db.base import Json


@dataclass
class Received:
    """What a receiver was sent, and how it answers."""

    documents: list[Json] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    """Of the next answers; after them 200. Only what is answered with 200 counts as taken."""
    taken: list[Json] = field(default_factory=list)
    before_answer: Callable[[], object] = lambda: None
    location: str = "/elsewhere"


@contextmanager
def receiver_at(received: Received, port: int = 0) -> Iterator[str]:
    """Serve until the end of the block; gives the URL. `port` brings one back at its old place."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            document: Any = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.documents.append(document)
            received.headers.append(dict(self.headers))
            received.before_answer()
            status = received.statuses.pop(0) if received.statuses else 200
            if status == 200:
                received.taken.append(document)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", received.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            del args

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/events"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
