"""Crowds of slow and silent callers at the real web process: Heroku's requests are answered all the same."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from time import perf_counter

import httpx2
import pytest
from rig import PASSWORD, environment, provision_body

PROJECT = Path(__file__).parent.parent.parent
# Whoever had to wait for the crowd would wait 20 seconds, which is how long the server waits for a head.
LONGEST_SECONDS = 12.0

SILENT = b""
HALF_A_HEAD = b"POST /heroku/resources HTTP/1.1\r\nHost: addon.test\r\nX-Slow: "
HALF_A_BODY = b"POST /heroku/resources HTTP/1.1\r\nHost: addon.test\r\nContent-Length: 1000\r\n\r\n{"
UNREAD = b"GET /static/pages.css HTTP/1.1\r\nHost: addon.test\r\n\r\n" * 20


@pytest.fixture
def process(database_url: str, empty_server, tmp_path) -> Iterator[tuple[str, Path]]:
    """`python -m app web` as it is deployed, with databases to sell; its address, and what it says."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    ours = {name: value for name, value in os.environ.items() if name in {"LANG", "PATH", "HOME", "TMPDIR"}}
    settings = environment(database_url, port=str(port), public_url=url)
    log = tmp_path / "web.log"
    command = [sys.executable, "-m", "app", "web", "--host", "127.0.0.1"]
    with (
        log.open("wb") as file,
        subprocess.Popen(command, cwd=PROJECT, env=ours | settings, stdout=file, stderr=file) as web,
    ):
        try:
            transport = httpx2.HTTPTransport(retries=8)
            with httpx2.Client(transport=transport, timeout=30) as client:
                assert client.get(f"{url}/health/live").status_code == 200, log.read_text()
            yield url, log
        finally:
            web.terminate()
            web.wait(30)


async def close(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


async def crowd(stack: AsyncExitStack, url: str, number: int, said: bytes) -> list[asyncio.StreamReader]:
    """So many callers who say this and then nothing, until the end of `stack`."""
    readers = []
    for _ in range(number):
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx2.URL(url).port, limit=1)
        stack.push_async_callback(close, writer)
        writer.write(said)
        readers.append(reader)
    return readers


async def provision(url: str) -> tuple[int, float]:
    """Status and seconds of a provision on a connection of its own."""
    async with httpx2.AsyncClient(auth=("acme-postgres", PASSWORD), timeout=30, trust_env=False) as heroku:
        began = perf_counter()
        answer = await heroku.post(f"{url}/heroku/resources", json=provision_body())
        return answer.status_code, perf_counter() - began


async def test_hundreds_of_slow_callers_do_not_stop_a_provision(process):
    url, _ = process
    async with AsyncExitStack() as stack:
        for said in (SILENT, HALF_A_HEAD, HALF_A_BODY, UNREAD):
            await crowd(stack, url, 100, said)
            status, seconds = await provision(url)
            assert status in {200, 202}
            assert seconds < LONGEST_SECONDS


async def test_more_silent_callers_than_a_process_has_room_for_put_each_other_out(process):
    url, log = process
    async with AsyncExitStack() as stack:
        readers = await crowd(stack, url, 900, SILENT)
        status, seconds = await provision(url)
        assert status in {200, 202}
        assert seconds < LONGEST_SECONDS
        oldest = await asyncio.gather(*(reader.read() for reader in readers[:100]), return_exceptions=True)
        assert all(end == b"" or isinstance(end, ConnectionResetError) for end in oldest)
        assert not any(reader.at_eof() for reader in readers[150:])
    assert "Too many open files" not in log.read_text()


async def test_a_body_that_does_not_come_is_answered_408_and_the_connection_ended(process):
    url, _ = process
    async with AsyncExitStack() as stack:
        (reader,) = await crowd(stack, url, 1, HALF_A_BODY)
        answer = await asyncio.wait_for(reader.read(), 10)
    assert answer.startswith(b"HTTP/1.1 408 ")
