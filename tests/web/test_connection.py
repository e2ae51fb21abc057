"""Heads without end, and heads that never end; over real sockets, because only there they exist."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.responses import PlainTextResponse
from uvicorn import Config
from uvicorn.server import ServerState

from app.web import connection
from app.web.connection import LARGEST_HEAD, BoundedConnection

REQUEST = b"GET / HTTP/1.1\r\nHost: addon.test\r\n"


async def say_hello(scope, receive, send) -> None:
    await PlainTextResponse("hello")(scope, receive, send)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config, state = Config(say_hello, log_config=None), ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: BoundedConnection(config, state, {}), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    for one in set(state.connections):
        one.shutdown()
    server.close()
    await server.wait_closed()


async def until_the_end(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(reader.read(), 10)


async def test_a_head_that_is_a_little_too_large_is_answered_400(port: int):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST + b"Large: ")
    writer.write(b"a" * LARGEST_HEAD)
    answer = await until_the_end(reader)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b"The request has too large a head.")
    writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", REQUEST, b"\r\n"])
async def test_a_head_that_never_ends_is_waited_for_only_so_long(port: int, sent: bytes, monkeypatch):
    monkeypatch.setattr(connection, "_SLOWEST_HEAD_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    assert await until_the_end(reader) == b""
    writer.close()


async def test_large_heads_one_after_the_other_are_no_large_head(port: int):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(4):
        writer.write(REQUEST + b"Large: " + b"a" * (LARGEST_HEAD // 2))
        await writer.drain()
        writer.write(b"\r\n\r\n")
        assert (await asyncio.wait_for(reader.readuntil(b"hello"), 10)).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_a_head_is_no_longer_waited_for_when_it_is_complete(port: int, monkeypatch):
    monkeypatch.setattr(connection, "_SLOWEST_HEAD_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST + b"\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"hello"), 10)).startswith(b"HTTP/1.1 200 ")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(), 0.2)
    writer.write(REQUEST + b"Connection: close\r\n\r\n")
    assert (await until_the_end(reader)).endswith(b"hello")
    writer.close()
