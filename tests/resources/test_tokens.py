"""Fresh access tokens: refreshed in time, once, by one caller, and never lost."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from lives import exchanges, hold_tokens, installed, our_calls
from rig import Rig
from sqlalchemy import update

from app.errors import Gone, Refused, Retry, Unauthorized
from app.resources import lifecycle, rotation
from app.resources.models import Resource
from app.resources.tokens import fresh_access_token
from app.simulator.troubles import expire_access_tokens


def refreshes(rig: Rig) -> int:
    """How often we asked for a token, the first exchange not counted."""
    return len(exchanges(rig, "tokens")) - 1


@pytest.fixture
async def uuid(shop_rig: Rig) -> UUID:
    _, addon = await installed(shop_rig)
    return UUID(addon.id)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for another's refresh takes no real time."""
    monkeypatch.setattr("app.resources.tokens._GLANCE", timedelta(0))


async def test_a_token_is_used_until_five_minutes_before_its_end(shop_rig: Rig, uuid: UUID):
    first = await fresh_access_token(shop_rig.context, uuid)
    shop_rig.clock.forward(hours=7, minutes=54)
    assert await fresh_access_token(shop_rig.context, uuid) == first
    shop_rig.clock.forward(minutes=1)
    second = await fresh_access_token(shop_rig.context, uuid)
    assert second != first
    assert await fresh_access_token(shop_rig.context, uuid) == second
    assert refreshes(shop_rig) == 1


async def test_a_new_refresh_token_replaces_the_old_one_and_is_used_next_time(shop_rig: Rig, uuid: UUID):
    shop_rig.simulator.world.rotates_refresh_tokens = True
    stored = []
    for _ in range(3):
        shop_rig.clock.forward(hours=8)
        await fresh_access_token(shop_rig.context, uuid)
        stored.append((await shop_rig.resource(uuid)).open(shop_rig.context.keys, "refresh_token"))
    assert len(set(stored)) == 3
    assert list(shop_rig.simulator.world.refresh_tokens) == stored[-1:]


async def test_a_token_that_heroku_refuses_is_refreshed_once_and_the_call_repeated_once(shop_rig: Rig, uuid: UUID):
    expire_access_tokens(shop_rig.simulator.world, shop_rig.simulator.world.addon(str(uuid)))
    await rotation.rotate(shop_rig.context, uuid, "ada@example.com")
    before = len(our_calls(shop_rig))
    await shop_rig.work()
    assert our_calls(shop_rig)[before:] == ["PATCH config", "POST token", "PATCH config"]
    assert [one.status for one in exchanges(shop_rig, path="config")] == [401, 200]
    assert await shop_rig.jobs() == []


async def test_a_token_refused_also_after_the_refresh_waits_and_loses_nothing(shop_rig: Rig, uuid: UUID):
    shop_rig.simulator.faults.add("error", direction="platform", status=401, count=4)
    await rotation.rotate(shop_rig.context, uuid, "ada@example.com")
    await shop_rig.work(rounds=2)
    assert await shop_rig.jobs() == [("push_config", "todo")]
    assert "Heroku answered 401" in ((await shop_rig.resource(uuid)).last_error or "")
    await shop_rig.work()
    assert shop_rig.simulator.world.addon(str(uuid)).config == await shop_rig.config(uuid)


async def test_fifty_callers_with_an_expired_token_make_one_refresh(shop_rig: Rig, uuid: UUID):
    shop_rig.clock.forward(hours=9)
    tokens = await asyncio.gather(*(fresh_access_token(shop_rig.context, uuid) for _ in range(50)))
    assert len(set(tokens)) == 1
    assert refreshes(shop_rig) == 1


async def test_fifty_callers_whose_token_was_refused_make_one_refresh(shop_rig: Rig, uuid: UUID):
    refused = await fresh_access_token(shop_rig.context, uuid)
    callers = (fresh_access_token(shop_rig.context, uuid, unlike=refused) for _ in range(50))
    tokens = set(await asyncio.gather(*callers))
    assert len(tokens) == 1
    assert refused not in tokens
    assert refreshes(shop_rig) == 1


async def test_callers_wait_for_the_one_who_refreshes(shop_rig: Rig, uuid: UUID):
    shop_rig.clock.forward(hours=9)
    arrived, go_on = await hold_tokens(shop_rig)
    first = asyncio.create_task(fresh_access_token(shop_rig.context, uuid))
    await arrived.wait()
    second = asyncio.create_task(fresh_access_token(shop_rig.context, uuid))
    go_on.set()
    assert await first == await second
    assert refreshes(shop_rig) == 1


async def test_the_lease_of_a_dead_holder_ends(shop_rig: Rig, uuid: UUID, hurried):
    shop_rig.clock.forward(hours=9)
    async with shop_rig.context.database.transaction() as session:
        await session.execute(update(Resource).values(refresh_leased_until=shop_rig.clock() + timedelta(seconds=30)))
    with pytest.raises(Retry, match="another worker"):
        await fresh_access_token(shop_rig.context, uuid)
    assert refreshes(shop_rig) == 0
    shop_rig.clock.forward(seconds=30)
    await fresh_access_token(shop_rig.context, uuid)
    assert (await shop_rig.resource(uuid)).refresh_leased_until is None


@pytest.mark.parametrize("kind", ["error", "rate_limit", "drop"])
async def test_a_refresh_that_fails_frees_the_lease(shop_rig: Rig, uuid: UUID, kind):
    shop_rig.clock.forward(hours=9)
    shop_rig.simulator.faults.add(kind, direction="tokens")
    with pytest.raises(Retry):
        await fresh_access_token(shop_rig.context, uuid)
    await fresh_access_token(shop_rig.context, uuid)
    assert refreshes(shop_rig) == 2


async def test_a_refresh_goes_on_when_its_caller_does_not_wait_for_it(shop_rig: Rig, uuid: UUID):
    shop_rig.clock.forward(hours=9)
    arrived, go_on = await hold_tokens(shop_rig)
    caller = asyncio.create_task(fresh_access_token(shop_rig.context, uuid))
    await arrived.wait()
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    go_on.set()
    await fresh_access_token(shop_rig.context, uuid)
    assert refreshes(shop_rig) == 1
    assert (await shop_rig.resource(uuid)).refresh_leased_until is None
    assert shop_rig.context.asking == {}


async def test_a_refresh_that_ends_with_its_process_frees_the_lease(shop_rig: Rig, uuid: UUID):
    shop_rig.clock.forward(hours=9)
    arrived, _ = await hold_tokens(shop_rig)
    caller = asyncio.create_task(fresh_access_token(shop_rig.context, uuid))
    await arrived.wait()
    for asking in shop_rig.context.asking.values():
        asking.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    assert (await shop_rig.resource(uuid)).refresh_leased_until is None


async def test_a_refused_refresh_token_is_told_to_operators_and_tried_again_later(shop_rig: Rig, uuid: UUID):
    shop_rig.clock.forward(hours=9)
    world = shop_rig.simulator.world
    kept = dict(world.refresh_tokens)
    world.refresh_tokens.clear()
    with pytest.raises(Unauthorized):
        await fresh_access_token(shop_rig.context, uuid)
    await rotation.rotate(shop_rig.context, uuid, "ada@example.com")
    await shop_rig.work(rounds=12)
    resource = await shop_rig.resource(uuid)
    assert resource.last_error == "push_config: POST /oauth/token: Heroku answered 401"
    assert (resource.state, resource.needs_push) == ("provisioned", True)
    world.refresh_tokens.update(kept)
    await shop_rig.work()
    assert world.addon(str(uuid)).config == await shop_rig.config(uuid)


async def test_a_resource_that_goes_during_its_refresh_keeps_no_tokens(shop_rig: Rig, uuid: UUID):
    shop_rig.clock.forward(hours=9)
    arrived, go_on = await hold_tokens(shop_rig)
    caller = asyncio.create_task(fresh_access_token(shop_rig.context, uuid))
    await arrived.wait()
    await lifecycle.deprovision(shop_rig.context, uuid)
    go_on.set()
    with pytest.raises(Gone):
        await caller
    resource = await shop_rig.resource(uuid)
    assert (resource.access_token_sealed, resource.refresh_token_sealed) == (None, None)
    with pytest.raises(Gone):
        await fresh_access_token(shop_rig.context, uuid)


async def test_without_a_grant_there_never_is_a_token(shop_rig: Rig, uuid: UUID):
    async with shop_rig.context.database.transaction() as session:
        await session.execute(update(Resource).values(refresh_token_sealed=None, access_token_sealed=None))
    with pytest.raises(Refused):
        await fresh_access_token(shop_rig.context, uuid)
