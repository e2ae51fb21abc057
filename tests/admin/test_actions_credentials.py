"""Rotate, retire, refresh and reveal, as operators do."""

from datetime import timedelta
from uuid import UUID

import pytest
from deeds import REASON, actor, deeds, do, foretold, installed, why_not
from rig import Rig

from app.errors import Refused
from app.operations.action import Order
from app.operations.credentials import credentials_in_use, reveal_config
from app.operators.roles import NotAllowed, Role

VAR = "ACME_POSTGRES_URL"


async def test_rotated_with_the_overlap_and_retired_before_its_end(key_rig: Rig):
    app, addon = await installed(key_rig)
    old = key_rig.simulator.world.config_vars(app)[VAR]
    assert "2 more hours" in await foretold(key_rig, "rotate", addon.id)
    assert await why_not(key_rig, "retire-now", addon.id) is not None
    await do(key_rig, "rotate", addon.id, role=Role.OPERATOR)
    await key_rig.work()
    assert key_rig.simulator.world.config_vars(app)[VAR] != old
    assert (await key_rig.resource(addon.id)).retire_at == key_rig.clock() + timedelta(hours=2)
    assert "still under way" in (await why_not(key_rig, "rotate", addon.id) or "")
    with pytest.raises(Refused, match="still under way"):
        await do(key_rig, "rotate", addon.id)
    assert "Nobody can tell" in await foretold(key_rig, "retire-now", addon.id)
    await do(key_rig, "retire-now", addon.id, role=Role.OPERATOR)
    await key_rig.work()
    assert not (await key_rig.resource(addon.id)).is_rotating
    assert [event.kind for event in await deeds(key_rig, addon.id)] == ["rotation_requested", "retirement_requested"]


async def test_before_a_retirement_it_is_told_who_still_uses_what(rig: Rig):
    _, addon = await installed(rig)
    await do(rig, "rotate", addon.id)
    await rig.work()
    assert await credentials_in_use(rig.context, await rig.resource(addon.id)) == {1: 0, 2: 0}
    told = await foretold(rig, "retire-now", addon.id)
    assert "no connection is on the previous ones and no connection is on the new" in told


async def test_a_driver_in_trouble_leaves_it_untold(key_rig: Rig, monkeypatch):
    _, addon = await installed(key_rig)
    resource = await key_rig.resource(addon.id)

    async def in_use(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(type(key_rig.context.plans["test"].driver), "in_use", in_use)
    assert await credentials_in_use(key_rig.context, resource) is None


async def test_a_new_access_token_is_fetched_whatever_is_left_of_the_present_one(key_rig: Rig):
    _, addon = await installed(key_rig)
    before = await key_rig.resource(addon.id)
    key_rig.clock.forward(minutes=5)
    await do(key_rig, "refresh-token", addon.id, role=Role.SUPPORT)
    after = await key_rig.resource(addon.id)
    assert after.open(key_rig.context.keys, "access_token") != before.open(key_rig.context.keys, "access_token")
    assert (before.tokens_at, after.tokens_at) == (key_rig.clock() - timedelta(minutes=5), key_rig.clock())
    assert [event.kind for event in await deeds(key_rig, addon.id)] == ["token_refresh_requested"]


async def test_a_refresh_token_that_heroku_refuses_is_noted_until_tokens_come_again(key_rig: Rig):
    _, addon = await installed(key_rig)
    refused_at = key_rig.clock()
    for _ in range(2):
        key_rig.simulator.faults.add("error", direction="tokens", status=401)
        with pytest.raises(Refused, match="does not accept the refresh token"):
            await do(key_rig, "refresh-token", addon.id)
        key_rig.clock.forward(minutes=5)
    assert (await key_rig.resource(addon.id)).tokens_refused_at == refused_at
    assert (await key_rig.events(addon.id)).count("tokens_refused") == 1
    await do(key_rig, "refresh-token", addon.id)
    assert (await key_rig.resource(addon.id)).tokens_refused_at is None


async def test_a_resource_without_tokens_gets_them_by_another_grant_where_heroku_allows_it(key_rig: Rig):
    key_rig.simulator.faults.add("lost_answer", direction="tokens")
    _, addon = await installed(key_rig)
    key_rig.clock.forward(minutes=6)  # the life of the grant, whose answer was lost
    await key_rig.work()
    assert not (await key_rig.resource(addon.id)).has_tokens
    assert "another grant" in await foretold(key_rig, "refresh-token", addon.id)
    with pytest.raises(Refused, match="never authorized"):
        await do(key_rig, "refresh-token", addon.id)
    key_rig.simulator.world.oauth.reissues_grants = True
    await do(key_rig, "refresh-token", addon.id, role=Role.SUPPORT)
    assert (await key_rig.resource(addon.id)).has_tokens
    assert "grant_fetched" in await key_rig.events(addon.id)


async def test_heroku_being_away_is_no_refusal(key_rig: Rig):
    _, addon = await installed(key_rig)
    key_rig.simulator.faults.add("error", direction="tokens", status=503)
    with pytest.raises(Refused, match="please try again"):
        await do(key_rig, "refresh-token", addon.id)
    assert (await key_rig.resource(addon.id)).tokens_refused_at is None


async def test_config_is_shown_to_support_and_the_customer_sees_that_it_was(key_rig: Rig):
    app, addon = await installed(key_rig)
    order = Order(actor=actor(Role.SUPPORT), reason=REASON)
    shown = await reveal_config(key_rig.context, UUID(addon.id), order)
    assert shown == {VAR: key_rig.simulator.world.config_vars(app)[VAR]}
    (event,) = await deeds(key_rig, addon.id)
    assert (event.kind, event.text, event.is_for_customer) == ("config_shown", "Config vars shown to support", True)


async def test_config_is_not_shown_without_role_or_reason_or_resource(key_rig: Rig):
    _, addon = await installed(key_rig)
    with pytest.raises(NotAllowed):
        await reveal_config(key_rig.context, UUID(addon.id), Order(actor=actor(Role.VIEWER), reason=REASON))
    with pytest.raises(Refused, match="Say why"):
        await reveal_config(key_rig.context, UUID(addon.id), Order(actor=actor(), reason=" "))
    await key_rig.heroku.delete(f"/{addon.id}")
    await key_rig.work()
    for uuid in (UUID(addon.id), UUID(int=7)):
        with pytest.raises(Refused, match="no config vars"):
            await reveal_config(key_rig.context, uuid, Order(actor=actor(), reason=REASON))
    assert await deeds(key_rig, addon.id) == []
