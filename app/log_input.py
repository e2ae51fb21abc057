"""Writing into the log of a customer's app, at the address that Heroku gave with the provision.

https://devcenter.heroku.com/articles/writing-to-application-logs-as-a-partner. Whole syslog messages (RFC 5424), each
with its length in bytes before it. One that lacks a field, such as the structured data, is answered 2xx and never seen.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit
from uuid import UUID

import httpx2
import structlog

from app import outgoing
from app.errors import Gone, Refused, Retry, Unauthorized
from app.heroku_answers import retry_after
from app.telemetry.watch import Watch

_log = structlog.get_logger(__name__)

_TIMEOUT: Final = timedelta(seconds=5)
# Longer lines are to be split. In bytes, with what stands before the text.
_LONGEST_TEXT: Final = 9_000
_LONGEST_NAME: Final = 100
# As the lines of an app itself: local7, info.
_PRIORITY: Final = 190


@dataclass(frozen=True, slots=True)
class Written:
    """One line to be written; of what has line ends, each line becomes one."""

    at: datetime
    text: str = field(repr=False)


class LogInput:
    """Heroku's way in for log lines."""

    def __init__(
        self,
        *,
        slug: str,
        api_url: str,
        transport: httpx2.AsyncBaseTransport | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._slug = slug
        self._api_url = api_url
        self._watch = watch if watch is not None else Watch()
        self._transport = transport

    @cached_property
    def _client(self) -> httpx2.AsyncClient:
        """Made when it is wanted: see `heroku.py`."""
        return outgoing.client(named=[self._api_url], timeout=_TIMEOUT, transport=self._transport)

    async def close(self) -> None:
        """Close every connection."""
        if "_client" in vars(self):
            await self._client.aclose()

    async def write(self, uuid: UUID, name: str, url: str, lines: Sequence[Written]) -> None:
        """Write lines, in order, all or none of them.

        Args:
            uuid: of the resource.
            name: Heroku's name of the resource; readers see it before each line.
            url: the `log_input_url`; holds a secret.
            lines: what to write.

        Raises:
            Retry: 429, 5xx, or no answer in time.
            Unauthorized: the URL's token is no good any more.
            Gone: 404 or 410.
            Refused: any other answer, or the URL is not Heroku's.
        """
        if not outgoing.is_herokus(url, api_url=self._api_url):
            raise Refused("the log_input_url does not lead to Heroku")
        parts = urlsplit(url)
        frames = [_frame(uuid, name, line.at, text) for line in lines for text in _pieces(line.text)]
        if not frames:
            return
        headers = {
            "Content-Type": "application/logplex-1",
            "Logplex-Msg-Count": str(len(frames)),
            "User-Agent": f"{self._slug}/1.0",
        }
        auth = unquote(parts.username or ""), unquote(parts.password or "")
        # Without user and password, which libraries may log.
        address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
        with self._watch.heroku_call("POST", "/logs", parts.hostname or "") as call:
            try:
                async with asyncio.timeout(_TIMEOUT.total_seconds()):
                    response = await self._client.post(address, content=b"".join(frames), headers=headers, auth=auth)
            except (httpx2.RequestError, TimeoutError) as error:
                call.trouble = type(error).__name__
                raise Retry(f"writing into an app's log: {call.trouble}") from None
            call.status = status = response.status_code
        if status == 401:
            raise Unauthorized("writing into an app's log: Heroku answered 401")
        if status in {404, 410}:
            raise Gone(f"writing into an app's log: Heroku answered {status}")
        if status == 429 or status >= 500:
            raise Retry(f"writing into an app's log: Heroku answered {status}", after=retry_after(response))
        if status >= 300:
            raise Refused(f"writing into an app's log: Heroku answered {status}")


def _frame(uuid: UUID, name: str, at: datetime, text: bytes) -> bytes:
    process = re.sub(r"[^!-~]", "", name)[:_LONGEST_NAME] or "addon"
    head = f"<{_PRIORITY}>1 {at.isoformat(timespec='microseconds')} {uuid} app {process} - - "
    message = head.encode() + text
    return b"%d %s" % (len(message), message)


def _pieces(text: str) -> Iterator[bytes]:
    """Its lines, none longer than one may be; characters stay whole, and what no terminal should get is left out."""
    for line in text.splitlines():
        rest = "".join(letter if letter.isprintable() else " " for letter in line).encode("utf-8", "replace")
        while len(rest) > _LONGEST_TEXT:
            end = _LONGEST_TEXT
            while rest[end] & 0b1100_0000 == 0b1000_0000:  # inside a character
                end -= 1
            yield rest[:end]
            rest = rest[end:]
        if rest.strip():
            yield rest
