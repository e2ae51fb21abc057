"""The door for Heroku's webhooks: who is let in, what becomes of it, and that nothing counts twice."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from rig import Rig
from sqlalchemy import select

from app.resources import lifecycle, webhooks
from app.resources.traces import WebhookEvent
from app.simulator.records import AddOn
from app.simulator.webhooks.delivery import signature

HEADER = "Heroku-Webhook-Hmac-SHA256"


@pytest.fixture
async def rig(make_rig) -> AsyncIterator[Rig]:
    async with make_rig(heroku_webhooks="true").running() as rig:
        yield rig


@pytest.fixture
async def addon(rig: Rig) -> AddOn:
    app = rig.simulator.world.create_app("shop")
    addon = await rig.simulator.calls.provision(app.name, "test")
    await rig.work()
    await rig.simulator.catch_up()
    await rig.work()
    return addon


def event(rig: Rig, **changes: Any) -> dict[str, Any]:
    """What Heroku sends when an app is renamed."""
    at = rig.clock().isoformat()
    told = {
        "id": str(uuid4()),
        "action": "update",
        "resource": "app",
        "actor": {"id": str(uuid4()), "email": "ada@example.com"},
        "created_at": at,
        "updated_at": at,
        "published_at": None,
        "sequence": None,
        "data": {"id": str(uuid4()), "name": "boutique", "owner": {"email": "ada@example.com"}},
        "previous_data": {"name": "shop"},
        "version": "application/vnd.heroku+json; version=3",
        "webhook_metadata": {
            "attempt": {"id": str(uuid4())},
            "delivery": {"id": str(uuid4())},
            "event": {"id": str(uuid4()), "include": "api:app"},
            "webhook": {"id": str(uuid4())},
        },
    }
    return told | changes


async def secret(rig: Rig, uuid: str) -> str:
    return (await rig.resource(uuid)).open(rig.context.keys, "webhook_secret") or ""


async def send(rig: Rig, uuid: str, content: bytes, **headers: str | bytes) -> httpx2.Response:
    return await rig.http.post(f"/heroku/webhooks/{uuid}", content=content, headers=headers)


async def deliver(rig: Rig, uuid: str, told: Any) -> httpx2.Response:
    content = told if isinstance(told, bytes) else json.dumps(told).encode()
    return await send(rig, uuid, content, **{HEADER: signature(await secret(rig, uuid), content)})


async def stored(rig: Rig, uuid: str, event_id: str | None = None) -> list[WebhookEvent]:
    async with rig.context.database.transaction() as session:
        query = select(WebhookEvent).where(WebhookEvent.resource_uuid == UUID(uuid)).order_by(WebhookEvent.id)
        rows = (await session.scalars(query)).all()
    return [row for row in rows if event_id in {None, row.event_id}]


class TestWhoIsLetIn:
    async def test_what_heroku_signed_is_taken_and_its_body_is_empty(self, rig: Rig, addon: AddOn):
        told = event(rig)
        answer = await deliver(rig, addon.id, told)
        assert (answer.status_code, answer.content) == (204, b"")
        (row,) = await stored(rig, addon.id, told["id"])
        assert (row.include, row.action, row.status, row.deliveries) == ("api:app", "update", "waiting", 1)
        assert row.facts == {
            "name": "boutique",
            "owner": "ada@example.com",
            "name before": "shop",
            "changed": ["name"],
            "by": "ada@example.com",
        }
        assert row.happened_at == rig.clock()

    async def test_all_others_get_the_same_answer_and_leave_nothing(self, rig: Rig, addon: AddOn):
        app = rig.simulator.world.create_app("other")
        other = await rig.simulator.calls.provision(app.name, "test")
        await rig.work()
        before = [await stored(rig, one.id) for one in (addon, other)]
        content, key = json.dumps(event(rig)).encode(), await secret(rig, addon.id)
        right = signature(key, content)
        forgeries = [
            (addon.id, content, {}),
            (addon.id, content, {HEADER: ""}),
            (addon.id, content, {HEADER: right[:22]}),
            (addon.id, content, {HEADER: right[:-4] + "AAA="}),
            (addon.id, content, {HEADER: b"\xe9" * 44}),
            (addon.id, content, {HEADER: b"\xe9" * 22}),
            (addon.id, content, {HEADER: f"{right}\t{right}"}),
            (addon.id, content + b" ", {HEADER: right}),
            (addon.id, b"", {HEADER: right}),
            (addon.id, content, {HEADER: signature("", content)}),
            (addon.id, content, {HEADER: signature("another-secret", content)}),
            (addon.id, content, {HEADER: signature(await secret(rig, other.id), content)}),
            (other.id, content, {HEADER: right}),
            (str(uuid4()), content, {HEADER: right}),
            (str(uuid4()), content, {HEADER: signature("", content)}),
            ("nonsense", content, {HEADER: right}),
            ("%00", content, {HEADER: right}),
        ]
        answers = [await send(rig, *parts, **headers) for *parts, headers in forgeries]
        assert {(one.status_code, one.text) for one in answers} == {(403, '{"id":"forbidden","message":"Forbidden."}')}
        assert {tuple(sorted(set(one.headers) - {"request-id"})) for one in answers} == {
            tuple(sorted(set(answers[0].headers) - {"request-id"}))
        }
        after = [await stored(rig, one.id) for one in (addon, other)]
        assert [[row.id for row in rows] for rows in after] == [[row.id for row in rows] for rows in before]
        assert await rig.jobs() == []

    async def test_a_resource_without_a_subscription_believes_nobody(self, key_rig: Rig):
        app = key_rig.simulator.world.create_app("shop")
        addon = await key_rig.simulator.calls.provision(app.name, "test")
        await key_rig.work()
        assert (await deliver(key_rig, addon.id, event(key_rig))).status_code == 403
        assert await stored(key_rig, addon.id) == []

    async def test_only_post_is_answered(self, rig: Rig, addon: AddOn):
        for method in ("GET", "PUT", "DELETE"):
            assert (await rig.http.request(method, f"/heroku/webhooks/{addon.id}")).status_code == 405

    async def test_a_body_that_is_too_long_is_not_read(self, rig: Rig, addon: AddOn):
        content = json.dumps(event(rig, data={"name": "x" * 70_000})).encode()
        assert (await deliver(rig, addon.id, content)).status_code == 413

    @pytest.mark.parametrize(
        "nonsense",
        [b"", b"{", b"[]", b"{}", b"null", b"\xff\xfe", b'"\\ud800"', b"[" * 5000, b'{"id": 1}', b'{"a": NaN}'],
    )
    async def test_signed_nonsense_is_taken_and_leaves_nothing(self, rig: Rig, addon: AddOn, nonsense: bytes):
        before = len(await stored(rig, addon.id))
        assert (await deliver(rig, addon.id, nonsense)).status_code == 204
        assert len(await stored(rig, addon.id)) == before

    @pytest.mark.parametrize(
        "strange",
        [
            {"data": None, "previous_data": None, "actor": None, "webhook_metadata": None},
            {"data": [], "previous_data": [1], "actor": "x", "sequence": "x", "created_at": 5},
            {"data": {"name": {"x": 1}}, "sequence": -1, "created_at": "never", "published_at": "2026"},
            {"sequence": 2**70, "created_at": "0001-01-01T00:00:00+23:59", "previous_data": {"name": None}},
            {"created_at": "9999-12-31T23:59:59-23:59"},
        ],
    )
    async def test_an_event_of_a_strange_shape_is_stored_as_far_as_it_is_known(self, rig: Rig, addon: AddOn, strange):
        told = event(rig, **strange)
        assert (await deliver(rig, addon.id, told)).status_code == 204
        (row,) = await stored(rig, addon.id, told["id"])
        assert row.sequence is None

    async def test_no_value_of_a_config_var_and_no_token_is_kept(self, rig: Rig, addon: AddOn):
        hidden = "postgres://u:hunter2hunter2@db.example.com/x"
        told = event(
            rig, data={"name": "x", "config_vars": {"A": hidden}, "token": hidden}, previous_data={"a": hidden}
        )
        await deliver(rig, addon.id, told)
        (row,) = await stored(rig, addon.id, told["id"])
        assert "hunter2" not in json.dumps(row.facts)


class TestWhatCounts:
    async def test_an_event_that_comes_again_is_counted_and_handled_once(self, rig: Rig, addon: AddOn):
        told = event(rig)
        for _ in range(3):
            assert (await deliver(rig, addon.id, told)).status_code == 204
        assert await rig.jobs() == [("handle_webhooks", "todo")]
        await rig.work()
        rig.clock.forward(minutes=5)
        told["webhook_metadata"]["delivery"]["id"] = str(uuid4())
        await deliver(rig, addon.id, told)
        assert await rig.jobs() == []
        (row,) = await stored(rig, addon.id, told["id"])
        assert (row.deliveries, row.status) == (4, "handled")
        assert row.last_at == rig.clock() == row.at + timedelta(minutes=5)

    async def test_the_same_event_about_two_resources_is_two(self, rig: Rig, addon: AddOn):
        app = rig.simulator.world.create_app("other")
        other = await rig.simulator.calls.provision(app.name, "test")
        await rig.work()
        told = event(rig)
        for one in (addon, other):
            await deliver(rig, one.id, told)
            assert [row.deliveries for row in await stored(rig, one.id, told["id"])] == [1]

    @pytest.mark.parametrize(
        ("changes", "outcome"),
        [
            ({"actor": {"email": "acme-postgres@addons.heroku.com"}}, "We have caused it ourselves."),
            ({"previous_data": {"updated_at": "x", "released_at": "x"}}, "Nothing that is kept here has changed."),
            (
                {"resource": "teapot", "webhook_metadata": {"event": {"include": "api:teapot"}}},
                "Nothing follows from events of this kind.",
            ),
            (
                {"action": "destroy", "resource": "addon", "webhook_metadata": {"event": {"include": "api:addon"}}},
                "Heroku asks to deprovision it by a request of its own.",
            ),
        ],
    )
    async def test_what_nothing_can_follow_from_is_put_away_at_once(self, rig: Rig, addon: AddOn, changes, outcome):
        told = event(rig, **changes)
        assert (await deliver(rig, addon.id, told)).status_code == 204
        (row,) = await stored(rig, addon.id, told["id"])
        assert (row.status, row.outcome, row.handled_at) == ("ignored", outcome, rig.clock())
        assert await rig.jobs() == []

    @pytest.mark.parametrize("name", ["created_at", "published_at"])
    async def test_what_happened_more_than_a_week_ago_is_put_away(self, rig: Rig, addon: AddOn, name: str):
        old = (rig.clock() - webhooks.OLDEST - timedelta(seconds=1)).isoformat()
        told = event(rig, **{name: old})
        assert (await deliver(rig, addon.id, told)).status_code == 204
        (row,) = await stored(rig, addon.id, told["id"])
        assert (row.status, row.outcome) == ("ignored", "It happened more than seven days ago.")

    async def test_what_is_played_back_later_is_known_or_too_old(self, rig: Rig, addon: AddOn):
        """The window of old events is shorter than events are kept."""
        assert webhooks.OLDEST < webhooks.KEPT_FOR
        told = event(rig)
        await deliver(rig, addon.id, told)
        await rig.work()
        while rig.clock() < datetime.fromisoformat(told["created_at"]) + webhooks.KEPT_FOR * 2:
            rig.clock.forward(days=6)
            await webhooks.forget(rig.context)
            await deliver(rig, addon.id, told)
            assert await rig.jobs() == []
            assert [row.status for row in await stored(rig, addon.id, told["id"])] in (["handled"], ["ignored"])
        assert [row.status for row in await stored(rig, addon.id, told["id"])] == ["ignored"]


class TestTheEnd:
    async def test_what_waits_when_a_resource_ends_is_put_away(self, rig: Rig, addon: AddOn):
        told = event(rig)
        await deliver(rig, addon.id, told)
        await lifecycle.deprovision(rig.context, UUID(addon.id))
        (row,) = await stored(rig, addon.id, told["id"])
        assert (row.status, row.outcome) == ("ignored", "The resource was deprovisioned before.")

    async def test_what_heroku_tells_of_the_end_is_taken_for_four_days_and_then_no_more(self, rig: Rig, addon: AddOn):
        await lifecycle.deprovision(rig.context, UUID(addon.id))
        await rig.work()
        told = event(rig)
        assert (await deliver(rig, addon.id, told)).status_code == 204
        (row,) = await stored(rig, addon.id, told["id"])
        assert (row.status, row.outcome) == ("ignored", "The resource has been deprovisioned.")
        rig.clock.now += webhooks.TAIL
        await webhooks.forget(rig.context)
        assert (await deliver(rig, addon.id, event(rig))).status_code == 204
        rig.clock.forward(seconds=1)
        key = await secret(rig, addon.id)
        await webhooks.forget(rig.context)
        content = json.dumps(event(rig)).encode()
        assert (await send(rig, addon.id, content, **{HEADER: signature(key, content)})).status_code == 403
        assert (await rig.resource(addon.id)).webhook_secret_sealed is None

    async def test_what_comes_in_the_moment_of_the_end_does_not_wait_for_ever(self, rig: Rig, addon: AddOn):
        told = event(rig)
        await deliver(rig, addon.id, told)
        await lifecycle.deprovision(rig.context, UUID(addon.id))
        async with rig.context.database.transaction() as session:  # as if it had been stored a moment later
            row = await session.scalar(select(WebhookEvent).where(WebhookEvent.event_id == told["id"]))
            row.status, row.outcome, row.handled_at = "waiting", None, None
            await rig.context.queue.enqueue(session, "handle_webhooks", UUID(addon.id))
        await rig.work()
        (row,) = await stored(rig, addon.id, told["id"])
        assert (row.status, row.outcome) == ("ignored", "The resource has been deprovisioned.")

    async def test_events_that_nothing_followed_from_are_kept_for_seven_days(self, rig: Rig, addon: AddOn):
        told = event(rig, previous_data={"released_at": "x"})
        await deliver(rig, addon.id, told)
        rig.clock.now += webhooks.IGNORED_KEPT_FOR
        await webhooks.forget(rig.context)
        assert len(await stored(rig, addon.id, told["id"])) == 1
        rig.clock.forward(seconds=1)
        await webhooks.forget(rig.context)
        assert await stored(rig, addon.id, told["id"]) == []

    async def test_events_are_kept_for_thirty_days(self, rig: Rig, addon: AddOn):
        told = event(rig)
        await deliver(rig, addon.id, told)
        await rig.work()
        rig.clock.now += webhooks.KEPT_FOR
        await webhooks.forget(rig.context)
        assert len(await stored(rig, addon.id, told["id"])) == 1
        rig.clock.forward(seconds=1)
        await webhooks.forget(rig.context)
        assert await stored(rig, addon.id) == []
