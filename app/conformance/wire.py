"""The wire to the add-on, which knows no manners: it sends what it is told, and whatever comes back is an answer."""

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from app.simulator.exchanges import Message, record_exchange
from app.simulator.records import AddOn, Exchange, Finding
from app.simulator.sending import AnswerTooLong, send
from app.simulator.verdicts import problem
from app.simulator.wire import VENDOR_TYPE
from app.simulator.world import World

MUST_ANSWER_WITHIN_SECONDS = 25
# Pages with all their pictures inside are long; what has no end must not fill the memory.
_MOST_ANSWER_BYTES = 10_000_000


@dataclass(frozen=True)
class Answer:
    """What the add-on answered. `status` is None when nothing came within the time Heroku waits."""

    status: int | None
    headers: httpx2.Headers
    content: bytes
    seconds: float
    exchange: Exchange

    @property
    def body(self) -> Any:
        """Return the parsed JSON, None for anything else."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def said(self) -> str:
        return "There was no answer." if self.status is None else f"The answer was {self.status}."


class Wire:
    """Requests to the add-on, each recorded in the world. `transport` leads to it without sockets, in tests."""

    def __init__(self, world: World, transport: httpx2.AsyncBaseTransport | None) -> None:
        self._world = world
        self._client = httpx2.AsyncClient(transport=transport, timeout=MUST_ANSWER_WITHIN_SECONDS, trust_env=False)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes, addon: AddOn | None
    ) -> Answer:
        """Send one request; `addon` is the one that it is about, in the record."""
        now = asyncio.get_running_loop().time
        at, started = self._world.now(), now()
        reply, findings = None, list[Finding]()
        try:
            async with asyncio.timeout(MUST_ANSWER_WITHIN_SECONDS):
                reply = await send(
                    self._client, method, url, headers=headers, content=content, most_bytes=_MOST_ANSWER_BYTES
                )
        except AnswerTooLong as error:
            findings.append(problem(str(error)))
        except httpx2.InvalidURL:
            findings.append(problem("The add-on gave an address, or an id for one, that no request can be sent to."))
        except (TimeoutError, httpx2.HTTPError):
            pass  # no answer is an answer here: the check decides what it means
        seconds = now() - started
        self._client.cookies.clear()  # browsers keep cookies, and each visit is a browser of its own
        exchange = record_exchange(
            self._world,
            direction="add-on",
            method=method,
            url=url,
            request=Message(headers, content),
            status=reply.status if reply is not None else None,
            answer=Message(reply.headers, reply.body) if reply is not None else None,
            at=at,
            seconds=seconds,
            findings=findings,
            addon_id=addon.id if addon else None,
        )
        if reply is None:
            return Answer(None, httpx2.Headers(), b"", seconds, exchange)
        return Answer(reply.status, reply.headers, reply.body, seconds, exchange)

    async def seconds_of(self, method: str, url: str, auth: tuple[str, str]) -> float:
        """Return how long one answer takes, without a record: for checks that need hundreds of them."""
        started = time.perf_counter()
        credentials = base64.b64encode(":".join(auth).encode()).decode()
        headers = {"Accept": VENDOR_TYPE, "Authorization": f"Basic {credentials}"}
        await send(self._client, method, url, headers=headers, content=None)
        return time.perf_counter() - started
