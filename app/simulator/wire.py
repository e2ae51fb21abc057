"""One HTTP call to the add-on: its headers, its time-out, the trouble ordered for it, and its record."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2

from . import plain_json
from .exchanges import Message, record_exchange
from .faults import Fault, Faults
from .records import AddOn, Exchange, Finding
from .sending import AnswerTooLong, Sender
from .troubles import remove_meanwhile
from .verdicts import GIVES_UP_AFTER_SECONDS, note, on_hold, on_repeat, on_status, on_time, problem
from .world import World

VENDOR_TYPE = "application/vnd.heroku-addons+json; version=3"


@dataclass(frozen=True)
class Answer:
    """What Heroku saw of the add-on's answer. `status` is None when nothing arrived; `body` is parsed JSON or None."""

    status: int | None
    body: Any
    exchange: Exchange

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Wire:
    """The add-on's end of the line. Use `send`; close with `aclose`."""

    def __init__(self, world: World, faults: Faults, sender: Sender) -> None:
        self._world = world
        self._faults = faults
        self._sender = sender

    @property
    def _authorization(self) -> str:
        """Return the manifest's id and password as they are now: a pushed manifest may have changed the password."""
        credentials = f"{self._world.offer.slug}:{self._world.offer.password}".encode()
        return f"Basic {base64.b64encode(credentials).decode()}"

    async def aclose(self) -> None:
        await self._sender.aclose()

    async def send(self, method: str, url: str, body: dict[str, Any] | None, addon: AddOn) -> Answer:
        """Send one call, with the trouble ordered for it. A lost answer is sent again at once, as Heroku may."""
        fault = self._faults.take("add-on", method, urlsplit(url).path)
        answer = await self._send(method, url, body, addon, fault)
        self._faults.passed("add-on", addon.id)
        return answer

    async def _send(
        self, method: str, url: str, body: dict[str, Any] | None, addon: AddOn, fault: Fault | None
    ) -> Answer:
        if fault is not None and fault.kind == "duplicate":
            return await self._send_twice(method, url, body, addon, fault)
        if fault is not None and fault.is_in_the_way:
            return self._answer_for(fault, method, url, body, addon)
        held = []
        if fault is not None and fault.kind == "reorder":
            held.append(on_hold(is_overtaken=await self._faults.hold(fault, addon.id, self._sender.sleep)))
        answer = await self._exchange(method, url, body, addon, fault)
        self.add_findings(answer.exchange, held)
        if fault is None or fault.kind != "lost_answer":
            return answer
        if method == "DELETE":
            return Answer(None, None, answer.exchange)
        again = await self.send(method, url, body, addon)
        self.add_findings(again.exchange, on_repeat((answer.status, answer.body), (again.status, again.body)))
        return again

    async def _send_twice(
        self, method: str, url: str, body: dict[str, Any] | None, addon: AddOn, fault: Fault
    ) -> Answer:
        first, second = await asyncio.gather(*(self._exchange(method, url, body, addon, fault) for _ in range(2)))
        self.add_findings(second.exchange, on_repeat((first.status, first.body), (second.status, second.body)))
        return first if first.is_success else second

    def add_findings(self, exchange: Exchange, findings: list[Finding]) -> None:
        exchange.findings.extend(findings)
        self._world.changed()

    async def _exchange(
        self, method: str, url: str, body: dict[str, Any] | None, addon: AddOn, fault: Fault | None = None
    ) -> Answer:
        headers = {"Accept": VENDOR_TYPE, "Authorization": self._authorization, "User-Agent": "heroku-simulator"}
        content: bytes | AsyncIterator[bytes] | None = None
        payload = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(payload))}
            is_removed_meanwhile = fault is not None and fault.kind == "deprovision"
            content = self._sent_then_removed(payload, addon) if is_removed_meanwhile else payload
        findings: list[Finding] = [] if fault is None else [note(f"Fault: {fault}.")]
        at = self._world.now()
        sent = await self._sender.send(
            method, url, headers=headers, content=content, within_seconds=GIVES_UP_AFTER_SECONDS, fault=fault
        )
        reply = sent.reply
        if sent.error is not None:
            findings.append(problem(_why_no_answer(sent.error, url)))
        if reply is not None:
            findings += on_time(sent.seconds) + on_status(method, reply.status)
        exchange = record_exchange(
            self._world,
            direction="add-on",
            method=method,
            url=url,
            request=Message(headers, payload),
            status=None if reply is None else reply.status,
            answer=None if reply is None else Message(reply.headers, reply.body),
            at=at,
            seconds=sent.seconds,
            findings=findings,
            addon_id=addon.id,
        )
        if reply is None or sent.seconds > GIVES_UP_AFTER_SECONDS:
            return Answer(None, None, exchange)
        return Answer(reply.status, _parsed(reply.body), exchange)

    async def _sent_then_removed(self, content: bytes, addon: AddOn) -> AsyncIterator[bytes]:
        """Yield the body; when the transport asks for more, the request is out and the add-on is at work on it."""
        yield content
        remove_meanwhile(self._world, addon)

    def _answer_for(self, fault: Fault, method: str, url: str, body: dict[str, Any] | None, addon: AddOn) -> Answer:
        """Give the answer of a call that never reached the add-on."""
        status = fault.status_instead
        retry = {"Retry-After": f"{fault.seconds:g}"} if fault.kind == "rate_limit" else {}
        content = b"" if body is None else json.dumps(body).encode()
        exchange = record_exchange(
            self._world,
            direction="add-on",
            method=method,
            url=url,
            request=Message({"Content-Type": "application/json"}, content),
            status=status,
            answer=None if status is None else Message(retry, b""),
            at=self._world.now(),
            seconds=0,
            findings=[note(f"Fault: {fault}; the request did not reach the add-on.")],
            addon_id=addon.id,
        )
        return Answer(status, None, exchange)


def _why_no_answer(error: Exception, url: str) -> str:
    if isinstance(error, TimeoutError):
        return f"No answer within {GIVES_UP_AFTER_SECONDS} s: Heroku gave up."
    if isinstance(error, AnswerTooLong):
        return str(error)
    if isinstance(error, httpx2.ConnectError):
        where = urlsplit(url).netloc.rpartition("@")[2]
        return f"The add-on could not be reached at {where} ({error}): is it running there?"
    return f"The add-on could not be reached: {type(error).__name__}."


def _parsed(body: bytes) -> Any:
    try:
        return plain_json.read(body)
    except ValueError:
        return None
