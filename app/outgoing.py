"""Calls to addresses that somebody else chose: over https, without redirects, and never into a private network.

Where a call may go is decided twice: by `is_herokus` from the URL's text, for what must be Heroku's; and by the client,
at the moment it connects, from the very address it connects to. A name that is looked up once for a check and once more
for the connection could answer differently the second time (DNS rebinding).

What the partner has named in a setting may lie in the partner's own network, or on this machine while developing.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore2
import httpx2
import structlog

_log = structlog.get_logger(__name__)

# Not herokuapp.com: whose app that is, Heroku's customers choose.
_HEROKUS_DOMAINS: Final = ("heroku.com", "logplex.io", "herokai.com")
_CONNECTIONS: Final = 20
# Networks whose addresses lead to an IPv4 address that is written in their last four bytes, by way of a gateway.
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


@cache
def certificates() -> ssl.SSLContext:
    """Whom calls out trust: the usual authorities, or those of SSL_CERT_FILE.

    One for all clients of a process: to read them takes 50 ms, and 2 MB.
    """
    return httpx2.create_ssl_context()


def is_herokus(url: str, *, api_url: str) -> bool:
    """Whether a URL that came in a request leads to Heroku: https at one of its domains, or where HEROKU_API_URL is.

    Args:
        url: as it came; may hold a user and a password.
        api_url: HEROKU_API_URL, whose scheme, host and port are good, too: the simulator is there.
    """
    try:
        there, api = urlsplit(url), urlsplit(api_url)
        origin = (there.scheme, there.hostname, there.port)
        is_readable = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    except ValueError:
        return False
    if not is_readable or not there.hostname:
        return False
    if origin == (api.scheme, api.hostname, api.port):
        return True
    host = there.hostname
    is_theirs = any(host == domain or host.endswith(f".{domain}") for domain in _HEROKUS_DOMAINS)
    return there.scheme == "https" and is_theirs and there.port in {None, 443}


def client(
    *, named: Iterable[str] = (), timeout: timedelta, transport: httpx2.AsyncBaseTransport | None = None
) -> httpx2.AsyncClient:
    """A client that connects to public addresses only, follows no redirect and knows no proxy of the environment.

    Where it may not go it raises `httpx2.ConnectError`, as if nobody were there.

    Args:
        named: URLs from settings, whose hosts may be private, too. What gives a machine in a cloud its secrets
            (169.254.169.254, link-local) is closed to these as well.
        timeout: for each step; bound the whole call besides.
        transport: replaces the network in tests.
    """
    hosts = frozenset(urlsplit(url).hostname or "" for url in named)
    return httpx2.AsyncClient(
        transport=transport if transport is not None else _Transport(hosts),
        timeout=timeout.total_seconds(),
        follow_redirects=False,
        trust_env=False,
    )


class _Transport(httpx2.AsyncHTTPTransport):
    """The usual one, over a network that has no private addresses."""

    def __init__(self, named: frozenset[str]) -> None:
        super().__init__(verify=certificates(), trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=certificates(),
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS,
            keepalive_expiry=5.0,
            network_backend=_PublicNetwork(named),
        )


class _PublicNetwork(httpcore2.AsyncNetworkBackend):
    def __init__(self, named: frozenset[str]) -> None:
        self._named = named
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's own signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Look the name up, once, and connect to what was found. The certificate is still held against the name."""
        try:
            async with asyncio.timeout(timeout):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError) as error:
            raise httpcore2.ConnectError(f"the name of the host cannot be looked up: {type(error).__name__}") from None
        addresses = dict.fromkeys(str(where[0]) for *_, where in found)
        allowed = [address for address in addresses if is_allowed(address, is_named=host in self._named)]
        if not allowed:
            _log.warning("did not connect to an address that is not public", host=host)
            raise httpcore2.ConnectError("the host has no public address")
        for address in allowed[:-1]:
            with suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
        return await self._network.connect_tcp(allowed[-1], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


def is_allowed(address: str, *, is_named: bool) -> bool:
    """Whether to connect to an IP address.

    Args:
        address: IPv4 or IPv6, perhaps with the name of an interface (`fe80::1%eth0`).
        is_named: its host is named in a setting.
    """
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        within = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if within is None and ip in _NAT64:
            within = ipaddress.IPv4Address(ip.packed[-4:])
        ip = within or ip
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        return False
    return is_named or ip.is_global
