"""Delivering logs to drains: one batch after the other for each drain, all drains at once.

https://devcenter.heroku.com/articles/log-drains. By HTTP any 2xx takes a batch and a 4xx other than 429 loses it.
After 429, any other status, or no answer in time it is sent again. `syslog` drains get the same lines over TCP, one
connection for each batch; `syslog+tls` ones get nothing here.
"""

import asyncio
import base64
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx2

from app.simulator.at_work import AtWork
from app.simulator.exchanges import Message, record_exchange
from app.simulator.faults import Fault, Faults
from app.simulator.records import Finding
from app.simulator.sending import Sender
from app.simulator.verdicts import hint, note, problem
from app.simulator.world import World

from .drain_state import TRIES, Batch, DrainState
from .frames import http_frame, tcp_frame
from .lines import Line
from .records import LogDrain

_CONNECTS_WITHIN_SECONDS = 3
_ANSWERS_WITHIN_SECONDS = 5
_SYSLOG_PORT = 514
_DELIVERED_SCHEMES = frozenset({"https", "http", "syslog"})


@dataclass(frozen=True)
class _Outcome:
    """`status` is None when no answer came; then, or when it is no 2xx, `trouble` says so in words."""

    status: int | None
    trouble: str | None = None

    @property
    def is_taken(self) -> bool:
        return self.trouble is None

    @property
    def is_final(self) -> bool:
        return self.status is not None and 400 <= self.status < 500 and self.status != httpx2.codes.TOO_MANY_REQUESTS


class LogDeliveries:
    """The lines on their way to the drains. `start_due` is a background round, `deliver_due` also waits for its end."""

    def __init__(self, world: World, faults: Faults, sender: Sender) -> None:
        self._world = world
        self._faults = faults
        self._sender = sender
        self._at_work = AtWork()
        self._states: dict[str, DrainState] = {}

    async def aclose(self) -> None:
        await self._at_work.aclose()
        await self._sender.aclose()

    def state(self, drain: LogDrain) -> DrainState:
        return self._states.setdefault(drain.id, DrainState())

    def reaches(self, drain: LogDrain) -> bool:
        """Tell whether this simulator delivers by the drain's scheme."""
        return urlsplit(drain.url).scheme in _DELIVERED_SCHEMES

    def take(self, line: Line) -> None:
        """Let a new line wait for every drain of its app."""
        for drain in self._world.log_drains.values():
            if drain.app_id == line.app_id and self.reaches(drain):
                self.state(drain).push(line, self._world.now())

    async def start_due(self) -> None:
        """Set to work on every drain that has something due, and wait for none: a drain may be slow."""
        drains = self._world.log_drains
        self._states = {key: state for key, state in self._states.items() if key in drains}
        under_way = self._at_work.under_way()
        for drain in list(drains.values()):
            if drain.id not in under_way and self.state(drain).due(self._world.now()):
                self._at_work.start(drain.id, self._work_off(drain))

    async def deliver_due(self) -> None:
        """Deliver what is due, waiting at most for the time of one try; the rest goes on in the background."""
        await self.start_due()
        await self._at_work.wait(_ANSWERS_WITHIN_SECONDS + 1)

    async def _work_off(self, drain: LogDrain) -> None:
        state, now = self.state(drain), self._world.now
        while drain.id in self._world.log_drains and (batch := state.due(now())):
            outcome = await self._send(drain, batch, state.begin(batch, now()))
            state.end(batch, now(), trouble=outcome.trouble, is_final=outcome.is_final)
            self._world.changed()

    async def _send(self, drain: LogDrain, batch: Batch, lines: list[Line]) -> _Outcome:
        if drain.url.startswith("syslog:"):
            return await _send_tcp(drain.url, b"".join(tcp_frame(line, drain.token) for line in lines))
        request = Message(_headers(drain, batch, len(lines)), b"".join(http_frame(line) for line in lines))
        fault = self._faults.take("logs", "POST", urlsplit(drain.url).path, without={"reorder"})
        if fault is not None and fault.is_in_the_way:
            return self._not_sent(drain, request, batch, fault)
        if fault is not None and fault.kind == "duplicate":
            outcomes = await asyncio.gather(*(self._post(drain, request, batch, fault) for _ in range(2)))
            return next((one for one in outcomes if one.is_taken), outcomes[0])
        return await self._post(drain, request, batch, fault)

    async def _post(self, drain: LogDrain, request: Message, batch: Batch, fault: Fault | None) -> _Outcome:
        at = self._world.now()
        sent = await self._sender.send(
            "POST",
            _without_credentials(drain.url),
            headers=request.headers,
            content=request.body,
            within_seconds=_ANSWERS_WITHIN_SECONDS,
            connects_within_seconds=_CONNECTS_WITHIN_SECONDS,
            fault=fault,
        )
        status = None if sent.reply is None else sent.reply.status
        trouble = None if sent.error is None else f"it could not be reached: {type(sent.error).__name__}"
        if fault is not None and fault.kind == "lost_answer":
            status, trouble = None, "the answer was lost"
        elif isinstance(sent.error, TimeoutError) or sent.seconds > _ANSWERS_WITHIN_SECONDS:
            status, trouble = None, f"no answer within {_ANSWERS_WITHIN_SECONDS} s"
        outcome = _judged(status, trouble)
        findings = ([] if fault is None else [note(f"Fault: {fault}.")]) + _findings(outcome, batch)
        answer = None if sent.reply is None else Message(sent.reply.headers, sent.reply.body)
        got = None if sent.reply is None else sent.reply.status
        self._record(drain, request, got, answer, findings, at, sent.seconds)
        return outcome

    def _not_sent(self, drain: LogDrain, request: Message, batch: Batch, fault: Fault) -> _Outcome:
        """Give the outcome of a request that never reached the drain."""
        status = fault.status_instead
        outcome = _judged(status, "the connection was dropped" if status is None else None)
        findings = [note(f"Fault: {fault}; the request did not reach the drain."), *_findings(outcome, batch)]
        answer = None if status is None else Message({}, b"")
        self._record(drain, request, status, answer, findings, self._world.now(), 0)
        return outcome

    def _record(
        self,
        drain: LogDrain,
        request: Message,
        status: int | None,
        answer: Message | None,
        findings: list[Finding],
        at: datetime,
        seconds: float,
    ) -> None:
        record_exchange(
            self._world,
            direction="logs",
            method="POST",
            url=drain.url,
            request=request,
            status=status,
            answer=answer,
            at=at,
            seconds=seconds,
            findings=findings,
            addon_id=drain.addon_id,
        )


def _judged(status: int | None, trouble: str | None) -> _Outcome:
    if status is not None and not 200 <= status < 300:
        return _Outcome(status, f"it answered {status}")
    return _Outcome(status, trouble)


def _findings(outcome: _Outcome, batch: Batch) -> list[Finding]:
    if outcome.is_taken:
        return []
    count = f"{len(batch.lines)} line{'s' if len(batch.lines) > 1 else ''}"
    if outcome.is_final:
        return [problem(f"Answered {outcome.status}: {count} lost, for a 4xx says that they can never be taken.")]
    if batch.tries == TRIES:
        return [problem(f"The third try failed as well ({outcome.trouble}): {count} lost.")]
    return [hint(f"The drain took nothing ({outcome.trouble}); the same batch is sent again, try {batch.tries + 1}.")]


def _headers(drain: LogDrain, batch: Batch, count: int) -> dict[str, str]:
    headers = {
        "Content-Type": "application/logplex-1",
        "Logplex-Msg-Count": str(count),
        "Logplex-Frame-Id": batch.frame_id,
        "Logplex-Drain-Token": drain.token,
        "User-Agent": "Logplex/simulator",
    }
    parts = urlsplit(drain.url)
    if parts.username is None:
        return headers
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return headers | {"Authorization": f"Basic {base64.b64encode(credentials).decode()}"}


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))


async def _send_tcp(url: str, content: bytes) -> _Outcome:
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(_ANSWERS_WITHIN_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or _SYSLOG_PORT)
            try:
                writer.write(content)
                await writer.drain()
                writer.close()
                await writer.wait_closed()
            finally:
                writer.transport.abort()  # who does not read must not keep the connection
    except TimeoutError:
        return _Outcome(None, f"no connection within {_ANSWERS_WITHIN_SECONDS} s")
    except (OSError, ValueError) as error:  # the second for a host name that cannot be one
        return _Outcome(None, f"it could not be reached: {type(error).__name__}")
    return _Outcome(None)
