"""What there is on every side of a town, and whether it is the same: at Heroku, in the add-on's rows, and sold."""

import hashlib
from uuid import UUID

import psycopg
from sqlalchemy import select
from town import Town

from app.context import Context
from app.resources.models import Resource

CONFIG_VAR = "ACME_POSTGRES_URL"
KEY_PLANS = {"key", "slow-key"}


async def rows(context: Context) -> list[Resource]:
    async with context.database.transaction() as session:
        return list(await session.scalars(select(Resource)))


async def unrest(town: Town) -> list[str]:
    """What is still on its way, on any side."""
    world = town.simulator.world
    moving = [f"Heroku has to tell us that {uuid} is gone" for uuid in world.pending_deletes]
    moving += [f"for Heroku {one.id} is being provisioned" for one in world.installed() if one.state == "provisioning"]
    waiting = [one for one in world.webhook_deliveries.values() if not one.is_finished]
    moving += [f"Heroku has {len(waiting)} webhooks to deliver"] if waiting else []
    async with town.context() as context:
        for row in await rows(context):
            # Heroku takes no config vars of what it does not have: that waits until an operator ends it.
            is_known = str(row.uuid) in world.addons
            signs = {
                "unsettled": row.unsettled_since is not None,
                "provisioning": row.state == "provisioning",
                "rotating": row.is_rotating and is_known,
                "to be pushed": row.needs_push and is_known and not row.is_gone,
                "to be removed": row.is_gone and row.removed_at is None,
            }
            moving += [f"{row.uuid} ({row.plan}, {row.state}) is {sign}" for sign, is_so in signs.items() if is_so]
    return moving


async def agree(town: Town) -> set[UUID]:
    """Assert that all sides agree. Returns what only the add-on has: Heroku saw no answer, and has asked for no end."""
    world, forgotten = town.simulator.world, set[UUID]()
    async with town.context() as context:
        ours = {str(row.uuid): row for row in await rows(context)}
        for addon in world.installed():
            assert addon.id in ours, f"Heroku has {addon}, and we do not know it"
        for uuid, row in ours.items():
            addon = world.addons.get(uuid)
            if row.is_gone:
                assert addon is None or addon.state == "deprovisioned", f"{row.state} here, {addon.state} at Heroku"
                sealed = (row.grant_sealed, row.access_token_sealed, row.refresh_token_sealed, row.config_sealed)
                assert sealed == (None,) * 4
            elif addon is None:
                forgotten.add(row.uuid)
            else:
                assert addon.state == row.state == "provisioned", f"{row.state} here, {addon.state} at Heroku"
                assert addon.plan == row.plan
                assert addon.config == row.config(context.keys)
                app = world.apps[addon.app_id]
                names = [one.name for one in world.attachments_of(addon)]
                assert all(f"{name}_URL" in world.config_vars(app) for name in names)
                await assert_works(town, row, addon.config[CONFIG_VAR])
                if row.webhook_id is not None:
                    assert row.app_name == app.name
                    there = {(world.apps[one.app_id].name, one.name) for one in world.attachments_of(addon)}
                    assert {(one, name) for one, name in (row.heroku_facts or {})["attachments"]} == there
    living = [row for row in ours.values() if not row.is_gone]
    assert await databases(town) == {row.uuid.hex for row in living if row.plan not in KEY_PLANS}
    assert await keys(town) == {(row.uuid, row.generation) for row in living if row.plan in KEY_PLANS}
    # Of periodic work a round may fail: the next one does the same.
    failed = "SELECT task_name, lock FROM procrastinate_jobs WHERE status = 'failed' AND queue_name = 'resources'"
    assert await town.query(failed) == []
    return forgotten


async def assert_works(town: Town, row: Resource, value: str) -> None:
    """What was sold lets its customer in."""
    if row.plan in KEY_PLANS:
        digest = hashlib.sha256(value.encode()).digest()
        assert await town.query("SELECT uuid FROM api_keys WHERE digest = %s", digest) == [(row.uuid,)]
        return
    async with await psycopg.AsyncConnection.connect(value) as connection:
        await connection.execute("CREATE TEMPORARY TABLE it_works ()")


async def databases(town: Town) -> set[str]:
    """The uuids, as 32 digits, of the databases that are there; each has an owner and one login."""
    names = {name for (name,) in await town.query("SELECT datname FROM pg_database WHERE datname LIKE 'addon\\_%%'")}
    roles = [name for (name,) in await town.query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'addon\\_%%'")]
    for name in names:
        assert sum(role.startswith(name) for role in roles) == 2, (name, roles)
    assert len(roles) == 2 * len(names), (names, roles)
    return {name.removeprefix("addon_") for name in names}


async def keys(town: Town) -> set[tuple[UUID, int]]:
    """Whose keys there are, and of which generation."""
    return {(uuid, generation) for uuid, generation in await town.query("SELECT uuid, generation FROM api_keys")}
