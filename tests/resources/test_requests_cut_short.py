"""What a request began with the driver and could not finish: too slow, refused, broken, or its process dead."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import httpx2
import pytest
from lives import assert_nothing_left, install, installed, our_calls, url_in
from rig import Rig, provision_body
from sqlalchemy import text
from workshop import Gate, Workshop

from app.errors import Refused, Retry
from app.operations.inspection import troubles
from app.resources import plan_change, rotation
from app.resources.history import events_for_customer
from app.resources.outcomes import PATIENCE
from app.simulator.errors import AddOnFailed

SHORT_BUDGET = timedelta(milliseconds=60)


@pytest.fixture
def short_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.resources.lifecycle.REQUEST_BUDGET", SHORT_BUDGET)


async def die(rig: Rig, request: asyncio.Task) -> None:
    """The process that works on the request ends where it stands: the request, and the work that it shares."""
    pending = [request, *(work for _, work in rig.context.under_way.values())]
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


async def spend_the_budget(rig: Rig, call: Awaitable[httpx2.Response], gate: Gate) -> httpx2.Response:
    """Make `call` while the database is busy for as long as a request has for its driver; then the driver is quick."""
    async with rig.context.database.transaction() as session:
        await session.execute(text("LOCK TABLE resources IN EXCLUSIVE MODE"))
        request = asyncio.ensure_future(call)
        while not await session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
            assert not request.done()
        await asyncio.sleep(SHORT_BUDGET.total_seconds())
    await gate.arrived.wait()
    gate.open()
    return await request


class TestProvisionAtOnce:
    async def test_a_slow_driver_gets_202_and_is_finished_in_the_background(
        self, shop_rig: Rig, workshop: Workshop, short_budget
    ):
        workshop.hold("provision")
        app, addon = await install(shop_rig, "test")
        assert addon.state == "provisioning"
        await shop_rig.work()
        assert our_calls(shop_rig) == ["POST token", "PATCH config", "POST provision"]
        assert addon.state == "provisioned"
        assert url_in(shop_rig, app).endswith("/test")

    async def test_what_the_database_has_taken_the_driver_does_not_get_so_that_heroku_has_an_answer_in_time(
        self, shop_rig: Rig, workshop: Workshop, short_budget
    ):
        body = provision_body(plan="test")
        answer = await spend_the_budget(shop_rig, shop_rig.heroku.post("", json=body), workshop.hold("provision"))
        assert answer.status_code == 202
        assert (await shop_rig.resource(body["uuid"])).unsettled_since is None
        assert ("provision_service", "todo") in await shop_rig.jobs()

    @pytest.mark.parametrize("trouble", [Retry("busy"), RuntimeError("a bug")])
    async def test_a_driver_in_trouble_gets_202_and_is_asked_again_in_the_background(
        self, shop_rig: Rig, workshop: Workshop, trouble
    ):
        workshop.trouble["provision"] = [trouble, trouble]
        _, addon = await install(shop_rig, "test")
        assert addon.state == "provisioning"
        await shop_rig.work(rounds=2)
        assert addon.state == "provisioned"

    async def test_a_driver_that_refuses_gets_422_with_its_reason_every_time(self, shop_rig: Rig, workshop: Workshop):
        workshop.trouble["provision"] = [Refused("No room.")]
        body = provision_body(plan="test")
        for _ in range(2):
            answer = await shop_rig.heroku.post("", json=body)
            assert (answer.status_code, answer.json()["message"]) == (422, "No room.")
        await shop_rig.work()
        await assert_nothing_left(shop_rig, workshop, body["uuid"])
        assert workshop.calls == ["provision", "deprovision"]

    async def test_a_dead_process_leaves_nothing_undone(self, shop_rig: Rig, workshop: Workshop):
        body = provision_body(plan="test", oauth_grant=None)
        gate = workshop.hold("provision", is_after=True)
        request = asyncio.create_task(shop_rig.heroku.post("", json=body))
        await gate.arrived.wait()
        await die(shop_rig, request)
        shop_rig.clock.forward(seconds=59)
        await shop_rig.sweep()
        assert workshop.calls == ["provision"]
        shop_rig.clock.forward(seconds=2)
        await shop_rig.sweep()
        assert workshop.calls == ["provision"] * 2
        resource = await shop_rig.resource(body["uuid"])
        assert (resource.state, resource.config_version, resource.unsettled_since) == ("provisioning", 1, None)
        assert await shop_rig.jobs() == [("push_config", "todo"), ("announce_provisioned", "todo")]

    async def test_a_request_repeated_after_a_dead_process_is_answered_and_ends_provisioned(
        self, shop_rig: Rig, workshop: Workshop, short_budget
    ):
        gate = workshop.hold("provision")
        request = asyncio.create_task(install(shop_rig, "test"))
        await gate.arrived.wait()
        (addon,) = shop_rig.simulator.world.installed()
        grant = next(iter(shop_rig.simulator.world.grants.values()))
        attachments = dict(shop_rig.simulator.world.attachments)
        await die(shop_rig, request)
        # The simulator forgets an add-on whose request broke off; this Heroku asks again.
        shop_rig.simulator.world.addons[addon.id] = addon
        addon.state, addon.failed_at = "provisioning", None
        shop_rig.simulator.world.grants[grant.code] = grant
        shop_rig.simulator.world.attachments.update(attachments)
        answer = await shop_rig.heroku.post("", json=provision_body(uuid=addon.id, plan="test", oauth_grant=None))
        assert answer.status_code == 202
        shop_rig.clock.forward(seconds=61)
        await shop_rig.sweep()
        assert addon.state == (await shop_rig.resource(addon.id)).state == "provisioned"


class TestPlanChange:
    async def test_a_refusal_keeps_the_plan_on_both_sides(self, shop_rig: Rig, workshop: Workshop):
        app, addon = await installed(shop_rig)
        workshop.trouble["change_plan"] = [Refused("Remove data first.")]
        with pytest.raises(AddOnFailed, match="Remove data first"):
            await shop_rig.simulator.calls.change_plan(addon, "premium")
        await shop_rig.work()
        resource = await shop_rig.resource(addon.id)
        assert (resource.plan, addon.plan, workshop.things[resource.uuid].plan) == ("test",) * 3
        assert resource.unsettled_since is None
        assert url_in(shop_rig, app).endswith("/test")

    async def test_a_slow_driver_is_finished_in_the_background_and_its_config_pushed(
        self, shop_rig: Rig, workshop: Workshop, short_budget
    ):
        app, addon = await installed(shop_rig)
        workshop.hold("change_plan")
        await shop_rig.simulator.calls.change_plan(addon, "premium")
        assert url_in(shop_rig, app).endswith("/test")
        await shop_rig.work()
        assert url_in(shop_rig, app).endswith("/premium")
        assert (await shop_rig.resource(addon.id)).unsettled_since is None

    async def test_a_slow_driver_that_refuses_in_the_end_keeps_the_plan_and_both_are_told(
        self, shop_rig: Rig, workshop: Workshop, short_budget
    ):
        app, addon = await installed(shop_rig)
        workshop.hold("change_plan")
        await shop_rig.simulator.calls.change_plan(addon, "premium")
        resource = await shop_rig.resource(addon.id)
        assert (resource.plan, resource.service_plan, addon.plan) == ("premium", "test", "premium")
        workshop.trouble["change_plan"] = [Refused("Remove data first.")]
        await shop_rig.work()
        resource = await shop_rig.resource(addon.id)
        assert (resource.plan, resource.service_plan, workshop.things[resource.uuid].plan) == ("test",) * 3
        assert (resource.unsettled_since, await shop_rig.jobs()) == (None, [])
        assert url_in(shop_rig, app).endswith("/test")
        async with shop_rig.context.database.transaction() as session:
            (line,) = [line for line in await events_for_customer(session, resource.uuid) if "again" in line.text]
        assert line.text == (
            "The add-on could not be moved to the premium plan and is on the test plan again. Remove data first."
        )
        assert (line.kind, line.plan_before, line.plan_after) == ("plan_change_failed", "premium", "test")
        # Operators read that Heroku still lists, and bills, the other one.
        assert any("Heroku has it on the plan premium" in one.text for one in troubles(resource, shop_rig.clock()))
        # When Heroku asks once more, the driver is asked once more.
        assert (await shop_rig.heroku.put(f"/{addon.id}", json={"plan": "premium"})).status_code == 200
        await shop_rig.work()
        resource = await shop_rig.resource(addon.id)
        assert (resource.plan, resource.service_plan, workshop.things[resource.uuid].plan) == ("premium",) * 3

    async def test_a_driver_that_breaks_down_again_and_again_keeps_the_plan(
        self, shop_rig: Rig, workshop: Workshop, short_budget
    ):
        _, addon = await installed(shop_rig)
        workshop.hold("change_plan")
        await shop_rig.simulator.calls.change_plan(addon, "premium")
        workshop.trouble["change_plan"] = [RuntimeError("broken")] * PATIENCE
        await shop_rig.work(rounds=PATIENCE + 1)
        resource = await shop_rig.resource(addon.id)
        assert (resource.plan, resource.service_plan, workshop.things[resource.uuid].plan) == ("test",) * 3
        async with shop_rig.context.database.transaction() as session:
            texts = [line.text for line in await events_for_customer(session, resource.uuid)]
        assert any(text.endswith("on the test plan again. Please try again or contact support.") for text in texts)
        assert not [text for text in texts if "broken" in text or "Nothing was charged" in text]

    async def test_a_refusal_says_nothing_of_a_plan_that_was_chosen_after_it(
        self, shop_rig: Rig, workshop: Workshop, short_budget
    ):
        _, addon = await installed(shop_rig)
        workshop.hold("change_plan")
        await shop_rig.simulator.calls.change_plan(addon, "premium")
        gate = workshop.hold("change_plan")
        workshop.trouble["change_plan"] = [Refused("Remove data first.")]
        work = asyncio.create_task(shop_rig.work())
        await gate.arrived.wait()
        await plan_change.move_plan(shop_rig.context, UUID(addon.id), "standard", "grace@acme.example")
        gate.open()
        await work
        resource = await shop_rig.resource(addon.id)
        assert (resource.plan, resource.service_plan, workshop.things[resource.uuid].plan) == ("standard",) * 3
        assert "plan_change_failed" not in await shop_rig.events(addon.id)

    async def test_what_the_database_has_taken_the_driver_does_not_get(
        self, shop_rig: Rig, workshop: Workshop, short_budget
    ):
        _, addon = await installed(shop_rig)
        call = shop_rig.heroku.put(f"/{addon.id}", json={"plan": "premium"})
        answer = await spend_the_budget(shop_rig, call, workshop.hold("change_plan"))
        assert answer.json()["message"] == "Your add-on is being moved to the premium plan."
        await shop_rig.work()
        assert workshop.things[UUID(addon.id)].plan == (await shop_rig.resource(addon.id)).plan == "premium"

    @pytest.mark.parametrize("is_after", [False, True])
    async def test_after_a_dead_process_both_sides_have_the_old_plan(
        self, shop_rig: Rig, workshop: Workshop, *, is_after: bool
    ):
        app, addon = await installed(shop_rig)
        gate = workshop.hold("change_plan", is_after=is_after)
        request = asyncio.create_task(shop_rig.heroku.put(f"/{addon.id}", json={"plan": "premium"}))
        await gate.arrived.wait()
        await die(shop_rig, request)
        shop_rig.clock.forward(seconds=61)
        await shop_rig.sweep()
        resource = await shop_rig.resource(addon.id)
        assert (resource.plan, addon.plan, workshop.things[resource.uuid].plan) == ("test",) * 3
        assert resource.unsettled_since is None
        assert url_in(shop_rig, app).endswith("/test")

    async def test_an_older_credential_does_not_come_back_with_it(self, shop_rig: Rig, workshop: Workshop):
        app, addon = await installed(shop_rig)
        old_url = url_in(shop_rig, app)
        gate = workshop.hold("change_plan")
        request = asyncio.create_task(shop_rig.simulator.calls.change_plan(addon, "premium"))
        await gate.arrived.wait()
        await rotation.rotate(shop_rig.context, UUID(addon.id), "ada@example.com")
        await shop_rig.work()
        gate.open()
        await request
        await shop_rig.work()
        assert url_in(shop_rig, app).startswith("https://2-")
        assert url_in(shop_rig, app).endswith("/premium")
        assert await shop_rig.config(addon.id) == shop_rig.simulator.world.addon(addon.id).config
        assert workshop.accepts(old_url)

    async def test_a_retired_credential_does_not_come_back_with_it(self, shop_rig: Rig, workshop: Workshop):
        app, addon = await installed(shop_rig)
        old_url = url_in(shop_rig, app)
        gate = workshop.hold("change_plan")
        request = asyncio.create_task(shop_rig.simulator.calls.change_plan(addon, "premium"))
        await gate.arrived.wait()
        await rotation.rotate(shop_rig.context, UUID(addon.id), "ada@example.com")
        await shop_rig.work()
        await rotation.retire_now(shop_rig.context, UUID(addon.id), "ada@example.com")
        await shop_rig.work()
        gate.open()
        await request
        await shop_rig.work()
        assert workshop.accepts(url_in(shop_rig, app))
        assert not workshop.accepts(old_url)

    async def test_between_a_rotation_and_its_push_it_leaves_the_newest_config_at_heroku(self, shop_rig: Rig):
        app, addon = await installed(shop_rig)
        await rotation.rotate(shop_rig.context, UUID(addon.id), "ada@example.com")
        shop_rig.simulator.faults.add("error", direction="platform", path="/config")
        await shop_rig.work()
        assert (await shop_rig.resource(addon.id)).needs_push
        await shop_rig.simulator.calls.change_plan(addon, "premium")
        await shop_rig.work()
        resource = await shop_rig.resource(addon.id)
        assert url_in(shop_rig, app).startswith("https://2-")
        assert url_in(shop_rig, app).endswith("/premium")
        assert not resource.needs_push
        assert resource.retire_at is not None

    async def test_it_wins_over_an_older_push_that_is_on_its_way(self, shop_rig: Rig):
        app, addon = await installed(shop_rig)
        await rotation.rotate(shop_rig.context, UUID(addon.id), "ada@example.com")
        on_its_way, go_on = asyncio.Event(), asyncio.Event()

        async def wait(_seconds: float) -> None:
            on_its_way.set()
            await go_on.wait()

        shop_rig.simulator.app.state.parts = _with_sleep(shop_rig, wait)
        shop_rig.simulator.faults.add("slow", direction="platform", path="/config")
        work = asyncio.create_task(shop_rig.work())
        await on_its_way.wait()
        await shop_rig.simulator.calls.change_plan(addon, "premium")
        go_on.set()
        await work
        await shop_rig.work()
        assert url_in(shop_rig, app).endswith("/premium")
        assert not (await shop_rig.resource(addon.id)).needs_push

    async def test_two_at_once_leave_service_and_row_in_agreement(self, shop_rig: Rig, workshop: Workshop):
        _, addon = await installed(shop_rig)
        gate = workshop.hold("change_plan", is_after=True)
        first = asyncio.create_task(shop_rig.simulator.calls.change_plan(addon, "standard"))
        await gate.arrived.wait()
        await shop_rig.simulator.calls.change_plan(addon, "premium")
        gate.open()
        await first
        await shop_rig.work()
        resource = await shop_rig.resource(addon.id)
        assert workshop.things[resource.uuid].plan == resource.plan == addon.plan
        assert (await shop_rig.config(addon.id)) == addon.config


def _with_sleep(rig: Rig, sleep) -> object:
    return replace(rig.simulator.app.state.parts, sleep=sleep)
