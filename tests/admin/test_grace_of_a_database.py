"""A sold database after its end: renamed and out of reach for its grace, restored by an operator, then dropped."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from deeds import do
from rig import Rig, new_settings

from app.dev.postgres import DevPostgres
from app.operators.roles import NotAllowed, Role
from app.settings import Settings
from app.simulator.records import AddOn

CONFIG_VAR = "ACME_POSTGRES_URL"


def answer(url: str) -> str | None:
    """What is stored, or None where nobody is let in."""
    try:
        with psycopg.connect(url) as connection:
            return connection.execute("SELECT text FROM notes").fetchone()[0]
    except psycopg.OperationalError:
        return None


def databases(rig: Rig, uuid: str) -> set[str]:
    """The names of what is left of it on the server: databases and roles."""
    with psycopg.connect(rig.settings.database_url.get_secret_value().replace("+psycopg", "")) as admin:
        query = "SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles"
        return {name for (name,) in admin.execute(query) if UUID(uuid).hex in name}


async def removed(rig: Rig) -> tuple[AddOn, str]:
    """An add-on with something stored, which its customer has removed; and the URL that opened it."""
    rig.simulator.world.create_app("shop")
    addon = await rig.simulator.calls.provision("shop", "test")
    await rig.work()
    url = addon.config[CONFIG_VAR]
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE notes AS SELECT 'of the customer' AS text")
    assert answer(url) == "of the customer"
    await rig.simulator.calls.deprovision(addon)
    await rig.work()
    return addon, url


@pytest.fixture
async def default_rig(database_url: str, empty_server: DevPostgres) -> AsyncIterator[Rig]:
    grace = Settings.model_fields["deprovision_grace"].default
    assert grace == timedelta(days=3)
    async with Rig(new_settings(database_url, deprovision_grace=f"{grace.days}d")).running() as rig:
        yield rig


async def test_it_is_renamed_out_of_reach_and_dropped_after_three_days(default_rig: Rig):
    addon, url = await removed(default_rig)
    kept = f"addon_{UUID(addon.id).hex}_kept"
    assert answer(url) is None
    assert kept in databases(default_rig, addon.id)
    assert f"addon_{UUID(addon.id).hex}" in databases(default_rig, addon.id)  # the role that owns what is stored
    default_rig.clock.forward(days=2, hours=23)
    await default_rig.sweep()
    assert kept in databases(default_rig, addon.id)
    default_rig.clock.forward(hours=1)
    await default_rig.sweep()
    assert databases(default_rig, addon.id) == set()


async def test_an_operator_restores_it_for_seven_days_with_another_url(default_rig: Rig):
    addon, url = await removed(default_rig)
    with pytest.raises(NotAllowed):
        await do(default_rig, "restore", addon.id, role=Role.SUPPORT)
    await do(default_rig, "restore", addon.id, role=Role.OPERATOR)
    await default_rig.work()
    new = (await default_rig.config(addon.id))[CONFIG_VAR]
    assert (answer(new), answer(url)) == ("of the customer", None)
    default_rig.clock.forward(days=7)
    await default_rig.sweep()
    assert answer(new) is None
    assert databases(default_rig, addon.id) == set()


async def test_the_setting_0_drops_it_at_once(rig: Rig):
    addon, url = await removed(rig)
    assert answer(url) is None
    assert databases(rig, addon.id) == set()
