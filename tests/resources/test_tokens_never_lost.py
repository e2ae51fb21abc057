"""An answer of the token endpoint may be the only one of its kind: it is stored, whatever happens meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from killing import Scene, has_come, until
from lives import exchanges, hold_tokens, install, installed, take_over
from rig import Rig
from sqlalchemy import text
from sqlalchemy.engine import make_url

from app.errors import Unauthorized
from app.resources import rotation
from app.resources.tokens import fresh_access_token


@pytest.fixture
async def uuid(shop_rig: Rig) -> UUID:
    """A resource with an expired access token; Heroku gives a new refresh token with each access token."""
    _, addon = await installed(shop_rig)
    shop_rig.simulator.world.rotates_refresh_tokens = True
    shop_rig.clock.forward(hours=9)
    return UUID(addon.id)


@asynccontextmanager
async def database_away(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Nobody gets to the database, and whoever was there is thrown out; the program looks again at once."""
    monkeypatch.setattr("app.resources.authorization._PAUSE", timedelta(milliseconds=10))
    url = make_url(rig.settings.database_url.get_secret_value())
    server = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as admin:
        await admin.execute(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS false")
        cut = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
        await admin.execute(cut, [url.database])
        try:
            yield
        finally:
            await admin.execute(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS true")


async def held(rig: Rig, uuid: UUID) -> tuple[str | None, str | None]:
    """The present refresh token and the one before it."""
    resource = await rig.resource(uuid)
    return resource.open(rig.context.keys, "refresh_token"), resource.open(rig.context.keys, "former_refresh_token")


async def test_while_the_database_is_away_a_refreshed_token_waits_for_it(shop_rig: Rig, uuid: UUID, monkeypatch):
    arrived, go_on = await hold_tokens(shop_rig)
    caller = asyncio.create_task(fresh_access_token(shop_rig.context, uuid))
    await arrived.wait()
    async with database_away(shop_rig, monkeypatch):
        go_on.set()
        await until(lambda: answered(shop_rig, 2), "Heroku has answered")
        assert not caller.done()
    token = await caller
    assert token == await fresh_access_token(shop_rig.context, uuid)
    assert list(shop_rig.simulator.world.refresh_tokens) == [(await held(shop_rig, uuid))[0]]


async def answered(rig: Rig, number: int) -> bool:
    return len([one for one in exchanges(rig, "tokens") if one.status == 200]) == number


async def test_while_the_database_is_away_what_a_grant_was_spent_for_waits_for_it(shop_rig: Rig, monkeypatch):
    _, addon = await install(shop_rig, "standard")
    arrived, go_on = await hold_tokens(shop_rig)
    work = asyncio.create_task(shop_rig.work())
    await arrived.wait()
    async with database_away(shop_rig, monkeypatch):
        go_on.set()
        await until(lambda: answered(shop_rig, 1), "Heroku has answered")
        asking = list(shop_rig.context.asking.values())
    await asyncio.gather(*asking)
    await asyncio.gather(work, return_exceptions=True)  # the queue has lost its connections: a worker begins again
    assert (await shop_rig.resource(addon.id)).has_tokens
    await again(shop_rig)
    assert addon.state == "provisioned"
    assert len(exchanges(shop_rig, "tokens")) == 1


async def again(rig: Rig) -> None:
    """What a worker that has lost its connections was doing is taken over."""
    async with rig.context.database.transaction() as session:
        await session.execute(text("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'"))
    await take_over(rig)
    await rig.work()


async def test_the_replaced_refresh_token_is_kept_until_the_new_one_has_worked(shop_rig: Rig, uuid: UUID):
    first, _ = await held(shop_rig, uuid)
    await fresh_access_token(shop_rig.context, uuid)
    second, former = await held(shop_rig, uuid)
    assert former == first != second
    shop_rig.simulator.world.rotates_refresh_tokens = False
    shop_rig.clock.forward(hours=9)
    await fresh_access_token(shop_rig.context, uuid)
    assert await held(shop_rig, uuid) == (second, None)


async def test_the_replaced_refresh_token_is_used_when_the_new_one_is_refused(shop_rig: Rig, uuid: UUID):
    world = shop_rig.simulator.world
    first, _ = await held(shop_rig, uuid)
    kept = dict(world.refresh_tokens)
    await fresh_access_token(shop_rig.context, uuid)
    world.refresh_tokens.clear()
    world.refresh_tokens.update(kept)
    world.rotates_refresh_tokens = False
    shop_rig.clock.forward(hours=9)
    await fresh_access_token(shop_rig.context, uuid)
    assert (await held(shop_rig, uuid))[0] == first
    assert (await shop_rig.resource(uuid)).tokens_refused_at is None


async def test_a_lost_refresh_token_is_made_up_for_by_a_new_grant_where_heroku_allows_it(shop_rig: Rig, uuid: UUID):
    world = shop_rig.simulator.world
    world.refresh_tokens.clear()
    with pytest.raises(Unauthorized):
        await fresh_access_token(shop_rig.context, uuid)
    assert (await shop_rig.resource(uuid)).tokens_refused_at is not None
    world.oauth.reissues_grants = True
    assert await fresh_access_token(shop_rig.context, uuid) in world.access_tokens
    resource = await shop_rig.resource(uuid)
    assert (resource.tokens_refused_at, resource.refresh_leased_until) == (None, None)
    assert (await shop_rig.events(uuid))[-2:] == ["tokens_refused", "grant_fetched"]
    assert (await held(shop_rig, uuid))[0] in world.refresh_tokens


async def test_a_grant_whose_answer_was_lost_is_made_up_for_by_a_new_one_where_heroku_allows_it(shop_rig: Rig):
    _, addon = await install(shop_rig, "standard")
    shop_rig.simulator.world.oauth.reissues_grants = True
    shop_rig.simulator.faults.add("lost_answer", direction="tokens")
    await shop_rig.work(rounds=2)
    assert addon.state == "provisioned"
    assert "grant_fetched" in await shop_rig.events(addon.id)


@pytest.mark.parametrize("reissues", [True, False])
async def test_a_worker_that_is_killed_between_herokus_answer_and_its_commit(scene: Scene, reissues):
    """The narrowest moment there is. What Heroku has ended by then is not to be had again but from Heroku."""
    rig = scene.rig
    _, addon = await installed(rig)
    rig.simulator.world.rotates_refresh_tokens = True
    rig.simulator.world.oauth.reissues_grants = reissues
    # Only the rig's clock moves, and a worker process has its own: the token is old for both.
    await scene.query("UPDATE resources SET access_token_expires_at = now() - interval '1 hour' RETURNING uuid")
    await rotation.rotate(rig.context, UUID(addon.id), "ada@example.com")
    scene.heroku.hold("/oauth/token")
    await scene.start_worker()
    await until(has_come(scene.heroku.arrived), "the worker asks for a token")
    async with scene.locked("SELECT FROM resources FOR UPDATE"):
        scene.heroku.go_on()
        await until(lambda: answered(rig, 2), "Heroku has answered")
        await scene.until_waiting("SELECT resources.uuid")
        await scene.kill_worker()
    stored = (await rig.resource(addon.id)).open(rig.context.keys, "refresh_token")
    assert stored not in rig.simulator.world.refresh_tokens
    await scene.query("UPDATE resources SET refresh_leased_until = now() - interval '1 hour' RETURNING uuid")
    await take_over(rig)
    await rig.work()
    resource = await rig.resource(addon.id)
    events = await rig.events(addon.id)
    if reissues:
        assert addon.config == resource.config(rig.context.keys)
        assert "grant_fetched" in events
        assert resource.tokens_refused_at is None
    else:
        assert resource.needs_push
        assert (resource.tokens_refused_at is not None, "tokens_refused" in events) == (True, True)
        said = await scene.query("SELECT text FROM events WHERE kind = 'tokens_refused'")
        assert "A process had died while it refreshed it" in said[0][0]
        # As soon as Heroku lets us ask for a grant, the waiting job mends it without anybody's word.
        rig.simulator.world.oauth.reissues_grants = True
        await rig.work()
        assert addon.config == await rig.config(addon.id)
