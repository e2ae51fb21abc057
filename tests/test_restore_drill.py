"""The drill: yesterday's backup of our database is restored with Postgres' own programs, and nobody is harmed by it.

What has happened since is known to Heroku and to the server on which databases are sold. The comparison finds it, and
the operator's repairs mend it.
"""

import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from rig import Rig, environment, new_settings
from sqlalchemy import insert, select, text
from typer.testing import CliRunner

from app.__main__ import cli
from app.dev.postgres import DevPostgres
from app.dev.postgres_programs import environment as postgres_environment
from app.dev.postgres_programs import find_programs
from app.operations import healing, reconciliation, repairs
from app.operations.action import Order
from app.operations.after_restore import after_restore
from app.operations.models import Batch, BatchState, Difference
from app.operators import accounts
from app.operators.models import OperatorSession
from app.operators.roles import Actor, NotAllowed, Role
from app.resources.models import State
from app.resources.rotation import rotate
from app.resources.traces import SignIn
from app.simulator.records import AddOn

OWNER = Actor(name="olga@acme.example", role=Role.OWNER)
CONFIG_VAR = "ACME_POSTGRES_URL"


class Drill:
    """An add-on service, and its backup."""

    def __init__(self, rig: Rig, server: DevPostgres, folder: Path) -> None:
        self.rig = rig
        self._server = server
        self._dump = folder / "backup.dump"
        self._url = rig.settings.database_url.get_secret_value().replace("+psycopg", "")
        self._name = self._url.rpartition("/")[2]

    def back_up(self) -> None:
        self._run("pg_dump", "--format=custom", f"--file={self._dump}", self._url)

    async def restore(self) -> None:
        """As after a disaster: the database is gone and made anew from the backup."""
        await self.rig.context.database.close()
        with psycopg.connect(self._server.url.replace("+psycopg", ""), autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {self._name} WITH (FORCE)")
            admin.execute(f"CREATE DATABASE {self._name}")
        self._run("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={self._url}", str(self._dump))

    def _run(self, program: str, *words: str) -> None:
        command = [str(find_programs() / program), *words]
        subprocess.run(command, check=True, env=postgres_environment(), timeout=60)

    async def install(self, name: str, plan: str = "test") -> AddOn:
        app = self.rig.simulator.world.create_app(name)
        addon = await self.rig.simulator.calls.provision(app.name, plan)
        await self.rig.work()
        return addon

    async def a_day_of_work(self) -> None:
        """What the worker does by itself, from the first minute to the night's comparison."""
        for _ in range(3):
            await self.rig.sweep()
            await healing.heal(self.rig.context)
            await self.rig.work(rounds=2)
        await reconciliation.run_asked(self.rig.context)
        for _ in range(3):
            await healing.heal(self.rig.context)
            await self.rig.work(rounds=2)

    async def differences(self) -> dict[str, Difference]:
        run = await reconciliation.latest(self.rig.context)
        assert (run.error, run.caution) == (None, None)
        found = await reconciliation.differences(self.rig.context, run.id)
        return {str(one.resource_uuid): one for one in found}


def opens(addon: AddOn) -> bool:
    """Whether an app that has what Heroku has reaches its database."""
    try:
        with psycopg.connect(addon.config[CONFIG_VAR]) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


@pytest.fixture
async def drill(database_url: str, empty_server: DevPostgres, tmp_path: Path) -> AsyncIterator[Drill]:
    async with Rig(new_settings(database_url, deprovision_grace="3d")).running() as rig:
        yield Drill(rig, empty_server, tmp_path)


async def test_after_a_restore_everybody_works_on_and_what_happened_since_is_found_and_mended(drill: Drill):
    rig = drill.rig
    steady, rotated, moved, gone, kept = [
        await drill.install(name) for name in ("steady", "rotated", "moved", "gone", "kept")
    ]
    await rig.simulator.calls.deprovision(kept)
    await rig.work()
    rig.clock.forward(hours=2)
    drill.back_up()

    first = dict(rotated.config)
    await rotate(rig.context, UUID(rotated.id), OWNER.name)
    await rig.work()
    rig.clock.forward(hours=3)
    await rig.sweep()
    await rig.simulator.calls.change_plan(moved, "standard")
    await rig.simulator.calls.deprovision(gone)
    await rig.work()
    young = await drill.install("young")
    rig.clock.forward(days=3)
    before = {addon.id: dict(addon.config) for addon in (steady, rotated, moved, young)}
    assert first != before[rotated.id]

    await drill.restore()
    stopped = await after_restore(rig.context, Order(actor=OWNER, reason="Drill of November"))
    assert (stopped.kept, stopped.left_alone) == (1, 0)
    await drill.a_day_of_work()
    for addon in (steady, rotated, moved, young):
        assert addon.config == before[addon.id]
        assert opens(addon), addon.name
    assert (await rig.resource(kept.id)).kept_until == rig.clock() + timedelta(days=7)

    await reconciliation.run_daily(rig.context)
    found = await drill.differences()
    assert {uuid: (one.kind, one.repair) for uuid, one in found.items()} == {
        rotated.id: ("config", "rotate"),
        moved.id: ("plan", "move-plan"),
        gone.id: (found[gone.id].kind, "deprovision"),
        young.id: ("ghost", None),
    }

    ids = [one.id for one in found.values() if one.repair]
    outcomes = [one async for one in repairs.apply(rig.context, OWNER, ids, "The drill")]
    assert all(one.is_over for one in outcomes), outcomes
    await rig.work(rounds=2)
    assert (await rig.resource(gone.id)).state is State.DEPROVISIONED
    assert (await rig.resource(moved.id)).plan == "standard"
    for addon in (steady, rotated, moved, young):
        assert opens(addon), addon.name
    assert rotated.config == await rig.config(rotated.id) == before[rotated.id]

    rig.clock.forward(hours=3)
    await rig.sweep()
    await healing.heal(rig.context)
    await reconciliation.run_daily(rig.context)
    assert {uuid: one.kind for uuid, one in (await drill.differences()).items()} == {young.id: "ghost"}
    assert all(opens(addon) for addon in (steady, rotated, moved, young))


async def test_a_push_that_waited_in_the_backup_does_not_undo_a_newer_one(drill: Drill):
    rig = drill.rig
    addon = await drill.install("shop")
    await rotate(rig.context, UUID(addon.id), OWNER.name)
    rig.simulator.faults.add("error", direction="platform", path="/config", status=503, count=100)
    await rig.work()
    assert ("push_config", "todo") in await rig.jobs()
    drill.back_up()
    rig.simulator.faults.clear()
    await rig.work(rounds=2)
    rig.clock.forward(hours=3)
    await rig.sweep()
    await rotate(rig.context, UUID(addon.id), OWNER.name)
    await rig.work(rounds=2)
    rig.clock.forward(hours=3)
    await rig.sweep()
    third = dict(addon.config)

    await drill.restore()
    stopped = await after_restore(rig.context, Order(actor=OWNER, reason="The drill"))
    assert stopped.jobs == 1
    await drill.a_day_of_work()
    assert addon.config == third
    assert opens(addon)


async def test_what_was_being_provisioned_in_the_backup_is_not_taken_from_who_uses_it_now(drill: Drill):
    rig = drill.rig
    # As often as a slow machine may come to try again: a job's wait is measured by the real clock.
    rig.simulator.faults.add("error", direction="platform", path="/config", status=503, count=100)
    coming = await drill.install("coming", "standard")
    rig.simulator.faults.add("error", direction="tokens", status=503, count=100)
    unauthorized = await drill.install("unauthorized", "standard")
    assert (coming.state, unauthorized.state) == ("provisioning", "provisioning")
    drill.back_up()
    rig.simulator.faults.clear()
    await rig.work(rounds=3)
    assert (coming.state, unauthorized.state) == ("provisioned", "provisioned")
    rig.clock.forward(days=1)

    await drill.restore()
    stopped = await after_restore(rig.context, Order(actor=OWNER, reason="The drill"))
    assert stopped.left_alone == 1
    await drill.a_day_of_work()
    assert opens(coming)
    assert opens(unauthorized)
    assert (await rig.resource(coming.id)).state is State.PROVISIONED
    assert "in_use_at_heroku" in await rig.events(coming.id)
    assert (await rig.resource(unauthorized.id)).is_gone
    rig.clock.forward(hours=2)
    await reconciliation.run_daily(rig.context)
    assert {uuid: one.kind for uuid, one in (await drill.differences()).items()} == {unauthorized.id: "ghost"}


async def test_who_was_shut_out_since_the_backup_does_not_come_back_and_batches_wait(drill: Drill):
    rig = drill.rig
    addon = await drill.install("shop")
    context, now = rig.context, rig.clock()
    operator = await accounts.add(
        context, OWNER, email="left@acme.example", name="left", role=Role.OPERATOR, password=None
    )
    async with context.database.transaction() as session:
        session.add(
            OperatorSession(
                id=uuid4(), operator_id=operator.id, token_digest=b"d" * 32, created_at=now, seen_at=now,
                method="password", address="127.0.0.1", browser="a test",
            )
        )  # fmt: skip
        session.add(
            SignIn(
                id=uuid4(), resource_uuid=UUID(addon.id), form_digest=b"f" * 32, at=now, email="ada@example.com",
                user_id="u", is_user_proven=True,
            )
        )  # fmt: skip
        values = {
            "id": uuid4(), "action": "suspend", "query": "shop", "reason": "Abuse", "actor": OWNER.name,
            "ordered_by": OWNER.name, "role_number": 4, "created_at": now, "started_at": now, "parameters": {},
        }  # fmt: skip
        await session.execute(insert(Batch).values(**values))
    await reconciliation.ask(context, OWNER)
    drill.back_up()
    await drill.restore()
    stopped = await after_restore(context, Order(actor=OWNER, reason="The drill"))
    assert (stopped.sessions, stopped.batches) == (2, 1)
    async with context.database.transaction() as session:
        assert await session.scalar(select(OperatorSession.revoked_at)) == now
        assert await session.scalar(select(SignIn.signed_out_at)) == now
        assert await session.scalar(select(Batch.state)) is BatchState.PAUSED


async def test_it_is_for_owners_and_refused_while_a_worker_runs(drill: Drill):
    context = drill.rig.context
    operator = Actor(name="o@acme.example", role=Role.OPERATOR)
    with pytest.raises(NotAllowed):
        await after_restore(context, Order(actor=operator, reason="The drill"))
    async with context.database.transaction() as session:
        await session.execute(text("INSERT INTO procrastinate_workers DEFAULT VALUES"))
    with pytest.raises(repairs.Refused, match="Stop every process first"):
        await after_restore(context, Order(actor=OWNER, reason="The drill"))


def test_the_command_says_what_it_did(database_url: str, log_as_before: None, monkeypatch: pytest.MonkeyPatch):
    for name, value in environment(database_url).items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(cli, ["restored", "--reason", "The disk died"])
    assert done.exit_code == 0, done.output
    assert "0  waiting jobs were dropped" in done.output
    assert "Now start the processes" in done.output
    assert CliRunner().invoke(cli, ["restored"]).exit_code == 1
