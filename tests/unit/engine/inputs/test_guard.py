"""Which addresses are called over HTTP: by notation, by what names lead to, at connecting."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embedded.setup import environment
from service.settings import Settings
from tandem_engine.cli import _parser
from tandem_engine.contracts.uris import SCHEMES, parse_uri
from tandem_engine.errors import (
    UriNotAllowedError,
)
from tandem_engine.inputs.access import Access
from tandem_engine.inputs.guard import (
    ANY_NETWORK,
    networks_of,
    require_address,
    require_url,
)
from tandem_engine.inputs.web import GuardedClient
from worker.runner import _options


def _answers(*answers: list[str]) -> Callable[..., list[tuple[Any, ...]]]:
    """Return a name server that gives one answer after the other, and the last one again."""
    left = list(answers)

    def resolve(_host: object, port: int, *_: object, **__: object) -> list[tuple[Any, ...]]:
        found = left.pop(0) if len(left) > 1 else left[0]
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in found
        ]

    return resolve


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.1.1",
        "169.254.169.254",
        "168.63.129.16",
        "100.64.0.1",
        "100.127.255.255",
        "100.100.100.200",
        "0.0.0.0",  # noqa: S104 - nothing is bound
        "0.1.2.3",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "192.88.99.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:a00:1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "2001:0:a9fe:a9fe::1",
        "2001:db8::1",
        "2a00::5efe:10.0.0.1",
        "3fff::1",
        "5f00::1",
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(UriNotAllowedError, match="private or reserved") as caught:
        require_address(address)
    assert "TANDEM_PRIVATE_NETWORKS" in caught.value.hint
    assert address not in caught.value.message


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"]
)
def test_a_public_address_is_called(address: str) -> None:
    require_address(address)


def test_an_operator_allows_networks_but_never_what_gives_out_credentials() -> None:
    allowed = networks_of(" 10.0.0.0/8, fd00::/8 ,")
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::1"):
        require_address(address, allowed)
    for address in ("192.168.0.1", "127.0.0.1", "fd00:ec2::254"):
        with pytest.raises(UriNotAllowedError):
            require_address(address, allowed)
    require_address("127.0.0.1", ANY_NETWORK)
    require_address("::1", ANY_NETWORK)
    for address in ("169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254"):
        with pytest.raises(UriNotAllowedError):
            require_address(address, ANY_NETWORK)
    with pytest.raises(ValueError, match="host bits"):
        networks_of("10.0.0.1/8")


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",  # 127.0.0.1 as one number
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.1",
        "0",
        "2852039166",  # 169.254.169.254
        "0xa9fea9fe",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:169.254.169.254]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "localhost",
    ],
)
def test_a_host_is_what_the_resolver_makes_of_it(host: str) -> None:
    with pytest.raises(UriNotAllowedError):
        require_url(f"http://{host}/a.jsonl")
        for *_, place in socket.getaddrinfo(host.strip("[]"), 80, type=socket.SOCK_STREAM):
            require_address(str(place[0]))


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("https://user@host/a", "user or password"),
        ("https://user:secret@host/a", "user or password"),
        ("https://:@host/a", "user or password"),
        ("https://good.example@127.0.0.1/a", "user or password"),
        ("https://host\r\nX-Header: 1/a", "control character"),
        ("https://host/a b", "space"),
        ("https://host\\@evil/a", "backslash"),
        ("https://host:22/a", "port 22"),
        ("https://host:0/a", "port 0"),
        ("https://host:65536/a", "no URL"),
        ("https://host:x/a", "no URL"),
        ("https:///a", "names no host"),
        ("ftp://host/a", "names no host"),
        ("file:///etc/passwd", "names no host"),
        ("http://[::1/a", "no URL"),
        ("http://metadata.google.internal/a", "private or reserved"),
        ("http://METADATA.google.internal./a", "private or reserved"),
    ],
)
def test_an_address_is_refused_for_what_it_says(url: str, what: str) -> None:
    with pytest.raises(UriNotAllowedError, match=what) as caught:
        require_url(url)
    assert caught.value.hint
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("port", ["", ":80", ":443", ":1024", ":8443", ":9000"])
def test_ports_of_web_servers_are_called(port: str) -> None:
    require_url(f"https://data.example{port}/a.jsonl?x=1#y")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000/",
        "http://[::1]:9000/",
        "http://[::ffff:127.0.0.1]:9000/",
        "http://rebind.example:9000/",
    ],
)
def test_the_client_judges_the_address_that_it_connects_to(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _answers(["127.0.0.1"]))

    def never(*_: object, **__: object) -> None:
        pytest.fail("a socket was made")

    async def call() -> None:
        async with await GuardedClient(frozenset(SCHEMES), ())() as session:
            monkeypatch.setattr("tandem_engine.inputs.web.socket.socket", never)
            await session.get(url)

    real = socket.socket
    try:
        with pytest.raises(UriNotAllowedError, match="private or reserved"):
            asyncio.run(call())
    finally:
        monkeypatch.setattr("tandem_engine.inputs.web.socket.socket", real)


@pytest.mark.parametrize(
    "uri",
    [
        "simplecache::file:///etc/hostname",
        "s3://bucket/a::file:///etc/hostname",
        "https://host/a.zip::http://127.0.0.1/",
        "memory://a/b",
        "data://a/b",
        "local:///etc/hostname",
        "github://o:r@main/a",
        "reference://a/b",
        "s3://key:secret@bucket/a",
        "http://user:secret@host/a",
        "s3://bucket/../other/a",
        "http://host/a\nb",
    ],
)
def test_no_uri_chains_addresses_or_carries_credentials(uri: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_uri(uri)
    assert "\n" not in str(caught.value)


def test_the_host_of_a_uri_may_be_an_ipv6_address() -> None:
    location = parse_uri("https://[2606:4700::1111]:8443/a.jsonl")
    Access().require(location)
    assert location.uri == "https://[2606:4700::1111]:8443/a.jsonl"


def test_an_operator_says_once_which_networks_engine_and_service_may_call(tmp_path: Path) -> None:
    def settings(**given: str) -> Settings:
        base = {"database_url": "postgresql://d", "redis_url": "redis://r", "data_dir": tmp_path}
        return Settings.model_validate(base | given)

    assert settings().access.private_networks == ()
    with pytest.raises(ValueError, match="private_networks"):
        settings(private_networks="everything")
    for written in ("", "10.0.0.0/8, fd00::/8"):
        given = settings(private_networks=written)
        command = ["run", "--spec", "s", "--out", "o", *_options(given)]
        assert _parser().parse_args(command).private_networks == given.access.private_networks
    alone = _parser().parse_args(["run", "--spec", "s", "--out", "o"])
    assert alone.private_networks == ANY_NETWORK


def test_on_a_machine_of_ones_own_every_network_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TANDEM_PRIVATE_NETWORKS", raising=False)
    written = environment(tmp_path, "d", "r")["TANDEM_PRIVATE_NETWORKS"]
    assert networks_of(written) == ANY_NETWORK
    monkeypatch.setenv("TANDEM_PRIVATE_NETWORKS", "10.0.0.0/8")
    assert environment(tmp_path, "d", "r")["TANDEM_PRIVATE_NETWORKS"] == "10.0.0.0/8"
