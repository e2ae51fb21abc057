"""What customers read in their app's log of what happens to their resource, and what becomes of lines on their way."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from rig import Rig, new_settings, provision_body
from sqlalchemy import select
from workshop import Workshop

from app.app_log import MOST_WAITING, AppLog, UnsentLine
from app.database import Database
from app.plans import Plan, by_name
from app.resources import log_writing, rotation, suspension
from app.resources.usage import measure_usage
from app.simulator.records import AddOn


class Talker(Workshop):
    """A driver that writes into customers' logs."""

    def use_app_log(self, app_log) -> None:
        self.app_log = app_log


@pytest.fixture
def workshop() -> Talker:
    return Talker()


def price_list(workshop: Workshop):
    plans = [Plan(name=name, driver=workshop, is_instant=name == "test") for name in ("test", "standard", "premium")]
    return by_name(*plans)


@pytest.fixture
async def rig(database_url: str, workshop: Talker) -> AsyncIterator[Rig]:
    async with Rig(new_settings(database_url), price_list(workshop), requires=["log_input"]).running() as rig:
        yield rig


@pytest.fixture
async def addon(rig: Rig) -> AddOn:
    addon = await rig.simulator.calls.provision(rig.simulator.world.create_app("shop").name, "test")
    await rig.work()
    return addon


def printed(rig: Rig, addon: AddOn) -> list[str]:
    """What the app's log has of the add-on."""
    return [line.text for line in rig.simulator.logs.of(rig.simulator.world.app("shop")) if line.process == addon.name]


async def waiting(rig: Rig) -> list[str]:
    async with rig.context.database.transaction() as session:
        return list(await session.scalars(select(UnsentLine.text).order_by(UnsentLine.id)))


def trouble(rig: Rig, status: int, count: int = 1) -> None:
    """Heroku's log input answers so the next times."""
    rig.simulator.faults.add("error", direction="logs", path="/logs", status=status, count=count)


class TestTheStory:
    async def test_a_customer_reads_in_the_log_what_happens_to_the_resource(self, rig, addon, workshop):
        assert printed(rig, addon) == ["Ready on the test plan"]
        await rig.simulator.calls.change_plan(addon, "premium")
        await rig.work()
        await rotation.rotate(rig.context, UUID(addon.id), "ada@example.com")
        await rig.work()
        until = rig.clock() + timedelta(hours=2)
        await suspension.suspend(rig.context, UUID(addon.id), "olga@example.com", reason="abuse")
        await suspension.resume(rig.context, UUID(addon.id), "olga@example.com", reason="a mistake")
        await rig.work()
        said = "Credentials rotated: the config vars have the new ones. "
        assert printed(rig, addon)[1:] == [
            "Plan changed from test to premium",
            f"{said}The previous ones work until {until:%Y-%m-%d %H:%M} UTC at least.",
            "Suspended: the service lets nobody in; what is stored is kept",
            "Resumed: the service works again, with the same credentials",
        ]
        assert await waiting(rig) == []

    async def test_it_tells_when_writes_are_refused_and_when_they_work_again(self, rig, addon, workshop):
        for used in (200, 200, 50):
            workshop.used = used
            await measure_usage(rig.context, UUID(addon.id))
            await rig.work()
            rig.clock.forward(hours=2)
        said = " | ".join(printed(rig, addon))
        for words in ("Writes will be refused in 60 minutes", "writes are refused. Delete data", "again: writes work"):
            assert words in said
        assert not any("olga" in line or "@" in line for line in printed(rig, addon))

    async def test_heroku_finds_nothing_wrong_with_any_of_it(self, rig, addon):
        await rotation.rotate(rig.context, UUID(addon.id), "ada@example.com")
        await rig.work()
        written = [one for one in rig.simulator.world.exchanges if one.direction == "logs"]
        assert len(written) == 2
        assert [finding.text for one in written for finding in one.findings] == []

    async def test_who_tells_nobody_else_writes_nothing(self, database_url, workshop):
        async with Rig(new_settings(database_url), price_list(workshop)).running() as rig:
            body = provision_body(log_input_url="https://token:t.1@1.us.logplex.io/logs")
            await rig.heroku.post("", json=body)
            await workshop.app_log.write(UUID(body["uuid"]), "hello")
            assert "write_log" not in [name for name, _ in await rig.jobs()]
            assert await waiting(rig) == []


class TestDrivers:
    async def test_a_driver_writes_a_line_at_any_time(self, rig, addon, workshop):
        await workshop.app_log.write(UUID(addon.id), "connections at 90 %\nslow query: select \x1b[31m1\0.")
        await rig.work()
        assert printed(rig, addon)[1:] == ["connections at 90 %", "slow query: select  [31m1 ."]

    async def test_lines_that_wait_travel_together_and_in_order(self, rig, addon, workshop):
        before = len(rig.simulator.world.exchanges)
        for number in range(30):
            await workshop.app_log.write(UUID(addon.id), f"line {number}")
        assert [name for name, _ in await rig.jobs()].count("write_log") == 1
        await rig.work()
        assert printed(rig, addon)[1:] == [f"line {number}" for number in range(30)]
        assert len(rig.simulator.world.exchanges) == before + 1

    async def test_a_driver_that_cannot_stop_talking_fills_no_table(self, rig, addon, workshop):
        async with rig.context.database.transaction() as session:
            now = rig.clock()
            lines = (UnsentLine(resource_uuid=UUID(addon.id), at=now, text=str(n)) for n in range(MOST_WAITING))
            session.add_all(lines)
        await workshop.app_log.write(UUID(addon.id), "one too many")
        assert len(await waiting(rig)) == MOST_WAITING
        async with rig.context.database.transaction() as session:
            await rig.context.queue.enqueue(session, "write_log", UUID(addon.id))
        await rig.work()
        assert printed(rig, addon)[1:] == [str(n) for n in range(MOST_WAITING)]
        await workshop.app_log.write(UUID(addon.id), "room again")
        await rig.work()
        assert printed(rig, addon)[-1] == "room again"


class TestTrouble:
    @pytest.mark.parametrize("status", [429, 500, 503])
    async def test_what_heroku_does_not_take_now_is_written_later_and_once(self, rig, addon, workshop, status):
        trouble(rig, status, count=2)
        await workshop.app_log.write(UUID(addon.id), "hello")
        await rig.work()
        assert (printed(rig, addon)[1:], await waiting(rig)) == ([], ["hello"])
        await rig.work(rounds=3)
        assert (printed(rig, addon)[1:], await waiting(rig)) == (["hello"], [])

    async def test_nothing_else_of_the_resource_waits_for_lines_nor_they_for_it(self, rig, addon, workshop):
        trouble(rig, 503, count=100)
        await workshop.app_log.write(UUID(addon.id), "hello")
        await rig.work()
        await rotation.rotate(rig.context, UUID(addon.id), "ada@example.com")
        await rig.work()
        assert (await rig.resource(addon.id)).retire_at is not None
        rig.simulator.faults.clear()
        rig.simulator.faults.add("error", direction="platform", count=100)
        await rotation.retire_now(rig.context, UUID(addon.id), "ada@example.com")
        await rig.work()
        await rotation.rotate(rig.context, UUID(addon.id), "ada@example.com")
        await rig.work(rounds=2)
        assert (await rig.resource(addon.id)).needs_push
        await workshop.app_log.write(UUID(addon.id), "and on")
        await rig.work()
        assert printed(rig, addon)[-1] == "and on"

    async def test_after_an_hour_a_line_is_dropped_and_the_job_ends(self, rig, addon, workshop):
        trouble(rig, 503, count=100)
        await workshop.app_log.write(UUID(addon.id), "old")
        await rig.work()
        rig.clock.forward(minutes=61)
        await rig.work(rounds=2)
        assert await waiting(rig) == []
        assert "write_log" not in [name for name, status in await rig.jobs() if status == "todo"]

    @pytest.mark.parametrize("status", [400, 401, 404, 410, 413])
    async def test_what_heroku_never_takes_is_dropped_and_troubles_nobody(self, rig, addon, workshop, status):
        trouble(rig, status)
        await workshop.app_log.write(UUID(addon.id), "hello")
        await rig.work()
        resource = await rig.resource(addon.id)
        assert (resource.last_error, resource.unauthorized_at, resource.failures) == (None, None, 0)
        assert (await waiting(rig), printed(rig, addon)[1:]) == ([], [])
        await workshop.app_log.write(UUID(addon.id), "and on")
        await rig.work()
        assert printed(rig, addon)[1:] == ["and on"]

    async def test_without_an_address_lines_go_nowhere(self, rig, workshop):
        await rig.heroku.post("", json=provision_body(oauth_grant=None))
        assert await waiting(rig) == ["Ready on the test plan"]
        await rig.work()
        assert await waiting(rig) == []

    async def test_an_address_that_is_not_herokus_gets_nothing(self, rig):
        body = provision_body(oauth_grant=None, log_input_url="http://token:t.1@127.0.0.1:5101/logs")
        await rig.heroku.post("", json=body)
        await rig.work()
        assert await waiting(rig) == []
        assert (await rig.resource(body["uuid"])).last_error is None

    async def test_of_a_deprovisioned_resource_nothing_is_written_any_more(self, rig, addon, workshop):
        await workshop.app_log.write(UUID(addon.id), "too late")
        await rig.simulator.calls.deprovision(addon)
        await rig.work()
        assert "too late" not in printed(rig, addon)
        rig.clock.forward(minutes=61)
        await log_writing.forget(rig.context)
        assert await waiting(rig) == []

    async def test_a_line_of_a_change_that_was_rolled_back_is_never_read(self, rig, addon):
        class Undone(Exception):
            pass

        async def undone() -> None:
            async with rig.context.database.transaction() as session:
                await rig.context.app_log.add(session, UUID(addon.id), "this did not happen")
                raise Undone

        with pytest.raises(Undone):
            await undone()
        await rig.work()
        assert printed(rig, addon) == ["Ready on the test plan"]

    async def test_a_line_that_is_committed_while_later_ones_are_on_their_way_is_not_lost(self, database_url, workshop):
        class Interrupted(Rig):
            """While Heroku is slow, something else happens."""

            async def _no_sleep(self, seconds: float) -> None:
                await first.__aexit__(None, None, None)

        async with Interrupted(
            new_settings(database_url), price_list(workshop), requires=["log_input"]
        ).running() as rig:
            addon = await rig.simulator.calls.provision(rig.simulator.world.create_app("shop").name, "test")
            await rig.work()
            first = rig.context.database.transaction()
            session = await first.__aenter__()
            line = UnsentLine(resource_uuid=UUID(addon.id), at=rig.clock(), text="the first")
            session.add(line)
            await session.flush()
            await workshop.app_log.write(UUID(addon.id), "the second")
            rig.simulator.faults.add("slow", direction="logs", path="/logs", seconds=1)
            await rig.work()
            assert await waiting(rig) == ["the first"]
            await workshop.app_log.write(UUID(addon.id), "the third")
            await rig.work()
            assert printed(rig, addon)[1:] == ["the second", "the first", "the third"]

    async def test_a_database_that_is_away_does_not_stop_a_driver(self, rig, addon):
        away = Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
        await AppLog(away, rig.context.queue, rig.clock, is_on=True).write(UUID(addon.id), "lost")
        await away.close()
        assert await waiting(rig) == []
