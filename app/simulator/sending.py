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
    headers: Mapping[str, str]
    body: bytes


async def send(
    client: httpx2.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes | AsyncIterator[bytes] | None,
) -> Reply:
    """Send a request. Raises AnswerTooLong besides what httpx2 raises; the client's own time-outs count."""
    async with client.stream(method, url, headers=headers, content=content) as response:
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > _MOST_ANSWER_BYTES:
                raise AnswerTooLong(f"The answer is longer than {_MOST_ANSWER_BYTES} bytes: the rest was not read.")
        return Reply(response.status_code, response.headers, bytes(body))
