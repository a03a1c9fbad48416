"""The HTTP client that reads data: each hop's URL and each connection's address are checked.

aiohttp calls `_judge` once per hop of a redirect, and `_socket` with the address that it is about
to connect to: between that check and the connection nothing is resolved again.
"""

import re
import socket
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.client_middlewares import ClientHandlerType

from tandem_engine.contracts.uris import Scheme
from tandem_engine.errors import UriNotAllowedError
from tandem_engine.inputs.guard import Network, require_address, require_url

_MOST_BYTES = 1 << 27
_SERVER_ERROR = 500
_PASSING = frozenset({408, 421, 425, 429})


def is_lasting(error: Exception) -> bool:
    """Tell if trying again would not help: the server refuses, or sends where no data is."""
    if isinstance(error, aiohttp.ClientResponseError):
        return error.status < _SERVER_ERROR and error.status not in _PASSING
    return isinstance(error, aiohttp.NonHttpUrlClientError | ValueError)


class _BoundedResponse(aiohttp.ClientResponse):
    """A response that is not read beyond what was asked for, whatever the server sends."""

    async def read(self) -> bytes:
        """Return the body.

        Raises:
            aiohttp.ClientPayloadError: it is longer than the range that was asked for.
        """
        wanted = re.fullmatch(
            r"bytes=(\d+)-(\d+)", self.request_info.headers.get("Range", "bytes=0-")
        )
        most = int(wanted[2]) - int(wanted[1]) + 1 if wanted else _MOST_BYTES
        parts: list[bytes] = []
        size = 0
        async for part in self.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > most:
                self.close()
                raise aiohttp.ClientPayloadError("the server sends more than was asked for")
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class GuardedClient:
    """Makes the client; equal ones share connections, so a connection keeps to its limits."""

    schemes: frozenset[Scheme]
    networks: tuple[Network, ...]

    def __repr__(self) -> str:
        # fsspec tells clients apart by this: sets have no order of their own.
        return f"GuardedClient({sorted(self.schemes)}, {[str(one) for one in self.networks]})"

    async def __call__(self, **settings: Any) -> aiohttp.ClientSession:
        """Return a new client."""
        return aiohttp.ClientSession(
            # One address after the other: the first that is refused ends the request.
            connector=aiohttp.TCPConnector(socket_factory=self._socket, happy_eyeballs_delay=None),
            middlewares=(self._judge,),
            response_class=_BoundedResponse,
            cookie_jar=aiohttp.DummyCookieJar(),  # jobs of several users share the client
            # Files are read as they are stored; what is compressed, the format's reader undoes.
            auto_decompress=False,
            headers={"Accept-Encoding": "identity"},
            trust_env=False,
            **settings,
        )

    async def _judge(
        self, request: aiohttp.ClientRequest, send: ClientHandlerType
    ) -> aiohttp.ClientResponse:
        try:
            require_url(str(request.url))
            self._require_scheme(request.url.scheme)
            return await send(request)
        except UriNotAllowedError as error:
            shown = request.url.origin()
            raise UriNotAllowedError(f"{shown}: {error.message}", hint=error.hint) from error

    def _require_scheme(self, scheme: str) -> None:
        if scheme not in self.schemes:
            raise UriNotAllowedError(
                f"the address leads to {scheme}, which is switched off here",
                hint="add it to TANDEM_URI_SCHEMES",
            )

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, place = info
        require_address(str(place[0]), self.networks)
        return socket.socket(family=family, type=kind, proto=protocol)
