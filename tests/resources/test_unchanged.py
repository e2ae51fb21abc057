"""A change of a row that was read: written at once if the row is still the same, else to the row as it is by then."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import pytest
from rig import Rig, provision_body
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Gone
from app.resources import lifecycle
from app.resources.lifecycle import locked, record
from app.resources.models import Resource, State
from app.resources.traces import Event
from app.resources.unchanged import Seen, change, look


@pytest.fixture
async def uuid(key_rig: Rig) -> UUID:
    uuid = uuid4()
    await key_rig.heroku.post("", json=provision_body(uuid=str(uuid)))
    await key_rig.work()
    return uuid


async def note(session: AsyncSession, resource: Resource) -> None:
    resource.message = f"{resource.name} has been looked at"
    record(session, resource.uuid, resource.created_at, "looked_at", "somebody", "Looked at")


async def rename(rig: Rig, uuid: UUID, name: str) -> None:
    async with rig.context.database.transaction() as session:
        (await locked(session, uuid)).name = name


async def test_it_is_written_with_its_line_of_history_and_may_go_on(key_rig: Rig, uuid: UUID):
    seen = await look(key_rig.context, uuid)
    first = await change(key_rig.context, seen, note)
    second = await change(key_rig.context, first, note)
    assert None not in {seen.version, first.version, second.version}
    assert len({seen.version, first.version, second.version}) == 3
    assert (await key_rig.events(uuid)).count("looked_at") == 2
    assert (await key_rig.resource(uuid)).message == f"{seen.resource.name} has been looked at"


async def test_what_others_have_changed_meanwhile_stays(key_rig: Rig, uuid: UUID):
    seen = await look(key_rig.context, uuid)
    await rename(key_rig, uuid, "renamed")
    done = await change(key_rig.context, seen, note)
    assert (done.resource.name, done.resource.message) == ("renamed", "renamed has been looked at")
    resource = await key_rig.resource(uuid)
    assert (resource.name, resource.message) == ("renamed", "renamed has been looked at")
    assert (await key_rig.events(uuid)).count("looked_at") == 1


async def test_a_change_that_asks_for_a_job_is_one_transaction_with_it(key_rig: Rig, uuid: UUID):
    async def note_and_ask(session: AsyncSession, resource: Resource) -> None:
        await note(session, resource)
        await key_rig.context.queue.enqueue(session, "settle", resource.uuid)

    done = await change(key_rig.context, await look(key_rig.context, uuid), note_and_ask)
    assert done == Seen(done.resource)
    assert ("settle", "todo") in await key_rig.jobs()
    assert (await key_rig.events(uuid)).count("looked_at") == 1


async def test_whoever_has_gone_is_not_seen(key_rig: Rig, uuid: UUID):
    await lifecycle.deprovision(key_rig.context, uuid)
    with pytest.raises(Gone):
        await look(key_rig.context, uuid)
    with pytest.raises(Gone):
        await look(key_rig.context, uuid4())


@pytest.mark.parametrize(
    "values",
    [
        {"replaced_values": ["one", 'quote " and \\\n%s %(x)s \u2028'], "options": {"a": [1, None, {"b": 1.5}]}},
        {"replaced_values": [], "options": {}},
        {"config_sealed": b"\x00\xff\\x00", "details_sealed": b"", "seed_sealed": b"%s"},
        {
            "state": State.DEPROVISIONED,
            "deprovisioned_at": datetime(2026, 1, 1, 5, tzinfo=timezone(timedelta(hours=9))),
        },
        {"name": "%s %(row_name)s ' \" \\ \n é", "message": None, "webhook_id": UUID(int=5), "generation": 2**31 - 1},
    ],
)
async def test_every_kind_of_value_arrives_as_it_does_the_long_way(key_rig: Rig, uuid: UUID, values: dict[str, Any]):
    async def rule(session: AsyncSession, resource: Resource) -> None:
        for name, value in values.items():
            setattr(resource, name, value)
        record(session, resource.uuid, datetime(2026, 1, 1, tzinfo=UTC), "set", "'%s\"", "%(line_at)s\n", reason=None)

    done = await change(key_rig.context, await look(key_rig.context, uuid), rule)
    assert done.version is not None
    resource = await key_rig.resource(uuid)
    assert {name: getattr(resource, name) for name in values} == values
    assert {name: getattr(done.resource, name) for name in values} == values
    async with key_rig.context.database.transaction() as session:
        line = await session.scalar(select(Event).where(Event.kind == "set"))
    assert (line.actor, line.text, line.reason) == ("'%s\"", "%(line_at)s\n", None)


async def test_of_many_changes_at_the_same_moment_none_is_lost_or_made_twice(key_rig: Rig, uuid: UUID):
    async def count(session: AsyncSession, resource: Resource) -> None:
        resource.replaced_values = [*resource.replaced_values, "one more"]
        record(session, resource.uuid, resource.created_at, "counted", "somebody", "Counted")

    seen = [await look(key_rig.context, uuid) for _ in range(12)]
    await asyncio.gather(*(change(key_rig.context, one, count) for one in seen))
    assert len((await key_rig.resource(uuid)).replaced_values) == 12
    assert (await key_rig.events(uuid)).count("counted") == 12
