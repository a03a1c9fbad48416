"""Servers that lead astray: where they may not, nothing is asked; each is one clear error."""

import json
import socket
from typing import Any

import pytest
from integration.inputs.conftest import RangeServer

from tandem_engine.contracts.domains import DomainSpec
from tandem_engine.data.fingerprints import inspect_file
from tandem_engine.errors import (
    DatasetUnavailableError,
    DatasetUnreadableError,
    TandemError,
    UriNotAllowedError,
)
from tandem_engine.inputs.access import EVERYWHERE, Access
from tandem_engine.inputs.documents import iterate_documents
from tandem_engine.inputs.guard import networks_of
from tandem_engine.inputs.listing import source_files

TEXTS = [f"text {number}" for number in range(50)]
LINES = b"".join(json.dumps({"text": text}).encode() + b"\n" for text in TEXTS)
ONE_HOST = Access(private_networks=networks_of("127.0.0.1/32"))


def _domain(uri: str) -> DomainSpec:
    return DomainSpec(name="d", uris=[uri])


def _read(uri: str, access: Access = ONE_HOST) -> list[str]:
    return [one.text for one in iterate_documents(_domain(uri), access)]


def _refused(kind: type[TandemError], uri: str, access: Access = ONE_HOST) -> str:
    with pytest.raises(kind) as caught:
        _read(uri, access)
    assert type(caught.value) is kind
    assert (caught.value.field, caught.value.value) == ("domains.d.uris", uri)
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_a_private_host_is_not_called_unless_an_operator_allows_it(
    web: RangeServer, host: str
) -> None:
    (web.folder / "a.jsonl").write_bytes(LINES)
    uri = f"http://{host}:{web.server_address[1]}/a.jsonl"
    assert "private or reserved" in _refused(UriNotAllowedError, uri, Access())
    assert web.requests == []
    assert _read(uri, Access(private_networks=networks_of("127.0.0.0/8,::1/128"))) == TEXTS


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1."])
def test_unusual_numbers_are_no_way_around(web: RangeServer, host: str) -> None:
    uri = f"http://{host}:{web.server_address[1]}/a.jsonl"
    assert "number for a host" in _refused(UriNotAllowedError, uri, EVERYWHERE)
    assert web.requests == []


def test_a_redirect_is_followed_where_it_may_lead(web: RangeServer) -> None:
    (web.folder / "b.jsonl").write_bytes(LINES)
    web.redirects["a.jsonl"] = f"{web.url}/b.jsonl"
    assert _read(f"{web.url}/a.jsonl") == TEXTS


@pytest.mark.parametrize("late", [False, True])
def test_a_redirect_into_a_private_network_is_refused_before_it_is_called(
    web: RangeServer, inner: RangeServer, *, late: bool
) -> None:
    for server in (web, inner):
        (server.folder / "a.jsonl").write_bytes(LINES)
    web.redirects["a.jsonl"] = f"{inner.url}/a.jsonl"
    if late:
        web.late.add("a.jsonl")
    assert "private or reserved" in _refused(UriNotAllowedError, f"{web.url}/a.jsonl")
    assert inner.requests == []
    assert _read(f"{web.url}/a.jsonl", EVERYWHERE) == TEXTS


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/a.jsonl",
        "http://[fd00:ec2::254]/a.jsonl",
        "http://metadata.google.internal/a.jsonl",
        "http://0x7f000001/a.jsonl",
        "http://127.0.0.1:22/a.jsonl",
    ],
)
def test_a_redirect_to_credentials_or_odd_ports_is_refused_to_everyone(
    web: RangeServer, target: str
) -> None:
    web.redirects["a.jsonl"] = target
    _refused(UriNotAllowedError, f"{web.url}/a.jsonl", EVERYWHERE)


def test_a_redirect_to_a_scheme_that_is_switched_off_is_refused(web: RangeServer) -> None:
    web.redirects["a.jsonl"] = "https://data.example/a.jsonl"
    access = Access(schemes=frozenset({"http"}), private_networks=ONE_HOST.private_networks)
    assert "https, which is switched off" in _refused(
        UriNotAllowedError, f"{web.url}/a.jsonl", access
    )


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://127.0.0.1/x", "http://"])
def test_a_redirect_to_no_web_address_is_a_lasting_error(web: RangeServer, target: str) -> None:
    web.redirects["a.jsonl"] = target
    _refused(DatasetUnreadableError, f"{web.url}/a.jsonl")


def test_redirects_without_end_are_a_lasting_error(web: RangeServer) -> None:
    web.redirects["a.jsonl"] = f"{web.url}/a.jsonl"
    _refused(DatasetUnreadableError, f"{web.url}/a.jsonl")
    assert len(web.requests) < 30


def test_a_name_that_leads_elsewhere_later_is_judged_again(
    web: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = web.server_address[1]
    real = socket.getaddrinfo
    asked: list[str] = []

    def rebind(host: Any, *rest: Any, **named: Any) -> Any:
        if host not in {"rebind.example", b"rebind.example"}:
            return real(host, *rest, **named)
        asked.append(host)
        leads_to = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (leads_to, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebind)
    # What a client remembers of names must not be what holds.
    monkeypatch.setattr("aiohttp.connector._DNSCacheTable.expired", lambda *_: True)
    web.redirects["a.jsonl"] = f"http://rebind.example:{port}/b.jsonl"
    web.redirects["b.jsonl"] = f"http://REBIND.example:{port}/a.jsonl"
    # No connection is kept, so each request makes one.
    monkeypatch.setattr(web.RequestHandlerClass, "protocol_version", "HTTP/1.0")
    assert "private or reserved" in _refused(UriNotAllowedError, f"{web.url}/a.jsonl")
    assert len(asked) > 1


def test_a_server_that_sends_more_than_was_asked_for_is_not_listened_to(web: RangeServer) -> None:
    (web.folder / "a.jsonl").write_bytes(LINES * 1000)
    web.floods.add("a.jsonl")
    assert "more than was asked for" in _refused(DatasetUnavailableError, f"{web.url}/a.jsonl")


def test_a_server_that_is_not_there_is_a_passing_trouble_and_no_missing_file() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        message = _refused(DatasetUnavailableError, f"http://127.0.0.1:{port}/a.jsonl")
    assert "cannot be reached" in message


def test_what_changes_after_a_job_was_checked_is_guarded_too(
    web: RangeServer, inner: RangeServer
) -> None:
    (web.folder / "a.jsonl").write_bytes(LINES)
    (file,) = source_files(_domain(f"{web.url}/a.jsonl"), ONE_HOST)
    web.redirects["a.jsonl"] = f"{inner.url}/a.jsonl"
    with pytest.raises(UriNotAllowedError) as caught:
        inspect_file(file)
    assert caught.value.field == "domains.d.uris"
    assert inner.requests == []
