"""One request to somebody else's server, of whose answer no more is read than a simulator can hold."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import httpx2

_MOST_ANSWER_BYTES = 1_000_000


class AnswerTooLong(httpx2.HTTPError):
    """The answer goes on for too long; the message says how long it may be."""


@dataclass(frozen=True)
class Reply:
    """An answer, read to its end; `body` is no longer compressed."""

    status: int
    headers: httpx2.Headers
    body: bytes


async def send(
    client: httpx2.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes | AsyncIterator[bytes] | None,
    most_bytes: int = _MOST_ANSWER_BYTES,
) -> Reply:
    """Send a request. Raises AnswerTooLong besides what httpx2 raises; the client's own time-outs count."""
    async with client.stream(method, url, headers=headers, content=content) as response:
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > most_bytes:
                raise AnswerTooLong(f"The answer is longer than {most_bytes} bytes: the rest was not read.")
        return Reply(response.status_code, response.headers, bytes(body))
