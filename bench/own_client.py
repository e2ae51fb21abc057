"""Sends requests as wrk does, where there is no wrk: several connections that are kept, each one request at a time."""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Final, cast

import uvloop

_PATIENCE_SECONDS: Final = 10
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Talk(asyncio.Protocol):
    """One connection.

    Attributes:
        waits: of each answer, in seconds.
        refused: how many answers were neither 2xx nor 3xx.
        ended: done when there is nothing more to send, the time is over or the connection broke.
    """

    def __init__(self, requests: Iterator[bytes], until: float) -> None:
        self.waits: list[float] = []
        self.refused = 0
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._until = until
        self._sent_at = 0.0
        self._read = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._send()

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, is_whole, body = self._read.partition(b"\r\n\r\n")
        if not is_whole:
            return
        length = _LENGTH.search(head)
        if length is not None and len(body) < int(length[1]):
            return
        self.waits.append(time.perf_counter() - self._sent_at)
        self.refused += head[9:10] not in {b"2", b"3"}
        self._read = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's own signature
        if not self.ended.done():
            self.ended.set_result(False)

    def give_up(self) -> None:
        """No answer has come, and none is waited for any more."""
        if self._transport is not None:
            self._transport.abort()
        if not self.ended.done():
            self.ended.set_result(False)

    def _send(self) -> None:
        if self._transport is None:
            return
        now = time.perf_counter()
        request = next(self._requests, None) if now < self._until else None
        if request is None:
            if not self.ended.done():
                self.ended.set_result(True)
            self._transport.close()
            return
        self._sent_at = now
        self._transport.write(request)


def send(port: int, requests: Sequence[bytes], clients: int, seconds: float, *, again: bool) -> dict[str, float]:
    """What `load.lua` says, measured from here."""
    return uvloop.run(_send(port, requests, clients, seconds, again=again))


async def _send(port: int, requests: Sequence[bytes], clients: int, seconds: float, *, again: bool) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    left = chain.from_iterable(repeat(requests)) if again else iter(requests)
    begun_at = time.perf_counter()
    talks = [
        (await loop.create_connection(lambda: Talk(left, begun_at + seconds), "127.0.0.1", port))[1]
        for _ in range(clients)
    ]
    await asyncio.wait([talk.ended for talk in talks], timeout=seconds + _PATIENCE_SECONDS)
    for talk in talks:
        if not talk.ended.done():
            talk.give_up()
    whole = [talk.ended.result() for talk in talks]
    passed = time.perf_counter() - begun_at
    waits = sorted(wait for talk in talks for wait in talk.waits) or [0.0]
    return {
        "answered": sum(len(talk.waits) for talk in talks),
        "refused": sum(talk.refused for talk in talks),
        "broken": whole.count(False),
        "seconds": passed,
        "p50_ms": waits[len(waits) // 2] * 1000,
        "p99_ms": waits[min(len(waits) * 99 // 100, len(waits) - 1)] * 1000,
    }
