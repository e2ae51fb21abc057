"""Whether anything answers where the add-on should be, and how long that took; it is asked what changes nothing."""

import asyncio
from dataclasses import dataclass

import httpx2

_ASKS_EVERY_SECONDS = 0.25
_ANSWERS_WITHIN_SECONDS = 5


@dataclass(frozen=True)
class Silence:
    """For how long nothing answered; `error` names what came instead. `has_ended` says that something answered then."""

    seconds: float
    error: str
    has_ended: bool


async def silence_at(url: str, *, within: float, transport: httpx2.AsyncBaseTransport | None = None) -> Silence | None:
    """Ask until anything answers at the URL, whatever it says, or `within` seconds are over; at least once.

    None when the first request is answered. `transport` leads to the add-on without sockets, in tests.
    """
    now = asyncio.get_running_loop().time
    started, silence = now(), None
    async with httpx2.AsyncClient(transport=transport, trust_env=False, timeout=_ANSWERS_WITHIN_SECONDS) as client:
        while True:
            error = await _error_at(client, url)
            seconds = now() - started
            if error is None:
                return silence and Silence(seconds, silence.error, has_ended=True)
            silence = Silence(seconds, error, has_ended=False)
            if seconds >= within:
                return silence
            await asyncio.sleep(_ASKS_EVERY_SECONDS)


async def _error_at(client: httpx2.AsyncClient, url: str) -> str | None:
    """Return what went wrong, None when there was an answer; its body is not read, since it may have no end."""
    try:
        async with asyncio.timeout(_ANSWERS_WITHIN_SECONDS), client.stream("GET", url):
            return None
    except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL) as error:
        return type(error).__name__
