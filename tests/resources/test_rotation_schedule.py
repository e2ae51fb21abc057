"""Rotation by the schedule of a plan: in turn, a few a minute, and never where it could do harm."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from lives import installed, url_in
from rig import Rig, new_settings
from sqlalchemy import select, update
from workshop import Workshop

from app.errors import Refused
from app.operations import batch_work, batches
from app.operations.action import Order
from app.operations.after_restore import after_restore
from app.operations.credentials import PUSH_CONFIG
from app.operations.healing import HEALER
from app.operations.scheduled_rotation import rotate_due
from app.operators.roles import Actor, Role
from app.plans import Plan, by_name
from app.resources import rotation, suspension
from app.resources.models import Resource
from app.resources.traces import Event

MONTH = timedelta(days=30)


@pytest.fixture
async def rig(database_url: str, workshop: Workshop) -> AsyncIterator[Rig]:
    """Sells `test`, which is rotated every thirty days, and `standard`, which is not. Begins three a minute."""
    price_list = by_name(
        Plan(name="test", driver=workshop, is_instant=True, rotate_every=MONTH),
        Plan(name="standard", driver=workshop),
    )
    async with Rig(new_settings(database_url, batch_per_minute="9"), price_list).running() as rig:
        yield rig


async def minute(rig: Rig) -> None:
    """What a worker does every minute."""
    rig.clock.forward(minutes=1)
    await rotate_due(rig.context)
    await rig.work()
    await rig.sweep()


async def shops(rig: Rig, number: int, plan: str = "test") -> list[str]:
    app = rig.simulator.world.create_app(f"many-{plan}")
    addons = [await rig.simulator.calls.provision(app.name, plan) for _ in range(number)]
    await rig.work()
    return [addon.id for addon in addons]


async def generations(rig: Rig, uuids: Sequence[str]) -> list[int]:
    return [(await rig.resource(uuid)).generation for uuid in uuids]


async def change(rig: Rig, uuid: str, **values: object) -> None:
    async with rig.context.database.transaction() as session:
        await session.execute(update(Resource).where(Resource.uuid == UUID(uuid)).values(values))


async def test_credentials_are_rotated_when_they_are_as_old_as_the_plan_allows(rig: Rig, workshop: Workshop):
    app, addon = await installed(rig)
    old = url_in(rig, app)
    rig.clock.forward(days=29, hours=23)
    await minute(rig)
    assert url_in(rig, app) == old
    rig.clock.forward(hours=1)
    await minute(rig)
    new = url_in(rig, app)
    assert new != old
    assert workshop.accepts(old)
    rig.clock.forward(hours=2)
    await minute(rig)
    assert not workshop.accepts(old)
    rig.clock.forward(days=29, hours=21)
    await minute(rig)
    assert url_in(rig, app) == new
    rig.clock.forward(hours=1)
    await minute(rig)
    assert await generations(rig, [addon.id]) == [3]


async def test_the_history_says_whose_word_it_was(rig: Rig):
    _, addon = await installed(rig)
    rig.clock.forward(days=31)
    await minute(rig)
    async with rig.context.database.transaction() as session:
        event = await session.scalar(select(Event).where(Event.kind == "rotation_requested"))
    assert (event.actor, event.text) == ("the program", "Rotation of the credentials begun by the schedule of the plan")
    assert event.resource_uuid == UUID(addon.id)
    assert event.is_for_customer


async def test_a_rotation_by_anybody_puts_the_schedule_off(rig: Rig):
    _, addon = await installed(rig)
    rig.clock.forward(days=20)
    await rotation.rotate(rig.context, UUID(addon.id), "ada@example.com")
    await rig.work()
    rig.clock.forward(days=20)
    await minute(rig)
    assert await generations(rig, [addon.id]) == [2]


async def test_other_plans_are_left_alone(rig: Rig):
    _, addon = await installed(rig, "standard")
    rig.clock.forward(days=400)
    await minute(rig)
    assert await generations(rig, [addon.id]) == [1]


async def test_many_at_once_are_rotated_in_turn_and_a_few_a_minute(rig: Rig):
    uuids = await shops(rig, 7)
    for place, uuid in enumerate(uuids):
        await change(rig, uuid, credentials_at=rig.clock() - MONTH - timedelta(minutes=10 - place))
    await minute(rig)
    assert await generations(rig, uuids) == [2, 2, 2, 1, 1, 1, 1]
    await minute(rig)
    assert await generations(rig, uuids) == [2, 2, 2, 2, 2, 2, 1]
    await minute(rig)
    assert await generations(rig, uuids) == [2] * 7


async def test_while_new_credentials_do_not_reach_heroku_no_more_are_made(rig: Rig):
    uuids = await shops(rig, 30)
    rig.simulator.faults.add("rate_limit", direction="platform", path="/config", count=1000, seconds=3600)
    rig.clock.forward(days=31)
    for _ in range(12):
        await rotate_due(rig.context)
        await rig.work()
    assert sorted(await generations(rig, uuids)) == [1] * 5 + [2] * 25


async def test_batches_of_operators_go_before_the_schedule(rig: Rig):
    uuids = await shops(rig, 3)
    await shops(rig, 8, "standard")
    rig.clock.forward(days=31)
    words = {"action": PUSH_CONFIG, "query": "plan:standard", "parameters": {}, "reason": "a test", "number": 8}
    await batches.order(rig.context, HEALER.actor, **words)
    await batch_work.work(rig.context)
    await rotate_due(rig.context)
    await rig.work()
    assert sorted(await generations(rig, uuids)) == [1, 1, 2]
    rig.clock.forward(minutes=1)
    await rotate_due(rig.context)
    await rig.work()
    assert await generations(rig, uuids) == [2, 2, 2]


HARMFUL = ("suspended_at", "tokens_refused_at", "unknown_to_heroku_at", "config_differs_at", "rotated_at", "retire_at")


@pytest.mark.parametrize("column", HARMFUL)
async def test_what_a_rotation_would_harm_is_passed_over_and_holds_up_nobody(rig: Rig, column):
    odd, *others = await shops(rig, 4)
    rig.clock.forward(days=31)
    await change(rig, odd, **{column: rig.clock() + timedelta(hours=1)}, credentials_at=rig.clock() - 2 * MONTH)
    await rotate_due(rig.context)
    await rig.work()
    assert await generations(rig, [odd, *others]) == [1, 2, 2, 2]
    with pytest.raises(Refused):
        await rotation.rotate(rig.context, UUID(odd), "the program", is_scheduled=True)


async def test_one_that_heroku_never_authorized_us_for_is_passed_over(rig: Rig):
    _, addon = await installed(rig)
    await change(rig, addon.id, refresh_token_sealed=None)
    before = await rig.events(addon.id)
    rig.clock.forward(days=31)
    await rotate_due(rig.context)
    assert await rig.jobs() == []
    assert await rig.events(addon.id) == before


async def test_what_was_suspended_when_it_was_due_is_rotated_once_it_is_resumed(rig: Rig):
    _, addon = await installed(rig)
    await suspension.suspend(rig.context, UUID(addon.id), "ann@acme.example", reason="a bill")
    await rig.work()
    rig.clock.forward(days=31)
    await minute(rig)
    assert await generations(rig, [addon.id]) == [1]
    await suspension.resume(rig.context, UUID(addon.id), "ann@acme.example", reason="paid")
    await rig.work()
    await minute(rig)
    assert await generations(rig, [addon.id]) == [2]


async def test_a_rotation_that_was_given_up_is_tried_again_a_day_later(rig: Rig, workshop: Workshop):
    odd, *others = await shops(rig, 2)
    workshop.trouble["rotate"] = [Refused("Not today.")]
    rig.clock.forward(days=31)
    for _ in range(3):
        await minute(rig)
    assert sorted(await generations(rig, [odd, *others])) == [1, 2]
    rig.clock.forward(days=1)
    await minute(rig)
    assert await generations(rig, [odd, *others]) == [2, 2]


async def test_after_a_restore_the_schedule_counts_afresh(rig: Rig):
    _, addon = await installed(rig)
    rig.clock.forward(days=31)
    await after_restore(rig.context, Order(actor=Actor(name="olga@acme.example", role=Role.OWNER), reason="a restore"))
    await minute(rig)
    assert await generations(rig, [addon.id]) == [1]


def test_a_schedule_of_less_than_a_day_is_a_mistake(workshop: Workshop):
    with pytest.raises(ValueError, match="plan hasty: rotate_every is shorter than a day"):
        Plan(name="hasty", driver=workshop, rotate_every=timedelta(hours=23))
