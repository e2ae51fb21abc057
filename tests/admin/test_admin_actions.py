"""Doing something to a resource: what will happen is said first, a reason is asked for, and the history keeps it."""

from rig import Rig
from sqlalchemy import select

from app.operators.roles import Role
from app.resources.traces import Event


async def test_the_reason_is_in_the_history_and_not_for_the_customer(key_rig: Rig, panel_of):
    app = key_rig.simulator.world.create_app("demo")
    addon = await key_rig.simulator.calls.provision(app.name, "test")
    await key_rig.work()
    panel = await panel_of(Role.SUPPORT)
    page = f"/admin/resources/{addon.id}/actions/push-config"

    shown = await panel.http.get(page)
    assert "gets a release and restarts" in shown.text
    await panel.post(page, reason="Customer says the app has an old password")
    await key_rig.work()

    resource = await key_rig.resource(addon.id)
    assert resource.pushed_version == resource.config_version == 2
    async with key_rig.context.database.transaction() as session:
        event = await session.scalar(select(Event).where(Event.kind == "push_requested"))
    assert event.actor == panel.email
    assert event.reason == "Customer says the app has an old password"
    assert not event.is_for_customer


async def test_what_was_typed_is_still_there_after_a_refusal(key_rig: Rig, panel_of):
    app = key_rig.simulator.world.create_app("demo")
    addon = await key_rig.simulator.calls.provision(app.name, "test")
    await key_rig.work()
    panel = await panel_of(Role.OPERATOR)
    page = f"/admin/resources/{addon.id}/actions/move-plan"

    refused = await panel.post(page, plan="premium", reason="Heroku has moved it", name="another")
    assert refused.status_code == 422
    assert f"Type the add-on&#39;s name, {addon.name}, to confirm. Nothing was done." in refused.text
    assert '<option value="premium" selected>' in refused.text
    assert ">Heroku has moved it</textarea>" in refused.text
    assert (await key_rig.resource(addon.id)).plan == "test"

    await panel.post(page, plan="premium", reason="Heroku has moved it", name=addon.name)
    assert (await key_rig.resource(addon.id)).plan == "premium"
