"""What Heroku has as provisioned is not ended here because its provisioning has failed or took too long here."""

from uuid import UUID

import pytest
from lives import install, our_calls
from rig import Rig
from sqlalchemy import update
from workshop import Workshop

from app.errors import Refused
from app.resources.models import Resource, State


@pytest.fixture
async def stuck(shop_rig: Rig, workshop: Workshop) -> tuple[Rig, UUID]:
    """In use at Heroku; here it is as it was when it had not even been made."""
    _, addon = await install(shop_rig, "standard")
    await shop_rig.work()
    assert addon.state == "provisioned"
    values = {"state": State.PROVISIONING, "provisioned_at": None, "config_version": 0, "pushed_version": 0}
    async with shop_rig.context.database.transaction() as session:
        await session.execute(update(Resource).where(Resource.uuid == UUID(addon.id)).values(**values))
    shop_rig.clock.forward(hours=13)
    return shop_rig, UUID(addon.id)


async def test_it_is_finished_instead_of_given_up(stuck, workshop: Workshop):
    rig, uuid = stuck
    await rig.sweep()
    resource = await rig.resource(uuid)
    assert (resource.state, resource.refusal) == (State.PROVISIONED, None)
    assert "in_use_at_heroku" in await rig.events(uuid)
    assert uuid in workshop.things
    assert "deprovision" not in workshop.calls


async def test_what_cannot_be_finished_waits_for_people_and_is_taken_from_nobody(stuck, workshop: Workshop):
    rig, uuid = stuck
    workshop.trouble["provision"] = [Refused("The disk is full.")] * 5
    for _ in range(4):
        await rig.sweep()
    resource = await rig.resource(uuid)
    assert resource.state is State.PROVISIONING
    assert "does not come to an end here" in resource.last_error
    assert ("report_failure", "todo") in await rig.jobs()
    assert uuid in workshop.things
    assert "deprovision" not in workshop.calls
    assert len(workshop.trouble["provision"]) == 4


async def test_what_heroku_gives_up_too_is_ended(shop_rig: Rig, workshop: Workshop):
    workshop.trouble["provision"] = [Refused("The disk is full.")]
    _, addon = await install(shop_rig, "standard")
    await shop_rig.work()
    resource = await shop_rig.resource(addon.id)
    assert (resource.state, resource.refusal) == (State.DEPROVISIONED, "The disk is full.")
    assert our_calls(shop_rig)[-1] == "POST deprovision"
