"""Two operators at the same moment: one of them comes first, nothing is done twice, and the audit log stays whole."""

import asyncio
from collections.abc import Awaitable
from uuid import UUID

import pytest
from deeds import REASON, actor, do, installed
from panel import MACHINE
from rig import Rig, new_settings
from sqlalchemy import func, select

from app.errors import Gone, Refused
from app.operations import batches, reconciliation
from app.operations.actions import ACTIONS
from app.operations.audit_chain import link_events
from app.operations.audit_verification import verify
from app.operations.models import Batch, BatchState, Reconciliation
from app.operators import accounts
from app.operators.roles import Actor, Role
from app.resources.models import State
from app.resources.traces import Event


async def at_once(*deeds: Awaitable[object]) -> list[str]:
    """What became of each: `done`, or the sentence with which it was refused. Anything else is a failure."""

    async def outcome(deed: Awaitable[object]) -> str:
        try:
            await deed
        except Refused as refused:
            return refused.message
        except Gone:
            return "gone"
        return "done"

    return list(await asyncio.gather(*(outcome(deed) for deed in deeds)))


async def count(rig: Rig, uuid: str, kind: str) -> int:
    async with rig.context.database.transaction() as session:
        query = select(func.count()).where(Event.resource_uuid == UUID(uuid), Event.kind == kind)
        return await session.scalar(query) or 0


async def is_whole(rig: Rig) -> bool:
    await asyncio.gather(*(link_events(rig.context) for _ in range(3)))
    verdict = await verify(rig.context)
    return verdict.fault is None and verdict.waiting == 0


async def test_who_rotates_while_another_deprovisions_leaves_nothing_behind(key_rig: Rig):
    _, addon = await installed(key_rig)
    said = await at_once(do(key_rig, "rotate", addon.id), do(key_rig, "deprovision", addon.id))
    assert said[1] == "done"
    await key_rig.work()
    resource = await key_rig.resource(addon.id)
    assert resource.state is State.DEPROVISIONED
    assert resource.rotation_requested_at is None
    assert await count(key_rig, addon.id, "deprovisioned") == 1
    assert await is_whole(key_rig)


@pytest.mark.parametrize(
    ("action", "kind"),
    [("rotate", "rotation_requested"), ("suspend", "suspended"), ("deprovision", "deprovisioned")],
)
async def test_of_four_who_do_the_same_one_does_it(key_rig: Rig, action: str, kind: str):
    _, addon = await installed(key_rig)
    said = await at_once(*(do(key_rig, action, addon.id) for _ in range(4)))
    assert said.count("done") == 1, said
    assert await count(key_rig, addon.id, kind) == 1
    assert await is_whole(key_rig)


async def test_a_batch_is_paused_or_resumed_or_cancelled_once(key_rig: Rig):
    await installed(key_rig)
    batch_id = await batches.order(
        key_rig.context, actor(), action=ACTIONS["rotate"], query="plan:test", parameters={}, reason=REASON, number=1
    )
    for verb in (batches.pause, batches.resume, batches.cancel):
        said = await at_once(*(verb(key_rig.context, actor(), batch_id) for _ in range(3)))
        assert said.count("done") == 1, (verb.__name__, said)
    async with key_rig.context.database.transaction() as session:
        assert (await session.get_one(Batch, batch_id)).state is BatchState.CANCELLED


async def test_two_comparisons_never_run_at_once(key_rig: Rig):
    said = await at_once(*(reconciliation.ask(key_rig.context, actor()) for _ in range(4)))
    assert said.count("done") == 1
    async with key_rig.context.database.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Reconciliation)) == 1


async def test_the_last_two_owners_cannot_take_the_role_from_each_other(key_rig: Rig):
    owners = [
        await accounts.add(key_rig.context, MACHINE, email=f"{n}@acme.example", name="", role=Role.OWNER, password=None)
        for n in "ab"
    ]
    one, other = (Actor(name=owner.email, role=Role.OWNER, operator_id=owner.id) for owner in owners)
    said = await at_once(
        accounts.change_role(key_rig.context, one, owners[1].id, Role.VIEWER),
        accounts.disable(key_rig.context, other, owners[0].id),
    )
    assert sorted(said) == ["This is the last owner. Make somebody else an owner first.", "done"]


@pytest.mark.usefixtures("empty_server")
async def test_what_is_restored_at_the_moment_it_is_purged_is_removed_all_the_same(database_url: str):
    async with Rig(new_settings(database_url, deprovision_grace="3d")).running() as grace_rig:
        _, addon = await installed(grace_rig)
        await do(grace_rig, "deprovision", addon.id)
        await grace_rig.work()
        said = await at_once(do(grace_rig, "restore", addon.id), do(grace_rig, "purge", addon.id))
        assert said[1] == "done"
        await grace_rig.work()
        resource = await grace_rig.resource(addon.id)
        assert (resource.kept_until, resource.config_sealed) == (None, None)
        assert resource.removed_at is not None
