"""The page of webhooks: subscriptions, deliveries with their attempts, and sending them once more."""

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.webhooks import subscriptions as webhooks

HOOK = {"include": ["api:release"], "level": "sync", "url": "http://receiver.test/hooks", "secret": "s3cret-key"}


@pytest.fixture
def answers():
    """What the receiver answers, one after the other; 204 at the end."""
    return []


@pytest.fixture
def sim(make, answers):
    async def receive(request: Request) -> Response:
        await request.body()
        return Response(status_code=answers.pop(0) if answers else 204)

    receiver = Starlette(routes=[Route("/hooks", receive, methods=["POST"])])
    return make(transport=httpx2.ASGITransport(receiver))


@pytest.fixture
def subscribe(sim):
    def create(**fields):
        usual = {
            "include": ["api:release"],
            "level": "sync",
            "url": "http://receiver.test/hooks",
            "secret": "s3cret-key",
        }
        return webhooks.subscribe(sim.world, sim.world.app("shop"), {**usual, **fields})[0]

    return create


@pytest.fixture
def release(sim):
    def cut():
        sim.world.cut_release(sim.world.app("shop"), "A change")
        return list(sim.world.webhook_deliveries.values())[-1]

    return cut


async def test_the_page_without_webhooks_says_how_to_subscribe(http):
    page = (await http.get("/marketplace/webhooks")).text
    assert "heroku webhooks:add" in page
    assert 'href="/marketplace/webhooks" aria-current="page"' in page


async def test_subscriptions_and_deliveries_are_shown_without_secrets(sim, http, subscribe, release, answers):
    subscribe(authorization="Bearer letmein-9876")
    answers.append(500)
    release()
    await sim.webhooks.deliver_due()
    page = (await http.get("/marketplace/webhooks")).text
    for text in (
        "http://receiver.test/hooks",
        "api:release create",
        "v2",
        "retrying",
        "again at 12:00:10 UTC",
        ">500<",
    ):
        assert text in page
    assert f"/marketplace/exchanges/{sim.world.exchanges[-1].id}" in page
    for secret in ("s3cret-key", "letmein-9876"):
        assert secret not in page
    assert (await http.get("/marketplace/webhooks?live")).status_code == 200


async def test_a_delivery_that_waits_is_delivered_now(sim, http, subscribe, release, answers):
    subscribe()
    answers.append(500)
    delivery = release()
    await sim.webhooks.deliver_due()
    assert "Deliver now" in (await http.get("/marketplace/webhooks")).text
    answer = await http.post(f"/marketplace/webhooks/deliveries/{delivery.id}/send")
    assert (answer.status_code, answer.headers["location"]) == (303, "/marketplace/webhooks")
    assert (delivery.status, delivery.num_attempts) == ("succeeded", 2)


async def test_a_delivery_that_is_over_is_sent_again(sim, http, subscribe, release):
    subscribe(level="notify")
    delivery = release()
    await sim.webhooks.deliver_due()
    assert "Send again" in (await http.get("/marketplace/webhooks")).text
    await http.post(f"/marketplace/webhooks/deliveries/{delivery.id}/send")
    assert delivery.num_attempts == 2


async def test_a_subscription_is_removed(sim, http, subscribe):
    webhook = subscribe()
    answer = await http.post(f"/marketplace/webhooks/{webhook.id}/remove")
    assert answer.status_code == 303
    assert sim.world.webhooks == {}


@pytest.mark.parametrize("path", ["deliveries/unknown/send", "unknown/remove"])
async def test_what_is_gone_is_not_found(http, path):
    assert (await http.post(f"/marketplace/webhooks/{path}")).status_code == 404


async def test_moving_the_clock_delivers_what_is_due(http, subscribe, release, answers, sim):
    subscribe()
    answers.append(500)
    delivery = release()
    await sim.webhooks.deliver_due()
    await http.post("/marketplace/clock", data={"minutes": "1"})
    assert delivery.status == "succeeded"
