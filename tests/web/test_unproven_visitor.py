"""Who comes by a token that says nothing of the person: let in, but what they call themselves proves nothing."""

from uuid import UUID

import pytest
from rig import Rig
from sqlalchemy import select
from visits import ADA, Browser, install_at_heroku, words

from app.commands.resource_facts import line
from app.operations.timeline import Show, timeline
from app.resources.traces import Event

BOSS = "boss@example.com"


async def history(rig: Rig, uuid: str) -> list[Event]:
    async with rig.context.database.transaction() as session:
        return list(await session.scalars(select(Event).where(Event.resource_uuid == UUID(uuid)).order_by(Event.id)))


async def test_no_event_names_an_address_that_heroku_has_not_vouched_for(key_rig: Rig, browser: Browser):
    uuid = await install_at_heroku(key_rig)
    await browser.arrive(uuid, email=BOSS, is_proven=False)
    for form in ("config", "rotate"):
        assert (await browser.send(uuid, form)).status_code in {200, 303}
    await key_rig.work()
    key_rig.clock.forward(seconds=1)
    assert (await browser.send(uuid, "retire")).status_code in {200, 303}
    await browser.send(uuid, "sign-out")

    events = await history(key_rig, uuid)
    by_customer = [event.kind for event in events if event.actor == "a customer"]
    assert by_customer[:3] == ["signed_in", "config_shown", "rotation_requested"]
    assert by_customer[-1] == "signed_out"
    assert not [event for event in events if BOSS in event.actor + event.text]
    (came,) = [event for event in events if event.kind == "signed_in"]
    assert came.text == "Signed in to the dashboard; Heroku has not confirmed who it was"


async def test_whom_heroku_vouches_for_is_named(key_rig: Rig, browser: Browser):
    uuid = await install_at_heroku(key_rig)
    await browser.arrive(uuid)
    await browser.send(uuid, "rotate")
    await browser.send(uuid, "sign-out")
    by_ada = [event.kind for event in await history(key_rig, uuid) if event.actor == ADA]
    assert by_ada == ["signed_in", "rotation_requested", "signed_out"]


@pytest.mark.parametrize(
    ("is_proven", "email", "who"),
    [(False, BOSS, f"{BOSS} (address not confirmed)"), (True, ADA, ADA), (True, "", "a customer")],
)
async def test_operators_read_the_address_with_a_mark_unless_it_is_proved(
    key_rig: Rig, browser: Browser, is_proven, email, who
):
    uuid = await install_at_heroku(key_rig)
    page = await browser.arrive(uuid, email=email, is_proven=is_proven)
    assert ("address not confirmed" in words(page)) is not is_proven
    ((sign_in,), _) = await timeline(key_rig.context, UUID(uuid), show=Show.SIGN_INS)
    assert line(sign_in)["who"] == who
