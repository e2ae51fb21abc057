"""What a customer has stored is exported on request, by who may, with a reason, and the history keeps it."""

import asyncio
import gzip
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from panel import MACHINE
from rig import Rig, environment, new_settings
from sqlalchemy import select, update
from typer.testing import CliRunner

from app.__main__ import cli
from app.commands.export import write
from app.errors import Refused, Retry
from app.operations.action import Order
from app.operations.export import export
from app.operators import accounts, sessions
from app.operators.attempts import Browser
from app.operators.models import Operator
from app.operators.roles import Actor, NotAllowed, Role
from app.resources.traces import Event
from app.simulator.records import AddOn

OPERATOR = Actor(name="olga@acme.example", role=Role.OPERATOR)
ORDER = Order(actor=OPERATOR, reason="Ticket 4711")


async def installed(rig: Rig) -> AddOn:
    """A database with something in it."""
    rig.simulator.world.create_app("shop")
    addon = await rig.simulator.calls.provision("shop", "test")
    await rig.work()
    with psycopg.connect(addon.config["ACME_POSTGRES_URL"]) as connection:
        connection.execute("CREATE TABLE notes AS SELECT 'of the customer' AS text")
    return addon


async def script(rig: Rig, addon: AddOn, order: Order = ORDER) -> str:
    uuid = (await rig.resource(addon.id)).uuid
    pieces = [piece async for piece in export(rig.context, uuid, order)]
    return gzip.decompress(b"".join(pieces)).decode()


async def test_it_is_exported_with_a_reason_and_the_customer_sees_that_support_did(rig: Rig):
    addon = await installed(rig)
    assert "of the customer" in await script(rig, addon)
    async with rig.context.database.transaction() as session:
        event = await session.scalar(select(Event).where(Event.kind == "exported"))
    assert (event.actor, event.reason, event.is_for_customer) == (OPERATOR.name, "Ticket 4711", True)


async def test_not_by_support_and_not_without_a_reason(rig: Rig):
    addon = await installed(rig)
    with pytest.raises(NotAllowed):
        await script(rig, addon, Order(actor=Actor(name="s", role=Role.SUPPORT), reason="Ticket 4711"))
    with pytest.raises(Refused, match="Say why"):
        await script(rig, addon, Order(actor=OPERATOR, reason=" "))
    assert "exported" not in await rig.events(addon.id)


async def test_a_key_holds_nothing_that_could_be_exported(key_rig: Rig):
    key_rig.simulator.world.create_app("shop")
    addon = await key_rig.simulator.calls.provision("shop", "test")
    await key_rig.work()
    with pytest.raises(Refused, match="cannot be exported"):
        await script(key_rig, addon)


async def test_after_the_end_it_is_exported_as_long_as_it_is_kept(database_url, empty_server):

    async with Rig(new_settings(database_url, deprovision_grace="3d")).running() as rig:
        addon = await installed(rig)
        await rig.heroku.delete(f"/{addon.id}")
        await rig.work()
        assert "of the customer" in await script(rig, addon)
        rig.clock.forward(days=3)
        with pytest.raises(Refused, match="Nothing of this service is kept"):
            await script(rig, addon)
        await rig.sweep()
        with pytest.raises(Refused, match="Nothing of this service is kept"):
            await script(rig, addon)


async def test_the_command_writes_a_file_that_nobody_else_reads_and_replaces_none(
    rig: Rig, tmp_path: Path, log_as_before: None, monkeypatch: pytest.MonkeyPatch
):
    addon, to = await installed(rig), tmp_path / "shop.sql.gz"

    for name, value in environment(rig.settings.database_url.get_secret_value()).items():
        monkeypatch.setenv(name, value)
    words = ["resources", "export", addon.id, "--to", str(to), "--reason", "Ticket 4711"]
    done = await asyncio.to_thread(CliRunner().invoke, cli, words)
    assert done.exit_code == 0, done.output
    assert "of the customer" in gzip.decompress(to.read_bytes()).decode()
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    again = await asyncio.to_thread(CliRunner().invoke, cli, words)
    assert (again.exit_code, "exists already" in again.output) == (1, True)
    nowhere = await asyncio.to_thread(CliRunner().invoke, cli, [*words[:4], str(tmp_path / "no" / "f"), *words[5:]])
    assert (nowhere.exit_code, "cannot be written" in nowhere.output) == (1, True)


@pytest.mark.parametrize(("role", "is_told"), [(Role.SUPPORT, False), (Role.OPERATOR, True)])
async def test_the_page_of_a_resource_tells_who_may_how_it_is_done(rig: Rig, role: Role, is_told):
    addon = await installed(rig)
    operator = await accounts.add(rig.context, MACHINE, email="o@acme.example", name="o", role=role, password=None)
    async with rig.context.database.transaction() as session:
        await session.execute(update(Operator).values(password_hash="none", is_password_temporary=False))
    browser = Browser(address="127.0.0.1", name="a test")
    rig.http.cookies.set("operator", await sessions.begin(rig.context, operator, browser, sessions.Method.PASSWORD))
    page = await rig.http.get(f"/admin/resources/{addon.id}")
    assert page.status_code == 200
    assert (f"resources export {addon.id} --to FILE" in page.text) is is_told


async def test_one_that_is_broken_off_says_so_and_leaves_no_half_of_a_file(rig: Rig, tmp_path: Path):
    addon = await installed(rig)
    with psycopg.connect(addon.config["ACME_POSTGRES_URL"]) as connection:
        connection.execute(
            "CREATE TABLE much AS SELECT string_agg(md5(n::text || m::text), '') FROM generate_series(1, 40) n,"
            " generate_series(1, 2000) m GROUP BY n"
        )
        (database,) = connection.execute("SELECT current_database()").fetchone()
    admin_url = rig.settings.database_url.get_secret_value().replace("+psycopg", "")

    async def broken_off() -> AsyncIterator[bytes]:
        async for piece in export(rig.context, UUID(addon.id), ORDER):
            yield piece
            with psycopg.connect(admin_url, autocommit=True) as admin:
                admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database])

    with pytest.raises(Retry, match="cannot do this now"):
        await write(broken_off(), tmp_path / "shop.sql.gz")
    assert list(tmp_path.iterdir()) == []


async def test_the_command_writes_to_the_standard_output_as_well(
    rig: Rig, log_as_before: None, monkeypatch: pytest.MonkeyPatch
):
    addon = await installed(rig)
    for name, value in environment(rig.settings.database_url.get_secret_value()).items():
        monkeypatch.setenv(name, value)
    words = ["resources", "export", addon.id, "--to", "-", "--reason", "Ticket 4711"]
    done = await asyncio.to_thread(CliRunner().invoke, cli, words)
    assert "of the customer" in gzip.decompress(done.stdout_bytes).decode()
    assert "bytes were written" in done.stderr
