"""Heads without end, answers that nobody reads, and crowds that say nothing; over real sockets, where they exist."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress

import pytest
from starlette.responses import PlainTextResponse
from uvicorn import Config
from uvicorn.server import ServerState

from app.web import connection
from app.web.connection import LARGEST_HEAD, LONGEST_ADDRESS, MOST_HEADERS, BoundedConnection

REQUEST = b"GET / HTTP/1.1\r\nHost: addon.test\r\n"


MUCH = 20_000_000


async def say_hello(scope, receive, send) -> None:
    await PlainTextResponse("hello")(scope, receive, send)


async def say_very_much(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(MUCH // 10_000):
        await send({"type": "http.response.body", "body": b"a" * 10_000, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def say_very_much_at_once(scope, receive, send) -> None:
    await PlainTextResponse("a" * MUCH)(scope, receive, send)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[tuple[int, ServerState]]]]:
    """Serves an application on a port of its own."""
    async with AsyncExitStack() as stack:

        async def serve(app, **settings) -> tuple[int, ServerState]:
            config, state = Config(app, log_config=None, **settings), ServerState()
            loop = asyncio.get_running_loop()
            server = await loop.create_server(lambda: BoundedConnection(config, state, {}), "127.0.0.1", 0)

            async def stop() -> None:
                for one in set(state.connections):
                    one.transport.abort()
                server.close()
                await server.wait_closed()

            stack.push_async_callback(stop)
            return server.sockets[0].getsockname()[1], state

        yield serve


@pytest.fixture
async def port(serve) -> int:
    return (await serve(say_hello))[0]


async def close(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


async def one_who_does_not_read(port: int, said: bytes) -> socket.socket:
    """A caller who has seen that an answer begins, and leaves the rest of it where it is."""
    loop = asyncio.get_running_loop()
    caller = socket.socket()
    caller.setblocking(False)
    await loop.sock_connect(caller, ("127.0.0.1", port))
    await loop.sock_sendall(caller, said)
    assert await loop.sock_recv(caller, 1) == b"H"
    return caller


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.01)


async def until_the_end(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(reader.read(), 10)


async def test_a_head_that_is_a_little_too_large_is_answered_400(port: int):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST + b"Large: ")
    writer.write(b"a" * LARGEST_HEAD)
    answer = await until_the_end(reader)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b"The request has too large a head.")
    await close(writer)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", REQUEST, b"\r\n"])
async def test_a_head_that_never_ends_is_waited_for_only_so_long(port: int, sent: bytes, monkeypatch):
    monkeypatch.setattr(connection, "_SLOWEST_HEAD_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    assert await until_the_end(reader) == b""
    await close(writer)


async def test_large_heads_one_after_the_other_are_no_large_head(port: int):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(4):
        writer.write(REQUEST + b"Large: " + b"a" * (LARGEST_HEAD // 2))
        await writer.drain()
        writer.write(b"\r\n\r\n")
        assert (await asyncio.wait_for(reader.readuntil(b"hello"), 10)).startswith(b"HTTP/1.1 200 ")
    await close(writer)


async def test_a_head_is_no_longer_waited_for_when_it_is_complete(port: int, monkeypatch):
    monkeypatch.setattr(connection, "_SLOWEST_HEAD_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST + b"\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"hello"), 10)).startswith(b"HTTP/1.1 200 ")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(), 0.2)
    writer.write(REQUEST + b"Connection: close\r\n\r\n")
    assert (await until_the_end(reader)).endswith(b"hello")
    await close(writer)


async def test_an_address_that_is_too_long_is_answered_400(port: int):
    for length, status in ((LONGEST_ADDRESS - 100, b"200"), (LONGEST_ADDRESS + 1, b"400")):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /?" + b"a" * length + b" HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert (await until_the_end(reader)).startswith(b"HTTP/1.1 " + status)
        await close(writer)


async def test_too_many_headers_are_answered_400(port: int):
    for number, status in ((MOST_HEADERS - 2, b"200"), (MOST_HEADERS + 1, b"400")):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST + b"Connection: close\r\n" + b"X: y\r\n" * number + b"\r\n")
        assert (await until_the_end(reader)).startswith(b"HTTP/1.1 " + status)
        await close(writer)


async def test_who_does_not_read_an_answer_is_cut_off(serve, monkeypatch):
    monkeypatch.setattr(connection, "_SLOWEST_READING_SECONDS", 0.05)
    port, state = await serve(say_very_much)
    with await one_who_does_not_read(port, REQUEST + b"\r\n"):
        await until(lambda: not state.connections and not state.tasks)


@pytest.mark.parametrize("ending", [b"", b"Connection: close\r\n"])
async def test_nor_is_the_end_of_an_answer_waited_for(serve, monkeypatch, ending: bytes):
    """Less than what makes the server wait before it says more: it would close, but only when all is sent."""
    monkeypatch.setattr(connection, "_SLOWEST_READING_SECONDS", 0.05)
    port, state = await serve(say_very_much_at_once, timeout_keep_alive=0)
    with await one_who_does_not_read(port, REQUEST + ending + b"\r\n"):
        await until(lambda: not state.connections)


async def test_who_reads_slowly_but_reads_gets_all_of_it(serve, monkeypatch):
    monkeypatch.setattr(connection, "_SLOWEST_READING_SECONDS", 20)
    port, _ = await serve(say_very_much)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST + b"Connection: close\r\n\r\n")
    assert len(await until_the_end(reader)) > MUCH
    await close(writer)


async def test_when_there_are_too_many_the_longest_idle_one_makes_room(serve, monkeypatch):
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 3)
    gate = asyncio.Event()

    async def wait(scope, receive, send) -> None:
        if scope["path"] == "/busy":
            await gate.wait()
        await say_hello(scope, receive, send)

    port, _ = await serve(wait)
    busy, busy_writer = await asyncio.open_connection("127.0.0.1", port)
    busy_writer.write(REQUEST.replace(b"/ ", b"/busy ") + b"\r\n")
    idle, idle_writer = await asyncio.open_connection("127.0.0.1", port)
    idle_writer.write(REQUEST + b"\r\n")
    await asyncio.wait_for(idle.readuntil(b"hello"), 10)
    silent, silent_writer = await asyncio.open_connection("127.0.0.1", port)
    newest, newest_writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(ConnectionResetError):
        assert await until_the_end(idle) == b""
    newest_writer.write(REQUEST + b"\r\n")
    await asyncio.wait_for(newest.readuntil(b"hello"), 10)
    gate.set()
    await asyncio.wait_for(busy.readuntil(b"hello"), 10)
    silent_writer.write(REQUEST + b"\r\n")
    await asyncio.wait_for(silent.readuntil(b"hello"), 10)
    for writer in (busy_writer, idle_writer, silent_writer, newest_writer):
        await close(writer)
