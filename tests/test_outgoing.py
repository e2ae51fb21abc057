"""Where calls to addresses from outside may go."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from app import outgoing
from app.errors import Retry
from app.oidc import OpenId

API = "https://api.heroku.com"
SIMULATOR = "http://127.0.0.1:5100"
BRIEFLY = timedelta(seconds=5)


@pytest.mark.parametrize(
    "url",
    [
        "https://token:t.89abcdef@1.us.logplex.io/logs",
        "https://api.heroku.com/addons/1",
        "https://API.HEROKU.COM/addons/1",
        "https://api.heroku.com:443/addons/1",
    ],
)
def test_https_at_herokus_domains_is_herokus(url):
    assert outgoing.is_herokus(url, api_url=API)
    assert outgoing.is_herokus(url, api_url=SIMULATOR)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.heroku.com/addons/1",
        "https://api.heroku.com:8080/",
        "https://api.heroku.com.evil.example/",
        "https://evilheroku.com/",
        "https://evil.herokuapp.com/",
        "https://api.heroku.com@evil.example/",
        "https://evil.example#@api.heroku.com/",
        "https://evil.example\\@api.heroku.com/",
        "https://evil.example/\n.heroku.com",
        "https://169.254.169.254/latest/meta-data",
        "https://127.0.0.1:5100/",
        "https://[::1]/",
        "https://[broken/",
        "https://heroku.com:port/",
        "https:///addons",
        "file:///etc/passwd",
        "gopher://api.heroku.com/",
        "//api.heroku.com/",
        "https://\u24d7eroku.com/",
        "",
    ],
)
def test_nothing_else_is(url):
    assert not outgoing.is_herokus(url, api_url=API)


def test_where_the_setting_says_heroku_is_there_it_is():
    assert outgoing.is_herokus("http://token:t.1@127.0.0.1:5100/logs", api_url=SIMULATOR)
    assert not outgoing.is_herokus("http://127.0.0.1:5101/logs", api_url=SIMULATOR)
    assert not outgoing.is_herokus("http://127.0.0.1:5100/logs", api_url=API)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "::1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "2002:7f00:1::", "198.18.0.1", "240.0.0.1",
    ],
)  # fmt: skip
def test_a_private_address_is_for_hosts_that_a_setting_names(address):
    assert not outgoing.is_allowed(address, is_named=False)
    assert outgoing.is_allowed(address, is_named=True)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "fe80::1%eth0",
        "0.0.0.0", "::", "224.0.0.1",
    ],
)  # fmt: skip
def test_some_addresses_are_for_nobody(address):
    assert not outgoing.is_allowed(address, is_named=False)
    assert not outgoing.is_allowed(address, is_named=True)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "::ffff:93.184.216.34"])
def test_public_addresses_are_for_everybody(address):
    assert outgoing.is_allowed(address, is_named=False)


class Told(list):
    """What somebody was told, and how they answer."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer


@asynccontextmanager
async def receiver(answer=b"HTTP/1.1 204 No Content\r\n\r\n"):
    """Somebody who listens on loopback; its port, and what it was told."""
    told = Told(answer)

    async def listen(reader, writer):
        told.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(told.answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], told


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1", "[::ffff:127.0.0.1]"])
async def test_a_private_address_is_not_even_connected_to_however_it_is_written(host):
    async with receiver() as (port, told), outgoing.client(timeout=BRIEFLY) as client:
        with pytest.raises((httpx2.ConnectError, httpx2.InvalidURL)):
            await client.get(f"http://{host}:{port}/")
    assert told == []


async def test_a_name_that_a_setting_names_may_lead_to_this_machine():
    async with receiver() as (port, told):
        url = f"http://localhost:{port}/"
        async with outgoing.client(named=[url], timeout=BRIEFLY) as client:
            assert (await client.get(url)).status_code == 204
    assert told[0].startswith(b"GET / HTTP/1.1\r\nHost: localhost:")


def connections_nobody_answers(monkeypatch, getaddrinfo) -> list[str]:
    """Look names up by `getaddrinfo`; the addresses that are then connected to, in vain."""
    connected: list[str] = []

    async def connect(self, host, *_):
        connected.append(host)
        raise outgoing.httpcore2.ConnectError("nobody is there")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(outgoing.httpcore2.AnyIOBackend, "connect_tcp", connect)
    return connected


async def test_what_is_looked_up_is_what_is_connected_to(monkeypatch):
    """A name that is public at first and private a moment later: it is asked once for each connection."""
    asked = []

    async def getaddrinfo(self, host, port, **_):
        asked.append(host)
        address = "127.0.0.1" if len(asked) > 1 else "93.184.216.34"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    connected = connections_nobody_answers(monkeypatch, getaddrinfo)
    async with outgoing.client(timeout=BRIEFLY) as client:
        for _ in range(2):
            with pytest.raises(httpx2.ConnectError):
                await client.get("https://rebinding.example/")
    assert asked == ["rebinding.example"] * 2
    assert connected == ["93.184.216.34"]


async def test_of_several_addresses_only_public_ones_are_tried(monkeypatch):
    async def getaddrinfo(self, host, port, **_):
        addresses = ("10.0.0.1", "93.184.216.34", "127.0.0.1", "93.184.216.35")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    connected = connections_nobody_answers(monkeypatch, getaddrinfo)
    async with outgoing.client(timeout=BRIEFLY) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get("https://many.example/")
    assert connected == ["93.184.216.34", "93.184.216.35"]


async def test_a_redirect_is_not_followed():
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    async with receiver(answer) as (port, told):
        url = f"http://127.0.0.1:{port}/"
        async with outgoing.client(named=[url], timeout=BRIEFLY) as client:
            assert (await client.get(url)).status_code == 302
    assert len(told) == 1


async def test_a_proxy_of_the_environment_cannot_be_asked_to_go_there_instead(monkeypatch):
    async with receiver() as (port, told):
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        async with outgoing.client(timeout=BRIEFLY) as client:
            with pytest.raises(httpx2.ConnectError):
                await client.get("http://10.0.0.1/")
    assert told == []


def json_answer(facts):
    body = json.dumps(facts).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def test_an_openid_provider_cannot_send_us_to_machines_that_only_we_can_reach():
    async with receiver(json_answer({"keys": []})) as (inner_port, told_inside):
        where = f"http://127.0.0.1:{inner_port}"  # the issuer is named as `localhost`: this is another host
        endpoints = dict.fromkeys(("authorization_endpoint", "token_endpoint", "jwks_uri"), f"{where}/admin")
        answer = {"issuer": ""} | endpoints
        async with receiver() as (port, told):
            issuer = f"http://localhost:{port}"
            provider = OpenId(
                issuer=issuer,
                client_id="panel",
                client_secret="of the panel",
                redirect_uri="http://addon.test/",
                clock=lambda: datetime.now(UTC),
            )
            told.answer = json_answer(answer | {"issuer": issuer})
            with pytest.raises(Retry, match="ConnectError"):
                await provider.identify(code="1", verifier="2", nonce="3", issuer=None)
            await provider.close()
    assert len(told) == 1
    assert told_inside == []
