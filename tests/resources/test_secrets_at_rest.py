"""Secrets: none in clear in database or log; keys change while the program runs, and a wrong one stops it."""

import asyncio
import base64
import io
import json
from uuid import UUID

import pytest
from lives import dump, exchanges, installed, url_in
from rig import CLIENT_SECRET, ENCRYPTION_KEY, PASSWORD, SALT, Rig, new_settings
from sqlalchemy import select, text, update

from app.encryption import KeyRing, WrongKeyError
from app.operations.reencrypt import count_rows, reencrypt
from app.resources import lifecycle, rotation
from app.resources.models import SECRETS, EncryptionCanary, Resource

NEW_KEY = base64.urlsafe_b64encode(b"n" * 32).decode()


def every_shape(secret: str) -> list[str]:
    """How a secret could be stored or logged."""
    raw = secret.encode()
    return [secret, raw.hex(), base64.b64encode(raw).decode().rstrip("="), json.dumps(secret)[1:-1]]


class TestNothingInClear:
    async def test_a_whole_life_leaves_no_secret_in_the_database_nor_in_the_log(self, log: io.StringIO, rig: Rig):
        secrets = {PASSWORD, SALT, CLIENT_SECRET, ENCRYPTION_KEY}
        app, addon = await installed(rig, "standard")
        await self._note(rig, addon.id, secrets)
        in_use = await dump(rig)

        rig.simulator.world.rotates_refresh_tokens = True
        rig.simulator.faults.add("error", direction="platform", path="/config")
        rig.simulator.faults.add("error", direction="tokens", status=400)
        rig.clock.forward(hours=9)
        await rotation.rotate(rig.context, UUID(addon.id), "ada@example.com")
        await rig.work(rounds=3)
        secrets.add(url_in(rig, app))
        await self._note(rig, addon.id, secrets)
        rotated = await dump(rig)

        await rig.simulator.calls.deprovision(addon)
        waiting = await dump(rig)
        await rig.work()
        story = {"in use": in_use, "rotated": rotated, "waiting": waiting, "at the end": await dump(rig)}
        assert len(secrets) >= 14
        for secret in secrets:
            for shape in every_shape(secret):
                for moment, rows in story.items():
                    assert shape not in rows, moment
                assert shape not in log.getvalue()
        assert "heroku called" in log.getvalue()

    async def _note(self, rig: Rig, uuid: str, secrets: set[str]) -> None:
        """Add everything that is secret about a resource now."""
        resource, keys, world = await rig.resource(uuid), rig.context.keys, rig.simulator.world
        secrets.update(filter(None, (resource.open(keys, secret) for secret in SECRETS if secret != "details")))
        for url in resource.config(keys).values():
            secrets.update((url, url.split(":")[2].partition("@")[0]))
        secrets.update((*world.grants, *world.access_tokens, *world.refresh_tokens))

    async def test_a_job_knows_nothing_but_a_uuid(self, key_rig: Rig):
        _, addon = await installed(key_rig)
        await rotation.rotate(key_rig.context, UUID(addon.id), "ada@example.com")
        await key_rig.simulator.calls.change_plan(addon, "premium")
        async with key_rig.context.database.transaction() as session:
            rows = (await session.execute(text("SELECT task_name, args FROM procrastinate_jobs"))).all()
        assert len(rows) == 2
        assert {json.dumps(args) for _, args in rows} == {json.dumps({"uuid": addon.id})}

    async def test_the_simulator_was_really_told_the_secrets(self, key_rig: Rig):
        """The counterpart of the first test: what is searched for does travel in the calls."""
        _, addon = await installed(key_rig, "standard")
        assert (await key_rig.config(addon.id)) == addon.config
        assert [one.status for one in exchanges(key_rig, "tokens")] == [200]


class TestKeys:
    async def test_everything_is_sealed_anew_while_the_program_runs(self, database_url: str, key_rig: Rig):
        _, addon = await installed(key_rig, "standard")
        clear = await self._clear(key_rig, addon.id)
        async with Rig(new_settings(database_url, encryption_keys=f"{NEW_KEY},{ENCRYPTION_KEY}")).running() as rig:
            assert await self._clear(rig, addon.id) == clear
            assert await count_rows(rig.context) == 1
            assert [batch async for batch in reencrypt(rig.context)] == [(1, len(clear))]
            assert [batch async for batch in reencrypt(rig.context)] == [(1, 0)]
        async with Rig(new_settings(database_url, encryption_keys=NEW_KEY)).running() as rig:
            assert await self._clear(rig, addon.id) == clear
        with pytest.raises(WrongKeyError, match="ENCRYPTION_KEYS"):
            async with Rig(new_settings(database_url)).running():
                pass

    async def test_a_change_made_meanwhile_wins(self, database_url: str, key_rig: Rig):
        _, addon = await installed(key_rig, "standard")
        async with Rig(new_settings(database_url, encryption_keys=f"{NEW_KEY},{ENCRYPTION_KEY}")).running() as rig:
            writer = rig.context.database
            async with writer.transaction() as session:
                resource = await lifecycle.locked(session, UUID(addon.id))
                resource.seal(rig.context.keys, "access_token", "the-newest-token")
                await session.flush()
                work = asyncio.create_task(anext(reencrypt(rig.context)))
                await until_blocked(rig)
            await work
            assert (await rig.resource(addon.id)).open(rig.context.keys, "access_token") == "the-newest-token"

    async def test_a_wrong_key_stops_the_start_with_a_sentence(self, database_url: str, key_rig: Rig):
        other = base64.urlsafe_b64encode(b"w" * 32).decode()
        with pytest.raises(WrongKeyError) as caught:
            async with Rig(new_settings(database_url, encryption_keys=other)).running():
                pass
        assert str(caught.value).endswith("was sealed with a key that is not in ENCRYPTION_KEYS")
        assert other not in str(caught.value)

    async def test_an_old_key_that_is_dropped_too_early_stops_the_start(self, database_url: str, key_rig: Rig):
        async with Rig(new_settings(database_url, encryption_keys=f"{NEW_KEY},{ENCRYPTION_KEY}")).running():
            pass
        with pytest.raises(WrongKeyError):
            async with Rig(new_settings(database_url, encryption_keys=NEW_KEY)).running():
                pass

    async def test_many_processes_that_start_at_once_leave_one_canary(self, database_url: str, key_rig: Rig):
        async def start() -> None:
            async with Rig(new_settings(database_url, encryption_keys=f"{NEW_KEY},{ENCRYPTION_KEY}")).running():
                pass

        await asyncio.gather(*(start() for _ in range(4)))
        async with key_rig.context.database.transaction() as session:
            assert len((await session.scalars(select(EncryptionCanary))).all()) == 2

    async def test_what_was_copied_to_another_row_or_column_does_not_open(self, key_rig: Rig):
        _, addon = await installed(key_rig, "standard")
        app = key_rig.simulator.world.create_app("another-shop")
        other = await key_rig.simulator.calls.provision(app.name, "standard")
        await key_rig.work()
        stolen = (await key_rig.resource(addon.id)).config_sealed
        async with key_rig.context.database.transaction() as session:
            await session.execute(
                update(Resource)
                .where(Resource.uuid == UUID(other.id))
                .values(config_sealed=stolen, details_sealed=Resource.seed_sealed)
            )
        moved = await key_rig.resource(other.id)
        for secret in ("config", "details"):
            with pytest.raises(WrongKeyError, match="belongs to another row"):
                moved.open(key_rig.context.keys, secret)

    @pytest.mark.parametrize("damage", [b"", b"\x01", b"\x02abcdabcdabcd", b"\x01" + bytes(40)])
    async def test_what_is_not_a_sealed_value_does_not_open(self, damage: bytes):
        with pytest.raises(WrongKeyError):
            KeyRing([b"k" * 32]).open(damage, "purpose")

    @pytest.mark.parametrize("position", [0, 1, 5, 17, -1])
    async def test_no_byte_can_be_changed(self, position: int):
        keys = KeyRing([b"k" * 32])
        sealed = bytearray(keys.seal("the value", "purpose"))
        sealed[position] ^= 1
        with pytest.raises(WrongKeyError) as caught:
            keys.open(bytes(sealed), "purpose")
        assert "the value" not in str(caught.value)

    async def _clear(self, rig: Rig, uuid: str) -> dict[str, str]:
        resource = await rig.resource(uuid)
        values = {secret: resource.open(rig.context.keys, secret) for secret in SECRETS}
        return {secret: value for secret, value in values.items() if value is not None}


async def until_blocked(rig: Rig) -> None:
    """Until some connection of this database waits for another's lock; the database tells."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(10):
        while True:
            async with rig.context.database.transaction() as session:
                if await session.scalar(query):
                    return
