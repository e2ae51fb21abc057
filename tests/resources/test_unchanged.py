"""A change of a row that was read: written at once if the row is still the same, else to the row as it is by then."""

from uuid import UUID, uuid4

import pytest
from rig import Rig, provision_body
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Gone
from app.resources import lifecycle
from app.resources.lifecycle import locked, record
from app.resources.models import Resource
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
