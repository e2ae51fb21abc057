"""On whose word a batch goes on: only on that of somebody who may give it at that moment."""

from uuid import UUID

import pytest
from panel import MACHINE, Panel
from rig import Rig
from sqlalchemy import select

from app.errors import Refused
from app.operations import batch_progress, batch_work, batches
from app.operations.models import BatchState
from app.operators import accounts
from app.operators.models import Operator
from app.operators.roles import Actor, Role
from app.resources.traces import Event

NEW = "/admin/batches/new?q=state:provisioned&action=push-config"
ORDER = {"q": "state:provisioned", "action": "push-config", "reason": "An incident at Heroku", "number": "4"}


@pytest.fixture
async def begun(key_rig: Rig, panel_of, monkeypatch) -> tuple[Panel, UUID]:
    """The panel of who ordered a batch of four, of which two have begun, and its id."""
    app = key_rig.simulator.world.create_app("demo")
    for _ in range(4):
        await key_rig.simulator.calls.provision(app.name, "test")
    await key_rig.work()
    panel = await panel_of(Role.OPERATOR)
    page = await panel.post(NEW, "/admin/batches/new", **ORDER)
    monkeypatch.setattr(batch_work, "IN_FLIGHT", 2)
    await batch_work.work(key_rig.context)
    return panel, UUID(page.url.path.rpartition("/")[2])


async def operator_of(rig: Rig, panel: Panel) -> UUID:
    async with rig.context.database.transaction() as session:
        return await session.scalar(select(Operator.id).where(Operator.email == panel.email))


async def look(rig: Rig, batch_id: UUID) -> tuple[BatchState, str | None, dict[str, int]]:
    progress = await batch_progress.find(rig.context, batch_id)
    counts = {state.value: number for state, number in progress.counts.items() if number}
    return progress.batch.state, progress.batch.note, counts


async def actors(rig: Rig, kind: str) -> list[str]:
    async with rig.context.database.transaction() as session:
        return list(await session.scalars(select(Event.actor).where(Event.kind == kind).order_by(Event.id)))


async def finish(rig: Rig, batch_id: UUID) -> None:
    for _ in range(4):
        await rig.work()
        await batch_work.work(rig.context)
    assert (await look(rig, batch_id))[0] is BatchState.DONE


async def test_it_pauses_when_the_account_is_disabled_and_another_operator_resumes_it(key_rig: Rig, begun, panel_of):
    panel, batch_id = begun
    await accounts.disable(key_rig.context, MACHINE, await operator_of(key_rig, panel))
    await batch_work.work(key_rig.context)  # there is no room for another one, and it pauses all the same
    state, note, counts = await look(key_rig, batch_id)
    assert (state, counts) == (BatchState.PAUSED, {"begun": 2, "waiting": 2})
    assert note == "operator@acme.example, on whose word it went on, is disabled now."
    assert await actors(key_rig, "batch_paused") == ["the program"]
    await key_rig.work()
    await batch_work.work(key_rig.context)
    assert (await look(key_rig, batch_id))[2] == {"done": 2, "waiting": 2}

    owner = await panel_of(Role.OWNER)
    here = f"/admin/batches/{batch_id}"
    page = await owner.http.get(here)
    assert note in page.text
    assert "goes on with the name and the role of whoever resumes it" in page.text
    page = await owner.post(here, f"{here}/resume")
    assert "The batch goes on." in page.text
    assert "<dt>Ordered by</dt><dd>operator@acme.example</dd>" in page.text
    assert "<dt>Resumed by</dt><dd>owner@acme.example</dd>" in page.text
    await finish(key_rig, batch_id)
    assert await actors(key_rig, "push_requested") == ["operator@acme.example"] * 2 + ["owner@acme.example"] * 2


async def test_it_pauses_when_the_role_is_too_low_by_now_and_not_when_it_is_higher(key_rig: Rig, begun, panel_of):
    panel, batch_id = begun
    operator = await operator_of(key_rig, panel)
    await accounts.change_role(key_rig.context, MACHINE, operator, Role.OWNER)
    await batch_work.work(key_rig.context)
    assert (await look(key_rig, batch_id))[0] is BatchState.RUNNING

    # Another owner has to be there, or the role could not be taken.
    await panel_of(Role.OWNER)
    await accounts.change_role(key_rig.context, MACHINE, operator, Role.SUPPORT)
    await key_rig.work()
    await batch_work.work(key_rig.context)
    state, note, counts = await look(key_rig, batch_id)
    assert (state, counts) == (BatchState.PAUSED, {"done": 2, "waiting": 2})
    assert note == (
        "operator@acme.example, on whose word it went on, has the role support now, and this takes the role operator."
    )
    who = Actor(name=panel.email, role=Role.SUPPORT, operator_id=operator)
    with pytest.raises(Refused, match="takes the role operator"):
        await batches.resume(key_rig.context, who, batch_id)
    assert (await look(key_rig, batch_id))[0] is BatchState.PAUSED


async def test_it_begins_with_nothing_between_the_disabling_and_the_pause(key_rig: Rig, begun, monkeypatch):
    panel, batch_id = begun
    await accounts.disable(key_rig.context, MACHINE, await operator_of(key_rig, panel))
    monkeypatch.setattr(batch_work, "IN_FLIGHT", 9)
    assert await batch_work._begin_some(key_rig.context) is batch_work._Begun.SOME
    state, _, counts = await look(key_rig, batch_id)
    assert (state, counts) == (BatchState.PAUSED, {"begun": 2, "waiting": 2})


async def test_what_has_begun_to_the_last_ends_without_a_word(key_rig: Rig, begun, monkeypatch):
    panel, batch_id = begun
    monkeypatch.setattr(batch_work, "IN_FLIGHT", 9)
    await batch_work.work(key_rig.context)
    await accounts.disable(key_rig.context, MACHINE, await operator_of(key_rig, panel))
    await finish(key_rig, batch_id)


async def test_a_paused_one_stays_paused_and_one_of_another_operator_goes_on(key_rig: Rig, begun, panel_of):
    panel, batch_id = begun
    await key_rig.work()
    owner = await panel_of(Role.OWNER)
    page = await owner.post(NEW, "/admin/batches/new", **ORDER)
    other = UUID(page.url.path.rpartition("/")[2])
    await batches.pause(key_rig.context, MACHINE, batch_id)
    await accounts.disable(key_rig.context, MACHINE, await operator_of(key_rig, panel))
    await finish(key_rig, other)
    state, note, counts = await look(key_rig, batch_id)
    assert (state, note, counts) == (BatchState.PAUSED, None, {"done": 2, "waiting": 2})


async def test_a_resumed_one_goes_on_when_whoever_ordered_it_leaves_and_pauses_when_the_other_does(
    key_rig: Rig, begun, panel_of
):
    panel, batch_id = begun
    owner = await panel_of(Role.OWNER)
    here = f"/admin/batches/{batch_id}"
    await owner.post(here, f"{here}/pause")
    await owner.post(here, f"{here}/resume")
    await accounts.disable(key_rig.context, MACHINE, await operator_of(key_rig, panel))
    await batch_work.work(key_rig.context)
    assert (await look(key_rig, batch_id))[0] is BatchState.RUNNING
    # Somebody has to be left who is an owner.
    words = {"email": "second@acme.example", "name": "Second", "role": Role.OWNER, "password": None}
    await accounts.add(key_rig.context, MACHINE, **words)
    await accounts.disable(key_rig.context, MACHINE, await operator_of(key_rig, owner))
    await batch_work.work(key_rig.context)
    state, note, _ = await look(key_rig, batch_id)
    assert state is BatchState.PAUSED
    assert note.startswith("owner@acme.example, on whose word")


async def test_who_resumes_it_on_the_command_line_answers_for_the_rest(key_rig: Rig, begun):
    panel, batch_id = begun
    await accounts.disable(key_rig.context, MACHINE, await operator_of(key_rig, panel))
    await batch_work.work(key_rig.context)
    await batches.resume(key_rig.context, MACHINE, batch_id)
    await finish(key_rig, batch_id)
    assert await actors(key_rig, "push_requested") == [panel.email] * 2 + [MACHINE.name] * 2
