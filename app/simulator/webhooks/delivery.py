"""Delivering webhooks: one request after the other for each subscriber, all subscribers at once.

https://devcenter.heroku.com/articles/app-webhooks#receiving-webhooks. Any 2xx is a success and redirects are not
followed. `notify` tries once. `sync` tries again, in order, for 72 hours from the event's creation
(https://devcenter.heroku.com/changelog-items/2525); an event older than that when its turn comes gets one try. Heroku's
web pages call what failed then "skipped"; the platform API has no such status, so here it is `failed`, as everything
else that will not be tried again. `pending` has not been tried, `scheduled` is being tried or was ordered by hand,
`retrying` waits for its `next_attempt_at`.

Not documented, and chosen here: 10 seconds for an answer, and pauses of 10 seconds that double up to an hour.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2

from app.simulator.at_work import AtWork
from app.simulator.exchanges import Message, record_exchange
from app.simulator.faults import Fault, Faults
from app.simulator.records import Exchange, Finding
from app.simulator.sending import Reply, Sender
from app.simulator.verdicts import SHOULD_ANSWER_WITHIN_SECONDS, hint, note, problem
from app.simulator.world import World

from .events import body_of
from .records import Webhook, WebhookAttempt, WebhookDelivery
from .subscriptions import deliveries_of

RETRIES_END_AFTER = timedelta(hours=72)
GIVES_UP_AFTER_SECONDS = 10
_FIRST_PAUSE = timedelta(seconds=10)
_LONGEST_PAUSE = timedelta(hours=1)
_MOST_AT_ONCE = 20
_KEPT_ATTEMPTS = 10


class WebhookDeliveries:
    """The lines to the subscribers. `start_due` is a background round, `deliver_due` also waits for its end."""

    def __init__(self, world: World, faults: Faults, sender: Sender) -> None:
        self._world = world
        self._faults = faults
        self._sender = sender
        self._at_once = asyncio.Semaphore(_MOST_AT_ONCE)
        self._at_work = AtWork()

    async def aclose(self) -> None:
        """Stop; what was under way is delivered again by the next start."""
        await self._at_work.aclose()
        await self._sender.aclose()

    async def start_due(self) -> None:
        """Set to work on every line whose first delivery is due, and wait for none: a receiver may be slow."""
        under_way = self._at_work.under_way()
        heads: dict[str, WebhookDelivery] = {}
        for delivery in self._world.webhook_deliveries.values():
            if not delivery.is_finished:
                heads.setdefault(delivery.webhook_id, delivery)
        for webhook_id, head in heads.items():
            if webhook_id not in under_way and self._is_due(head):
                self._at_work.start(webhook_id, self._work_off(self._world.webhooks[webhook_id]))

    async def deliver_due(self) -> None:
        """Deliver what is due, waiting at most for the time of one attempt; the rest goes on in the background."""
        await self.start_due()
        await self._at_work.wait(GIVES_UP_AFTER_SECONDS + 1)

    def _line(self, webhook: Webhook) -> list[WebhookDelivery]:
        return [one for one in deliveries_of(self._world, webhook) if not one.is_finished]

    def _is_due(self, head: WebhookDelivery) -> bool:
        return head.next_attempt_at is None or head.next_attempt_at <= self._world.now()

    async def _work_off(self, webhook: Webhook) -> None:
        """Try one delivery after the other; a head that must wait holds back the rest."""
        while (line := self._line(webhook)) and self._is_due(line[0]):
            async with self._at_once:
                await self._advance(webhook, line[0])

    async def _advance(self, webhook: Webhook, head: WebhookDelivery) -> None:
        fault = self._faults.take("webhook", "POST", urlsplit(webhook.url).path)
        if fault is None or fault.kind != "reorder":
            await self._attempt(webhook, head, fault)
            return
        if len(self._line(webhook)) == 1:  # an event that comes within the fault's seconds may still overtake it
            await self._sender.sleep(fault.seconds)
        for delivery in reversed(self._line(webhook)[:2]):
            await self._attempt(webhook, delivery, fault)

    async def _attempt(self, webhook: Webhook, delivery: WebhookDelivery, fault: Fault | None) -> None:
        event = self._world.webhook_events.get(delivery.event_id)
        if event is None:  # unsubscribed meanwhile
            return
        now = self._world.now()
        attempt = WebhookAttempt(str(uuid4()), now, now)
        delivery.attempts = [*delivery.attempts, attempt][-_KEPT_ATTEMPTS:]
        delivery.num_attempts += 1
        delivery.status, delivery.next_attempt_at, delivery.updated_at = "scheduled", None, now
        body = json.dumps(
            body_of(webhook, event, delivery, attempt.id), ensure_ascii=False, separators=(",", ":")
        ).encode()  # fmt: skip
        if fault is not None and fault.is_in_the_way:
            outcome = self._not_sent(webhook, body, fault)
        elif fault is not None and fault.kind == "duplicate":
            outcomes = await asyncio.gather(*(self._post(webhook, body, fault) for _ in range(2)))
            outcome = next((one for one in outcomes if one.is_success), outcomes[0])
        else:
            outcome = await self._post(webhook, body, fault)
        self._finish(webhook, delivery, attempt, outcome)

    def _finish(
        self, webhook: Webhook, delivery: WebhookDelivery, attempt: WebhookAttempt, outcome: "_Outcome"
    ) -> None:
        now = self._world.now()
        attempt.code, attempt.error_class, attempt.exchange_id = outcome.code, outcome.error_class, outcome.exchange_id
        attempt.status = "succeeded" if outcome.is_success else "failed"
        attempt.updated_at = delivery.updated_at = now
        end = delivery.created_at + RETRIES_END_AFTER
        if outcome.is_success:
            delivery.status = "succeeded"
        elif webhook.level == "notify" or now >= end:
            delivery.status = "failed"
        else:
            delivery.status = "retrying"
            delivery.next_attempt_at = min(now + _pause(delivery.num_attempts), end)
        self._world.changed()

    async def _post(self, webhook: Webhook, body: bytes, fault: Fault | None) -> "_Outcome":
        headers = _headers(webhook, body)
        at = self._world.now()
        sent = await self._sender.send(
            "POST", webhook.url, headers=headers, content=body, within_seconds=GIVES_UP_AFTER_SECONDS, fault=fault
        )
        code = None if sent.reply is None else sent.reply.status
        error_class = None if sent.error is None else type(sent.error).__name__
        if isinstance(sent.error, TimeoutError) or sent.seconds > GIVES_UP_AFTER_SECONDS:
            code, error_class = None, "Timeout"
        elif fault is not None and fault.kind == "lost_answer":
            code, error_class = None, "LostAnswer"
        findings: list[Finding] = [] if fault is None else [note(f"Fault: {fault}.")]
        findings += _findings(code, error_class, sent.seconds)
        exchange = self._record(webhook, Message(headers, body), sent.reply, findings, at=at, seconds=sent.seconds)
        return _Outcome(code, error_class, exchange.id)

    def _not_sent(self, webhook: Webhook, body: bytes, fault: Fault) -> "_Outcome":
        """Give the outcome of a request that never reached the receiver."""
        code = fault.status_instead
        answer = None if code is None else Reply(code, httpx2.Headers(), b"")
        findings = [note(f"Fault: {fault}; the request did not reach the receiver.")]
        request = Message(_headers(webhook, body), body)
        exchange = self._record(webhook, request, answer, findings, at=self._world.now(), seconds=0)
        return _Outcome(code, "Dropped" if code is None else None, exchange.id)

    def _record(
        self,
        webhook: Webhook,
        request: Message,
        answer: Reply | None,
        findings: list[Finding],
        *,
        at: datetime,
        seconds: float,
    ) -> Exchange:
        return record_exchange(
            self._world,
            direction="webhook",
            method="POST",
            url=webhook.url,
            request=request,
            status=None if answer is None else answer.status,
            answer=None if answer is None else Message(answer.headers, answer.body),
            at=at,
            seconds=seconds,
            findings=findings,
            addon_id=webhook.scope_id if webhook.scope == "addon" else None,
        )


@dataclass(frozen=True)
class _Outcome:
    code: int | None
    error_class: str | None
    exchange_id: str

    @property
    def is_success(self) -> bool:
        return self.code is not None and 200 <= self.code < 300


def send_now(world: World, delivery: WebhookDelivery) -> None:
    """Order a delivery again, or one that waits, with all that wait before it, at once."""
    if delivery.is_finished:
        delivery.status, delivery.updated_at = "scheduled", world.now()
    else:
        for one in world.webhook_deliveries.values():
            if one.webhook_id == delivery.webhook_id and not one.is_finished and one.seq <= delivery.seq:
                one.next_attempt_at = None
    world.changed()


def signature(secret: str, body: bytes) -> str:
    """Sign the bytes as they are sent: standard base64 of HMAC-SHA256."""
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def _headers(webhook: Webhook, body: bytes) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "Heroku-Webhook-Hmac-SHA256": signature(webhook.secret, body),
        "User-Agent": "heroku-simulator",
    }
    return headers if webhook.authorization is None else headers | {"Authorization": webhook.authorization}


def _pause(attempts: int) -> timedelta:
    doublings = min(attempts - 1, 10)  # an hour is reached by then
    return min(_FIRST_PAUSE * (1 << doublings), _LONGEST_PAUSE)


def _findings(code: int | None, error_class: str | None, seconds: float) -> list[Finding]:
    if error_class == "Timeout":
        return [problem(f"No answer within {GIVES_UP_AFTER_SECONDS} s: the delivery failed.")]
    if code is None:
        return [] if error_class == "LostAnswer" else [problem(f"The receiver could not be reached: {error_class}.")]
    if 300 <= code < 400:
        return [problem(f"Answered {code}: Heroku follows no redirects, so the delivery failed.")]
    if not 200 <= code < 300:
        return [problem(f"Answered {code}: only a 2xx is a success.")]
    if seconds > SHOULD_ANSWER_WITHIN_SECONDS:
        return [hint(f"Answered in {seconds:.1f} s; take the event first and do the work afterwards.")]
    return []
