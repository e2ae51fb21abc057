"""Deprovision by force, restore, purge: with real databases and a grace of three days."""

from collections.abc import AsyncIterator
from uuid import UUID

import psycopg
import pytest
from deeds import REASON, actor, deeds, do, foretold, installed, why_not
from rig import Rig, new_settings, provision_body

from app.dev.postgres import DevPostgres
from app.errors import Refused
from app.operations.action import Order
from app.operations.credentials import reveal_config
from app.operators.roles import NotAllowed, Role

VAR = "ACME_POSTGRES_URL"


@pytest.fixture
async def grace_rig(database_url: str, empty_server: DevPostgres) -> AsyncIterator[Rig]:
    async with Rig(new_settings(database_url, deprovision_grace="3d")).running() as rig:
        yield rig


def opens(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False


async def test_deprovisioned_by_force_although_heroku_says_no(grace_rig: Rig):
    app, addon = await installed(grace_rig)
    url = grace_rig.simulator.world.config_vars(app)[VAR]
    told = await foretold(grace_rig, "deprovision", addon.id)
    assert "removed for ever after 3 days" in told
    assert "listing and billing" in told
    said = await do(grace_rig, "deprovision", addon.id, role=Role.OPERATOR)
    assert "Heroku did not take the news" in said
    await grace_rig.work()
    assert not opens(url)
    resource = await grace_rig.resource(addon.id)
    assert (resource.state, resource.refresh_token_sealed) == ("deprovisioned", None)
    assert addon.state == "provisioned"
    assert [event.kind for event in await deeds(grace_rig, addon.id)] == ["deprovisioned"]
    assert (await grace_rig.events(addon.id))[-3:] == ["deprovisioned", "heroku_told", "set_aside"]
    assert await why_not(grace_rig, "deprovision", addon.id) is not None
    # The customer's own removal, later, finds it gone.
    assert (await grace_rig.heroku.delete(f"/{addon.id}")).status_code == 410


async def test_what_is_still_provisioned_heroku_takes_off_its_list(key_rig: Rig):
    key_rig.simulator.world.create_app("shop")
    addon = await key_rig.simulator.calls.provision("shop", "standard")
    key_rig.simulator.faults.add("error", direction="platform", path="/config", count=5)
    await key_rig.work()
    assert "for ever" in await foretold(key_rig, "deprovision", addon.id)
    assert "lists it no more" in await do(key_rig, "deprovision", addon.id)
    await key_rig.work()
    assert (await key_rig.resource(addon.id)).removed_at is not None
    assert addon.state == "deprovisioned"
    assert await key_rig.jobs() == []


@pytest.mark.parametrize(
    ("status", "said"), [(404, "did not know it"), (503, "could not be told"), (422, "did not take the news")]
)
async def test_whatever_heroku_answers_it_ends_here(key_rig: Rig, status: int, said: str):
    _, addon = await installed(key_rig)
    key_rig.simulator.faults.add("error", direction="platform", path="/deprovision", status=status)
    answer = await do(key_rig, "deprovision", addon.id)
    assert said in answer
    assert ".." not in answer
    assert (await key_rig.resource(addon.id)).is_gone


async def test_without_tokens_it_ends_here_too(key_rig: Rig):
    body = provision_body(oauth_grant=...)
    await key_rig.heroku.post("", json=body)
    assert "Heroku did not take the news" in await do(key_rig, "deprovision", body["uuid"])
    assert (await key_rig.resource(body["uuid"])).is_gone


async def test_restored_with_credentials_to_hand_over_and_purged(grace_rig: Rig):
    app, addon = await installed(grace_rig)
    url = grace_rig.simulator.world.config_vars(app)[VAR]
    with psycopg.connect(url) as customer:
        customer.execute("CREATE TABLE t AS SELECT 7 AS n")
    assert await why_not(grace_rig, "restore", addon.id) is not None
    await grace_rig.simulator.calls.deprovision(addon)
    await grace_rig.work()
    grace_rig.clock.forward(days=1)
    assert "with new credentials" in await foretold(grace_rig, "restore", addon.id)
    await do(grace_rig, "restore", addon.id, role=Role.OPERATOR)
    await grace_rig.work()
    shown = await reveal_config(grace_rig.context, UUID(addon.id), Order(actor=actor(Role.SUPPORT), reason=REASON))
    with psycopg.connect(shown[VAR]) as customer:
        assert customer.execute("SELECT n FROM t").fetchone() == (7,)
    assert not opens(url)

    with pytest.raises(NotAllowed):
        await do(grace_rig, "purge", addon.id, role=Role.OPERATOR)
    assert "for ever" in await foretold(grace_rig, "purge", addon.id)
    await do(grace_rig, "purge", addon.id, role=Role.OWNER)
    await grace_rig.work()
    assert not opens(shown[VAR])
    assert [event.kind for event in await deeds(grace_rig, addon.id)] == ["restored", "config_shown", "purged"]
    with pytest.raises(Refused, match="no config vars"):
        await reveal_config(grace_rig.context, UUID(addon.id), Order(actor=actor(), reason=REASON))
    for action in ("restore", "purge"):
        assert await why_not(grace_rig, action, addon.id) is not None
