"""Steps that many stories share: install as a customer does, and look at what is left."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from rig import Rig
from sqlalchemy import text
from workshop import CONFIG_VAR, Workshop

from app.job_worker import retry_stalled_jobs, worker_app
from app.simulator.records import AddOn, App, Exchange
from app.worker import libpq_url


async def install(rig: Rig, plan: str, *, app: str = "shop") -> tuple[App, AddOn]:
    """A new app with the add-on on it, as far as Heroku's request alone brings it."""
    owner = rig.simulator.world.create_app(app)
    return owner, await rig.simulator.calls.provision(app, plan)


async def installed(rig: Rig, plan: str = "test") -> tuple[App, AddOn]:
    """A new app with the add-on ready on it, and nothing waiting."""
    app, addon = await install(rig, plan)
    await rig.work()
    assert addon.state == "provisioned"
    assert await rig.jobs() == []
    return app, addon


def url_in(rig: Rig, app: App) -> str:
    """The config var as the app's dynos see it."""
    return rig.simulator.world.config_vars(app)[CONFIG_VAR]


def exchanges(rig: Rig, direction: str = "", *, path: str = "") -> list[Exchange]:
    """What went over the wire, in order."""
    return [
        one for one in rig.simulator.world.exchanges if one.direction.startswith(direction) and one.url.endswith(path)
    ]


def our_calls(rig: Rig) -> list[str]:
    """What we have had Heroku do: verb and last part of the address, in order. Looks are left out."""
    ours = [one for one in exchanges(rig) if one.direction != "add-on" and one.method != "GET"]
    return [f"{one.method} {one.url.rsplit('/', 1)[-1]}" for one in ours]


async def hold_tokens(rig: Rig) -> tuple[asyncio.Event, asyncio.Event]:
    """Stop the next call of the token endpoint: it sets the first event and waits for the second."""
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_seconds: float) -> None:
        arrived.set()
        await go_on.wait()

    rig.simulator.app.state.parts = replace(rig.simulator.app.state.parts, sleep=wait)
    rig.simulator.faults.add("slow", direction="tokens")
    return arrived, go_on


async def due_at(rig: Rig, job: str) -> datetime | None:
    """When the waiting job is to run again."""
    async with rig.context.database.transaction() as session:
        query = text("SELECT scheduled_at FROM procrastinate_jobs WHERE task_name = :job AND status = 'todo'")
        return await session.scalar(query, {"job": job})


async def take_over(rig: Rig) -> None:
    """Put what lost workers were doing back into the queue, as every worker does every ten seconds."""
    queue = worker_app(url=libpq_url(rig.settings.database_url.get_secret_value()), jobs={}, periodic={})
    async with queue.open_async():
        await retry_stalled_jobs(queue, silent_for=timedelta(seconds=30))


async def assert_nothing_left(rig: Rig, workshop: Workshop, uuid: str) -> None:
    resource = await rig.resource(uuid)
    assert resource.state == "deprovisioned"
    assert resource.removed_at is not None
    assert resource.unsettled_since is None
    assert (resource.grant_sealed, resource.access_token_sealed, resource.refresh_token_sealed) == (None,) * 3
    assert resource.config_sealed is None
    assert workshop.things == workshop.set_aside_things == {}
    assert await rig.jobs() == []


async def dump(rig: Rig) -> str:
    """Every row of every table, as text; bytes as hexadecimal digits and as the text they may hold."""
    found = []
    async with rig.context.database.transaction() as session:
        tables = await session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        for table in tables.all():
            found += (await session.scalars(text(f'SELECT "{table}"::text FROM "{table}"'))).all()
    assert len(found) > 5
    return "\n".join(found)
