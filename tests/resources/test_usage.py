"""Over the quota: first a warning, then no writes, then back. The rules with the workshop, the effect with Postgres."""

from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from lives import install, installed, url_in
from rig import Rig
from sqlalchemy import func, select
from workshop import Workshop

from app.errors import Refused
from app.resources.models import Resource
from app.resources.sweep import enqueue_measurements
from app.resources.traces import Reading
from app.resources.usage import GRACE, MEMORY


async def measure(rig: Rig, **later: float) -> None:
    """The round that the worker makes every five minutes."""
    rig.clock.forward(**(later or {"minutes": 5}))
    await enqueue_measurements(rig.context)
    await rig.work()


async def test_over_the_limit_there_is_a_warning_then_no_writes_then_both_again(shop_rig: Rig, workshop: Workshop):
    _, addon = await installed(shop_rig)
    thing = workshop.things[UUID(addon.id)]
    workshop.used = workshop.limit
    await measure(shop_rig)
    assert (await shop_rig.resource(addon.id)).over_quota_at is None

    workshop.used = workshop.limit + 1
    await measure(shop_rig)
    assert (await shop_rig.resource(addon.id)).over_quota_at == shop_rig.clock()
    await measure(shop_rig, minutes=59)
    assert not thing.is_read_only
    await measure(shop_rig, minutes=1)
    assert thing.is_read_only
    assert (await shop_rig.resource(addon.id)).read_only_at == shop_rig.clock()
    await measure(shop_rig)
    assert (await shop_rig.events(addon.id))[-2:] == ["over_quota", "writes_refused"]

    workshop.used = 1
    await measure(shop_rig)
    assert not thing.is_read_only
    resource = await shop_rig.resource(addon.id)
    assert (resource.over_quota_at, resource.read_only_at) == (None, None)
    assert (await shop_rig.events(addon.id))[-2:] == ["writes_restored", "below_quota"]


async def test_who_makes_room_within_the_grace_never_loses_writes(shop_rig: Rig, workshop: Workshop):
    _, addon = await installed(shop_rig)
    for used in (101, 99, 101):
        workshop.used = used
        await measure(shop_rig, minutes=GRACE / timedelta(minutes=1) - 1)
    assert "restrict" not in workshop.calls
    assert (await shop_rig.resource(addon.id)).over_quota_at == shop_rig.clock()


async def test_a_restriction_that_got_lost_is_put_right_by_the_next_measurement(shop_rig: Rig, workshop: Workshop):
    _, addon = await installed(shop_rig)
    workshop.used = 101
    await measure(shop_rig)
    await measure(shop_rig, hours=1)
    workshop.things[UUID(addon.id)].is_read_only = False
    await measure(shop_rig)
    assert workshop.things[UUID(addon.id)].is_read_only


async def test_a_driver_that_cannot_restrict_just_then_is_asked_again(shop_rig: Rig, workshop: Workshop):
    _, addon = await installed(shop_rig)
    workshop.used = 101
    await measure(shop_rig)
    workshop.trouble["restrict"] = [RuntimeError("a bug"), Refused("no")]
    await measure(shop_rig, hours=1)
    assert (await shop_rig.resource(addon.id)).read_only_at is None
    await shop_rig.work()
    await measure(shop_rig)
    assert workshop.things[UUID(addon.id)].is_read_only
    assert (await shop_rig.resource(addon.id)).read_only_at == shop_rig.clock()


async def test_measurements_that_wait_do_not_pile_up_nor_hold_up_other_work(shop_rig: Rig, workshop: Workshop):
    app, addon = await installed(shop_rig)
    workshop.trouble["usage"] = [RuntimeError() for _ in range(3)]
    for _ in range(3):
        await enqueue_measurements(shop_rig.context)
    assert await shop_rig.jobs() == [("measure_usage", "todo")]
    await shop_rig.work()
    await shop_rig.simulator.calls.change_plan(addon, "premium")
    await shop_rig.work()
    assert url_in(shop_rig, app).endswith("/premium")


async def test_only_provisioned_resources_are_measured(shop_rig: Rig, workshop: Workshop):
    _, gone = await installed(shop_rig)
    await shop_rig.simulator.calls.deprovision(gone)
    await install(shop_rig, "standard", app="another-shop")
    await enqueue_measurements(shop_rig.context)
    assert "measure_usage" not in [name for name, _ in await shop_rig.jobs()]


async def test_readings_are_kept_for_a_week(shop_rig: Rig):
    await installed(shop_rig)
    for _ in range(4):
        await measure(shop_rig, days=3)
    async with shop_rig.context.database.transaction() as session:
        count, oldest = (await session.execute(select(func.count(), func.min(Reading.at)))).one()
    assert count == 3
    assert oldest >= shop_rig.clock() - MEMORY


async def test_a_full_database_refuses_writes_and_takes_them_again_when_there_is_room(rig: Rig):
    app, addon = await installed(rig)
    url = url_in(rig, app)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("CREATE TABLE filler (text text STORAGE PLAIN)")
        await connection.execute("INSERT INTO filler SELECT repeat('x', 8000) FROM generate_series(1, 9000)")
    await measure(rig)
    await measure(rig, hours=1)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await connection.execute("INSERT INTO filler VALUES ('more')")
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute("TRUNCATE filler")
    await measure(rig)
    assert (await rig.events(addon.id))[-2:] == ["writes_restored", "below_quota"]
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("INSERT INTO filler VALUES ('more')")
    await rig.simulator.calls.deprovision(addon)
    await rig.work()


async def test_two_measurements_at_one_time_make_one_reading(shop_rig: Rig):
    await installed(shop_rig)
    for _ in range(2):
        await enqueue_measurements(shop_rig.context)
        await shop_rig.work()
    assert await shop_rig.jobs() == []
    async with shop_rig.context.database.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Reading)) == 1


async def test_of_what_no_driver_can_measure_there_is_nothing_to_be_done(key_rig: Rig):
    _, addon = await install(key_rig, "test")
    jobs = [name for name, _ in await key_rig.jobs()]
    assert "provision_service" in jobs or "exchange_grant" in jobs
    assert "measure_usage" not in jobs
    await key_rig.work()
    await enqueue_measurements(key_rig.context)
    assert await key_rig.jobs() == []

    async with key_rig.context.database.transaction() as session:
        resource = await session.get_one(Resource, UUID(addon.id))
        resource.over_quota_at = resource.read_only_at = key_rig.clock()
    await enqueue_measurements(key_rig.context)
    assert [name for name, _ in await key_rig.jobs()] == ["measure_usage"]
    await key_rig.work()
    assert (await key_rig.resource(addon.id)).read_only_at is None
