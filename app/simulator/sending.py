"""Requests to somebody else's server, of whose answers no more is read than a simulator can hold."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx2

from .faults import Fault

_MOST_ANSWER_BYTES = 1_000_000


class AnswerTooLong(httpx2.HTTPError):
    """The answer goes on for too long; the message says how long it may be."""


@dataclass(frozen=True)
class Reply:
    """An answer, read to its end; `body` is no longer compressed."""

    status: int
    headers: httpx2.Headers
    body: bytes


@dataclass(frozen=True)
class Sent:
    """What came of a request: the reply or the error. An error is TimeoutError when it was too late for a reply."""

    reply: Reply | None
    error: Exception | None
    seconds: float


class Sender:
    """Sends to one kind of server, by a client that the first request opens; close with `aclose`."""

    def __init__(
        self, *, transport: httpx2.AsyncBaseTransport | None, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._transport = transport
        self.sleep = sleep
        self._client: httpx2.AsyncClient | None = None

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | AsyncIterator[bytes] | None,
        within_seconds: float,
        connects_within_seconds: float | None = None,
        fault: Fault | None = None,
    ) -> Sent:
        """Send a request, and wait longer for its end when the fault is `slow`. Raises nothing for what others do."""
        if self._client is None:
            no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))  # browsers keep them, Heroku does not
            self._client = httpx2.AsyncClient(transport=self._transport, trust_env=False, cookies=no_cookies)
        limits = httpx2.Timeout(within_seconds, connect=connects_within_seconds or within_seconds)
        reply: Reply | None = None
        trouble: Exception | None = None
        started = time.perf_counter()
        try:
            async with asyncio.timeout(within_seconds):
                reply = await send(self._client, method, url, headers=headers, content=content, limits=limits)
        except (TimeoutError, httpx2.TimeoutException):
            trouble = TimeoutError()
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            trouble = error
        seconds = time.perf_counter() - started
        if fault is not None and fault.kind == "slow":
            await self.sleep(fault.seconds)
            seconds += fault.seconds
        return Sent(reply, trouble, seconds)


async def send(
    client: httpx2.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes | AsyncIterator[bytes] | None,
    limits: httpx2.Timeout | None = None,
    most_bytes: int = _MOST_ANSWER_BYTES,
) -> Reply:
    """Send a request, within the client's own time-outs unless there are `limits`.

    Raises AnswerTooLong besides what httpx2 raises.
    """
    timeout = limits or client.timeout
    async with client.stream(method, url, headers=headers, content=content, timeout=timeout) as response:
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > most_bytes:
                raise AnswerTooLong(f"The answer is longer than {most_bytes} bytes: the rest was not read.")
        return Reply(response.status_code, response.headers, bytes(body))
