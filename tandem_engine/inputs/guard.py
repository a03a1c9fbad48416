"""Which hosts an address that a user wrote may lead to: public ones, and those an operator allows.

A name says nothing about where it leads, and may lead elsewhere the next time it is asked for. So
addresses are judged, not names: `require_address` is called with the very address that is connected
to, on every connection and every redirect. Numeric hosts in a notation that only some programs
understand (`0x7f.1`, `2130706433`) are refused.

Ports are 80, 443 and those from 1024 on, where object stores and artifact servers listen; below
are mail, shells and name servers, which speak no HTTP.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from tandem_engine.errors import UriNotAllowedError

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

ANY_NETWORK: tuple[Network, ...] = (ip_network("0.0.0.0/0"), ip_network("::/0"))

_METADATA = frozenset(
    ip_address(written)
    for written in (
        "169.254.169.254",
        "169.254.170.2",  # of a container on AWS, with its credentials
        "169.254.170.23",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure; looks public
        "192.0.0.192",  # Oracle
    )
)
"""Clouds give out a machine's credentials here; no data lies there, so no operator allows them."""

_METADATA_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data"}
)
_NUMERIC_HOST = re.compile(r"(0x[0-9a-f]*|\d+)(\.(0x[0-9a-f]*|\d+))*\.?", re.IGNORECASE)
_CANONICAL_HOST = re.compile(r"(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
# Python's own tables differ between its patch releases.
_NOT_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(written)
    for written in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "2001::/23",  # Teredo and others
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})
_WEB_PORTS = frozenset({80, 443})
_FIRST_FREE_PORT = 1024


def networks_of(written: str) -> tuple[Network, ...]:
    """Return the networks of a list by commas, such as `10.0.0.0/8,fd00::/8`.

    Raises:
        ValueError: one of them is no network.
    """
    return tuple(ip_network(name.strip()) for name in written.split(",") if name.strip())


def require_url(url: str) -> None:
    """Check what an address says by itself, before anything is asked for it.

    Raises:
        UriNotAllowedError: it holds a password or control character, or names no host, a port
            that no web server has, or a service for a machine's own credentials.
    """
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise _refused("holds a space, backslash or control character", "write it percent-encoded")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused(f"is no URL: {error}", "write https://host/path") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _refused("names no host of the web", "write https://host/path")
    if "@" in parts.netloc:
        raise _refused("holds a user or password before '@'", "leave credentials out of it")
    if port is not None and port not in _WEB_PORTS and port < _FIRST_FREE_PORT:
        raise _refused(f"names port {port}", "use port 80, 443 or one from 1024 on")
    host = parts.hostname
    if _NUMERIC_HOST.fullmatch(host) and not _CANONICAL_HOST.fullmatch(host):
        raise _refused("has a number for a host", "write a name, or an address as 192.0.2.1")
    if host.rstrip(".") in _METADATA_NAMES:
        raise _private()


def require_address(written: str, allowed: Iterable[Network] = ()) -> None:
    """Check an address that is about to be connected to.

    Raises:
        UriNotAllowedError: it is not public, nor in a network of `allowed`; or it gives out a
            machine's credentials.
    """
    networks = tuple(allowed)
    for address in _reached(ip_address(written.partition("%")[0])):
        inside = any(address in network for network in networks)
        if address in _METADATA or not (_is_public(address) or inside):
            raise _private()


def _reached(address: Address) -> list[Address]:
    """Return what a packet to `address` may reach: itself, or an address that is inside of it."""
    if isinstance(address, IPv4Address):
        return [address]
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None or address in _NAT64:
        return [last]
    inside = [address.sixtofour, *(address.teredo or ())]
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        inside.append(last)
    return [address, *(one for one in inside if one is not None)]


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    special = address.is_multicast or address.is_reserved or any(address in n for n in _NOT_PUBLIC)
    return address.is_global and not special


def _private() -> UriNotAllowedError:
    # Not which address: what the names of a network lead to is nobody's business outside of it.
    return _refused(
        "leads to a private or reserved address, which is not called from here",
        "use a public host; an operator may allow a network by TANDEM_PRIVATE_NETWORKS",
    )


def _refused(what: str, hint: str) -> UriNotAllowedError:
    return UriNotAllowedError(f"the address {what}", hint=hint)
