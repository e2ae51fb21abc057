"""Delivering logs to drains: one batch after the other for each drain, all drains at once.

https://devcenter.heroku.com/articles/log-drains. By HTTP any 2xx takes a batch and a 4xx other than 429 loses it.
After 429, any other status, or no answer in time it is sent again. `syslog` drains get the same lines over TCP, one
connection for each batch; `syslog+tls` ones get nothing here.
"""

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx2

from app.simulator.exchanges import Message, record_exchange
from app.simulator.faults import Fault, Faults
from app.simulator.records import Finding
from app.simulator.sending import Reply, send
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

    def __init__(
        self,
        world: World,
        faults: Faults,
        *,
        transport: httpx2.AsyncBaseTransport | None,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._world = world
        self._faults = faults
        self._transport = transport
        self._sleep = sleep
        self._client: httpx2.AsyncClient | None = None
        self._states: dict[str, DrainState] = {}
        self._working: dict[str, asyncio.Task[None]] = {}

    async def aclose(self) -> None:
        for task in self._working.values():
            task.cancel()
        await asyncio.gather(*self._working.values(), return_exceptions=True)
        self._working.clear()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

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
        self._working = {key: task for key, task in self._working.items() if not task.done()}
        for drain in list(drains.values()):
            if drain.id not in self._working and self.state(drain).due(self._world.now()):
                self._working[drain.id] = asyncio.create_task(self._work_off(drain))

    async def deliver_due(self) -> None:
        """Deliver what is due, waiting at most for the time of one try; the rest goes on in the background."""
        await self.start_due()
        if self._working:
            done, _ = await asyncio.wait(self._working.values(), timeout=_ANSWERS_WITHIN_SECONDS + 1)
            for task in done:
                task.result()

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
        if fault is not None and fault.kind in {"rate_limit", "error", "drop"}:
            return self._not_sent(drain, request, batch, fault)
        if fault is not None and fault.kind == "duplicate":
            outcomes = await asyncio.gather(*(self._post(drain, request, batch, fault) for _ in range(2)))
            return next((one for one in outcomes if one.is_taken), outcomes[0])
        return await self._post(drain, request, batch, fault)

    async def _post(self, drain: LogDrain, request: Message, batch: Batch, fault: Fault | None) -> _Outcome:
        if self._client is None:
            limits = httpx2.Timeout(_ANSWERS_WITHIN_SECONDS, connect=_CONNECTS_WITHIN_SECONDS)
            self._client = httpx2.AsyncClient(transport=self._transport, trust_env=False, timeout=limits)
        reply: Reply | None = None
        trouble: str | None = None
        at, started = self._world.now(), time.perf_counter()
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_SECONDS):
                url = _without_credentials(drain.url)
                reply = await send(self._client, "POST", url, headers=request.headers, content=request.body)
        except (TimeoutError, httpx2.TimeoutException):
            trouble = f"no answer within {_ANSWERS_WITHIN_SECONDS} s"
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            trouble = f"it could not be reached: {type(error).__name__}"
        seconds = time.perf_counter() - started
        if fault is not None and fault.kind == "slow":
            await self._sleep(fault.seconds)
            seconds += fault.seconds
        status = None if reply is None else reply.status
        if fault is not None and fault.kind == "lost_answer":
            status, trouble = None, "the answer was lost"
        elif seconds > _ANSWERS_WITHIN_SECONDS:
            status, trouble = None, f"no answer within {_ANSWERS_WITHIN_SECONDS} s"
        outcome = _judged(status, trouble)
        findings = ([] if fault is None else [note(f"Fault: {fault}.")]) + _findings(outcome, batch)
        answer = None if reply is None else Message(reply.headers, reply.body)
        self._record(drain, request, None if reply is None else reply.status, answer, findings, at, seconds)
        return outcome

    def _not_sent(self, drain: LogDrain, request: Message, batch: Batch, fault: Fault) -> _Outcome:
        """Give the outcome of a request that never reached the drain."""
        status = {"rate_limit": 429, "error": fault.status}.get(fault.kind)
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
