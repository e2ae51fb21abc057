"""Deliveries: what is sent, in which order, how often, and what is made of the answers."""

import asyncio
import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Host, Route

from app.simulator.webhooks import subscriptions as webhooks
from app.simulator.webhooks.delivery import send_now, signature

HOOK = {"include": ["api:release"], "level": "sync", "url": "http://receiver.test/hooks"}


@dataclass
class Receiver:
    """Remembers each request; answers the statuses it is told to, then 204. A status may be an exception."""

    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[int | Exception] = field(default_factory=list)
    has_been_asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: Request) -> Response:
        self.bodies.append(await request.body())
        self.has_been_asked.set()
        self.headers.append(dict(request.headers))
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, Exception):
            raise answer
        return Response(status_code=answer, headers={"location": "/elsewhere"} if 300 <= answer < 400 else {})

    @property
    def said(self) -> list[str]:
        """What the releases that were told of are called."""
        return [json.loads(body)["data"]["description"] for body in self.bodies]


@pytest.fixture
def receiver():
    return Receiver()


@pytest.fixture
def other():
    return Receiver()


@pytest.fixture
def sim(make, addon, receiver, other):
    hosts = [
        Host("receiver.test", Starlette(routes=[Route("/hooks", receiver.answer, methods=["POST"])])),
        Host("other.test", Starlette(routes=[Route("/hooks", other.answer, methods=["POST"])])),
        Host("addon.test", addon.asgi),
    ]
    return make(transport=httpx2.ASGITransport(Starlette(routes=hosts)))


@pytest.fixture
def shop(sim):
    return sim.world.app("shop")


@pytest.fixture
def subscribe(sim, shop):
    def create(owner=shop, **fields):
        return webhooks.subscribe(sim.world, owner, {**HOOK, "secret": "s3cret-key", **fields})[0]

    return create


@pytest.fixture
def release(sim, shop):
    """Cut releases, which are events, without delivering them."""

    def cut(*descriptions):
        for description in descriptions:
            sim.world.cut_release(shop, description)

    return cut


@pytest.fixture
def deliveries(sim):
    def listed():
        return list(sim.world.webhook_deliveries.values())

    return listed


def test_the_signature_is_that_of_a_known_vector():
    # RFC 4231's second test case, in base64 instead of hexadecimal.
    signed = signature("Jefe", b"what do ya want for nothing?")
    assert signed == "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="
    assert base64.b64decode(signed).hex() == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


async def test_a_delivery_is_a_signed_post_of_the_event(sim, subscribe, release, receiver, deliveries):
    webhook = subscribe(authorization="Bearer letmein-9876")
    release("Für Zoë")
    await sim.webhooks.deliver_due()
    (body,), (headers,) = receiver.bodies, receiver.headers
    expected = base64.b64encode(hmac.new(b"s3cret-key", body, hashlib.sha256).digest()).decode()
    assert headers["heroku-webhook-hmac-sha256"] == expected
    assert headers["authorization"] == "Bearer letmein-9876"
    assert headers["content-type"] == "application/json"
    (delivery,) = deliveries()
    (event,) = sim.world.webhook_events.values()
    payload = json.loads(body)
    assert payload == {
        "id": event.id,
        "action": "create",
        "resource": "release",
        "actor": payload["actor"],
        "created_at": "2026-05-01T12:00:00Z",
        "updated_at": "2026-05-01T12:00:00Z",
        "published_at": None,
        "sequence": None,
        "data": payload["data"],
        "previous_data": {},
        "version": "application/vnd.heroku+json; version=3",
        "webhook_metadata": {
            "attempt": {"id": delivery.attempts[-1].id},
            "delivery": {"id": delivery.id},
            "event": {"id": event.id, "include": "api:release"},
            "webhook": {"id": webhook.id},
        },
    }
    assert payload["data"]["description"] == "Für Zoë"
    assert (delivery.status, delivery.num_attempts, delivery.next_attempt_at) == ("succeeded", 1, None)
    assert (delivery.attempts[-1].status, delivery.attempts[-1].code) == ("succeeded", 204)


async def test_a_delivery_is_an_exchange_without_secrets(sim, subscribe, release, findings):
    subscribe(authorization="letmein-9876")
    release("One")
    await sim.webhooks.deliver_due()
    exchange = sim.world.exchanges[-1]
    assert (exchange.direction, exchange.method, exchange.status) == ("webhook", "POST", 204)
    assert exchange.findings == []
    assert "letmein-9876" not in str(exchange)
    assert "s3cret-key" not in str(exchange)
    assert "One" in exchange.request_body


async def test_a_notify_delivery_is_tried_once(sim, subscribe, release, receiver, deliveries, clock):
    subscribe(level="notify")
    receiver.answers = [500]
    release("One", "Two")
    await sim.webhooks.deliver_due()
    clock.move(hours=5)
    await sim.webhooks.deliver_due()
    assert receiver.said == ["One", "Two"]
    assert [one.status for one in deliveries()] == ["failed", "succeeded"]


async def test_a_failing_sync_delivery_holds_back_the_later_ones_and_no_other_subscription(
    sim, subscribe, release, receiver, other, deliveries, clock
):
    subscribe()
    subscribe(url="http://other.test/hooks")
    receiver.answers = [500, 503]
    release("One", "Two")
    await sim.webhooks.deliver_due()
    assert (receiver.said, other.said) == (["One"], ["One", "Two"])
    first, _, second, _ = deliveries()
    assert (first.status, first.num_attempts, second.status) == ("retrying", 1, "pending")
    assert (first.next_attempt_at - clock()).total_seconds() == 10
    await sim.webhooks.deliver_due()
    assert receiver.said == ["One"]
    clock.move(seconds=10)
    await sim.webhooks.deliver_due()
    assert (first.next_attempt_at - clock()).total_seconds() == 20
    clock.move(seconds=20)
    await sim.webhooks.deliver_due()
    assert receiver.said == ["One", "One", "One", "Two"]
    ids = [json.loads(body)["webhook_metadata"]["attempt"]["id"] for body in receiver.bodies]
    assert len(set(ids)) == 4
    assert len({json.loads(body)["id"] for body in receiver.bodies}) == 2
    assert [one.status for one in deliveries()] == ["succeeded"] * 4


async def test_retries_slow_down_to_one_an_hour_and_end_after_72_hours(
    sim, subscribe, release, receiver, deliveries, clock
):
    subscribe()
    receiver.answers = [500] * 1000
    release("One")
    (delivery,) = deliveries()
    pauses = []
    while not delivery.is_finished:
        await sim.webhooks.deliver_due()
        if delivery.next_attempt_at is not None:
            pauses.append((delivery.next_attempt_at - clock()).total_seconds())
            clock.at = delivery.next_attempt_at
    assert pauses[:10] == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600]
    assert set(pauses[9:-1]) == {3600}
    assert sum(pauses) == 72 * 3600
    assert delivery.status == "failed"
    assert delivery.num_attempts == len(receiver.bodies) == len(pauses) + 1
    assert len(delivery.attempts) == 10


async def test_after_72_hours_of_failing_an_older_event_gets_one_try_and_a_newer_one_its_72_hours(
    sim, subscribe, release, receiver, deliveries, clock
):
    subscribe()
    receiver.answers = [500] * 3
    release("First", "Second")
    await sim.webhooks.deliver_due()
    clock.move(hours=72)
    release("New")
    receiver.answers = [500, 500, 500]
    await sim.webhooks.deliver_due()
    assert receiver.said == ["First", "First", "Second", "New"]
    assert [(one.status, one.num_attempts) for one in deliveries()] == [("failed", 2), ("failed", 1), ("retrying", 1)]


@pytest.mark.parametrize(
    ("answer", "code", "error_class", "finding"),
    [
        (302, 302, None, "problem: Answered 302: Heroku follows no redirects, so the delivery failed."),
        (404, 404, None, "problem: Answered 404: only a 2xx is a success."),
        (
            httpx2.ConnectError("refused"),
            None,
            "ConnectError",
            "problem: The receiver could not be reached: ConnectError.",
        ),
        (httpx2.ReadTimeout("slow"), None, "Timeout", "problem: No answer within 10 s: the delivery failed."),
    ],
)
async def test_what_is_not_a_2xx_is_a_failure_with_a_finding(
    sim, subscribe, release, receiver, deliveries, findings, answer, code, error_class, finding
):
    subscribe(level="notify")
    receiver.answers = [answer]
    release("One")
    await sim.webhooks.deliver_due()
    (delivery,) = deliveries()
    attempt = delivery.attempts[-1]
    assert (delivery.status, attempt.status, attempt.code, attempt.error_class) == (
        "failed",
        "failed",
        code,
        error_class,
    )
    assert finding in findings()
    assert len(receiver.bodies) == 1


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_a_success(sim, subscribe, release, receiver, deliveries, status):
    subscribe()
    receiver.answers = [status]
    release("One")
    await sim.webhooks.deliver_due()
    assert deliveries()[0].status == "succeeded"


async def test_the_removal_is_told_although_the_addons_subscription_goes_with_it(
    sim, http, bearer, subscribe, receiver, clock
):
    installed = await sim.calls.provision("shop", "basic")
    headers = await bearer(installed)
    subscribe(installed, include=["api:addon", "api:addon-attachment"])
    receiver.answers = [500]
    await sim.calls.deprovision(installed)
    await sim.webhooks.deliver_due()
    assert (await http.get(f"/addons/{installed.id}/webhooks", headers=headers)).status_code == 401
    clock.move(seconds=10)
    await sim.webhooks.deliver_due()
    told = [(json.loads(body)["resource"], json.loads(body)["action"]) for body in receiver.bodies]
    assert told == [("addon-attachment", "destroy"), ("addon-attachment", "destroy"), ("addon", "destroy")]
    (webhook,) = sim.world.webhooks.values()
    assert webhook.ended_at is not None
    clock.move(days=8)
    sim.world.cut_release(sim.world.app("shop"), "Later")
    assert sim.world.webhooks == sim.world.webhook_deliveries == sim.world.webhook_events == {}


async def test_a_deleted_webhook_gets_nothing_any_more(sim, subscribe, release, receiver):
    webhook = subscribe()
    release("One")
    webhooks.unsubscribe(sim.world, webhook)
    await sim.webhooks.deliver_due()
    assert receiver.bodies == []


async def test_what_was_not_delivered_is_delivered_after_a_restart(make, receiver, tmp_path):
    only_receiver = Starlette(routes=[Route("/hooks", receiver.answer, methods=["POST"])])
    asgi = {"state_path": tmp_path / "world.json", "transport": httpx2.ASGITransport(only_receiver)}
    first = make(**asgi)
    shop = first.world.app("shop")
    webhooks.subscribe(first.world, shop, {**HOOK, "secret": "of-yesterday-123"})
    first.world.cut_release(shop, "One")
    first.save()
    second = make(**asgi)
    await second.webhooks.deliver_due()
    assert receiver.said == ["One"]
    assert receiver.headers[0]["heroku-webhook-hmac-sha256"] == signature("of-yesterday-123", receiver.bodies[0])
    assert [one.status for one in second.world.webhook_deliveries.values()] == ["succeeded"]


async def test_a_running_simulator_delivers_by_itself(sim, subscribe, release, receiver):
    subscribe()
    async with sim.running():
        release("One")
        await asyncio.wait_for(receiver.has_been_asked.wait(), 5)
    assert receiver.said == ["One"]


async def test_a_delivery_that_is_over_can_be_sent_again(sim, subscribe, release, receiver, deliveries):
    subscribe(level="notify")
    receiver.answers = [500]
    release("One")
    await sim.webhooks.deliver_due()
    (delivery,) = deliveries()
    send_now(sim.world, delivery)
    assert delivery.status == "scheduled"
    await sim.webhooks.deliver_due()
    assert (delivery.status, delivery.num_attempts) == ("succeeded", 2)
    assert receiver.said == ["One", "One"]


async def test_a_delivery_that_waits_can_be_sent_at_once_with_those_before_it(
    sim, subscribe, release, receiver, deliveries
):
    subscribe()
    receiver.answers = [500]
    release("One", "Two")
    await sim.webhooks.deliver_due()
    send_now(sim.world, deliveries()[1])
    await sim.webhooks.deliver_due()
    assert receiver.said == ["One", "One", "Two"]


@pytest.mark.parametrize(
    ("kind", "code", "error_class"), [("error", 502, None), ("rate_limit", 429, None), ("drop", None, "Dropped")]
)
async def test_a_fault_keeps_the_request_from_arriving_and_it_is_sent_again(
    sim, subscribe, release, receiver, deliveries, findings, clock, kind, code, error_class
):
    subscribe()
    sim.faults.add(kind, direction="webhook", status=502)
    release("One")
    await sim.webhooks.deliver_due()
    (delivery,) = deliveries()
    assert (delivery.attempts[-1].code, delivery.attempts[-1].error_class) == (code, error_class)
    assert receiver.bodies == []
    assert "the request did not reach the receiver." in findings()
    clock.move(seconds=10)
    await sim.webhooks.deliver_due()
    assert receiver.said == ["One"]


async def test_a_lost_answer_brings_the_same_event_again(sim, subscribe, release, receiver, deliveries, clock):
    subscribe()
    sim.faults.add("lost_answer", direction="webhook")
    release("One")
    await sim.webhooks.deliver_due()
    assert deliveries()[0].status == "retrying"
    clock.move(seconds=10)
    await sim.webhooks.deliver_due()
    first, second = (json.loads(body) for body in receiver.bodies)
    assert first["id"] == second["id"]
    assert first["webhook_metadata"]["attempt"] != second["webhook_metadata"]["attempt"]


async def test_a_duplicate_arrives_twice_with_the_same_body(sim, subscribe, release, receiver, deliveries):
    subscribe()
    sim.faults.add("duplicate", direction="webhook")
    release("One")
    await sim.webhooks.deliver_due()
    first, second = receiver.bodies
    assert first == second
    assert (deliveries()[0].status, deliveries()[0].num_attempts) == ("succeeded", 1)


async def test_a_slow_answer_is_a_hint_and_a_very_slow_one_is_none(sim, subscribe, release, deliveries, findings):
    subscribe(level="notify")
    sim.faults.add("slow", direction="webhook", seconds=4)
    release("One")
    await sim.webhooks.deliver_due()
    assert "hint: Answered in 4." in findings()
    sim.faults.add("slow", direction="webhook", seconds=11)
    release("Two")
    await sim.webhooks.deliver_due()
    assert "problem: No answer within 10 s" in findings()
    assert [one.status for one in deliveries()] == ["succeeded", "failed"]


async def test_two_events_change_places_when_it_is_ordered(sim, subscribe, release, receiver, findings):
    subscribe()
    sim.faults.add("reorder", direction="webhook")
    release("One", "Two", "Three")
    await sim.webhooks.deliver_due()
    assert receiver.said == ["Two", "One", "Three"]
    assert "note: Fault:" in findings(-2)


async def test_an_event_without_another_behind_it_waits_for_one_and_then_goes(sim, subscribe, release, receiver, sleep):
    subscribe()
    sim.faults.add("reorder", direction="webhook", seconds=7)
    release("One")
    await sim.webhooks.deliver_due()
    assert sleep.slept == [7]
    assert receiver.said == ["One"]
