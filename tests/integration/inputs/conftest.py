"""A real S3-protocol server and a real HTTP server with ranges, on loopback."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import fsspec
import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

KEY = "test"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """A new bucket `corpora`, and an environment whose credentials open it."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3 = boto3.resource("s3")
    made = s3.create_bucket(Bucket="corpora")
    yield made
    made.objects.all().delete()
    made.delete()
    fsspec.filesystem("s3").clear_instance_cache()


class _Ranges(BaseHTTPRequestHandler):
    """Serves `server.folder`; knows single ranges, ETags, and how to break off."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        server = self.server
        assert isinstance(server, RangeServer)
        name = self.path.lstrip("/")
        path = server.folder / name
        wanted = self.headers.get("Range")
        server.requests.append((name, wanted))
        if (target := server.redirects.get(name)) and (wanted or name not in server.late):
            self.send_response(302)
            self.send_header("Location", target)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = path.read_bytes()
        begin, end = 0, len(content)
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            begin, end = int(first), min(end, int(last) + 1 if last else end)
        self.send_response(206 if wanted else 200)
        self.send_header("Accept-Ranges", "bytes")
        is_flood = bool(wanted) and name in server.floods
        self.send_header("Content-Length", str((end - begin) * (1000 if is_flood else 1)))
        self.send_header("ETag", f'"{hash(content)}"')
        if wanted:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(content)}")
        self.end_headers()
        if body:
            part = content[begin:end]
            with suppress(OSError):  # who does not want more hangs up
                for _ in range(1000 if is_flood else 0):
                    self.wfile.write(part)
            if is_flood:
                return
            if name in server.broken:
                part = part[: len(part) // 2]
                self.close_connection = True
            self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        pass


class RangeServer(ThreadingHTTPServer):
    """An HTTP server of one folder; files in `broken` end in the middle."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), _Ranges)
        self.folder = folder
        self.broken: set[str] = set()
        self.redirects: dict[str, str] = {}
        self.late: set[str] = set()
        """Redirects that only requests of a part are given."""
        self.floods: set[str] = set()
        """Files of which more is sent than was asked for."""
        self.requests: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]}:{self.server_address[1]}"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[RangeServer]:
    yield from _served(tmp_path / "web", "127.0.0.1")


@pytest.fixture
def inner(tmp_path: Path) -> Iterator[RangeServer]:
    """A server in a network that no operator allows."""
    yield from _served(tmp_path / "inner", "127.0.0.2")


def _served(folder: Path, host: str) -> Iterator[RangeServer]:
    folder.mkdir()
    server = RangeServer(folder, host)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    fsspec.filesystem("http").clear_instance_cache()
