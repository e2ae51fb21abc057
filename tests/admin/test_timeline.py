"""All that happened to a resource, on one line of time: whole, in order, page by page."""

from uuid import UUID

import pytest
from onlookers import arrive, install, new_browser, words
from rig import Rig

from app.operations import exchanges
from app.operations.action import Order, perform
from app.operations.actions import ACTIONS
from app.operations.timeline import Show, timeline
from app.operators.roles import Actor, Role
from app.resources.lifecycle import record

MACHINE = Actor(name="root@machine", role=Role.OWNER)


async def test_has_events_sign_ins_and_exchanges_newest_first(key_rig: Rig, panel_of):
    uuid = await install(key_rig)
    key_rig.clock.forward(minutes=1)
    async with new_browser(key_rig) as http:
        await arrive(key_rig, http, uuid)
    key_rig.clock.forward(minutes=1)
    await perform(
        key_rig.context, ACTIONS["push-config"], UUID(uuid), Order(actor=MACHINE, reason="Ticket 4711 says so")
    )
    await exchanges.write(key_rig.context)
    panel = await panel_of(Role.VIEWER)
    said = words(await panel.http.get(f"/admin/resources/{uuid}/timeline"))
    places = [
        said.index(words_)
        for words_ in (
            "Config vars are sent to Heroku again Ticket 4711 says so not for the customer root@machine operator",
            "Signed in to the dashboard ada@example.com",
            "Install requested with the test plan",
            "Heroku → us POST /heroku/resources 200",
        )
    ]
    assert places == sorted(places)
    assert said.count("Signed in to the dashboard") == 1
    only = {
        "operators": ["Ticket 4711"],
        "sign-ins": ["Signed in to the dashboard"],
        "exchanges": ["/sso/login", "/heroku/resources"],
        "events": ["Ticket 4711", "Install requested"],
    }
    everything = {words_ for found in only.values() for words_ in found}
    for show, expected in only.items():
        said = words(await panel.http.get(f"/admin/resources/{uuid}/timeline?show={show}"))
        assert {words_ for words_ in everything if words_ in said} == set(expected), show


async def test_pages_miss_nothing_and_repeat_nothing_even_within_one_moment(key_rig: Rig):
    uuid, context = UUID(await install(key_rig)), key_rig.context
    for step in range(12):
        if step % 3 == 0:
            key_rig.clock.forward(seconds=1)
        async with context.database.transaction() as session:
            record(session, uuid, context.clock(), "rotated", "the program", f"Event {step}")
        async with new_browser(key_rig) as http:
            await arrive(key_rig, http, str(uuid))
    await exchanges.write(context)
    everything, older = await timeline(context, uuid, limit=1000)
    assert older is None
    assert len(everything) >= 36
    for limit in (1, 2, 5, 50):
        seen, before = [], ""
        while before is not None:
            lines, before = await timeline(context, uuid, before=before, limit=limit)
            seen += lines
        assert [line.key for line in seen] == [line.key for line in everything]
    events, _ = await timeline(context, uuid, show=Show.EVENTS, limit=1000)
    assert [line.row.id for line in events] == sorted((line.row.id for line in events), reverse=True)


async def test_what_comes_in_meanwhile_does_not_move_the_pages(key_rig: Rig):
    uuid, context = UUID(await install(key_rig)), key_rig.context
    before, key = await timeline(context, uuid, limit=2)
    key_rig.clock.forward(seconds=5)
    async with context.database.transaction() as session:
        record(session, uuid, context.clock(), "rotated", "the program", "Newer than all")
    rest, _ = await timeline(context, uuid, before=key, limit=100)
    everything, _ = await timeline(context, uuid, limit=100)
    assert [line.key for line in everything][1:] == [line.key for line in (*before, *rest)]


@pytest.mark.parametrize(
    "key",
    [
        "x",
        "1-9-1",
        "1-1-1",
        "1-0-01234567-89ab-cdef-0123-456789abcdef",
        "1-0-9999999999999999999",
        "1-0-1'--",
        "%00",
    ],
)
async def test_a_damaged_link_is_said_to_be_one(key_rig: Rig, panel_of, key: str):
    uuid, panel = await install(key_rig), await panel_of(Role.VIEWER)
    page = await panel.http.get(f"/admin/resources/{uuid}/timeline?before={key}")
    assert page.status_code == 422
    assert "This link to older lines is damaged." in words(page)
    assert "Install requested" in words(page)


async def test_the_page_leads_to_what_is_older(key_rig: Rig, panel_of):
    uuid, panel = await install(key_rig), await panel_of(Role.VIEWER)
    async with key_rig.context.database.transaction() as session:
        for number in range(60):
            record(session, UUID(uuid), key_rig.clock(), "rotated", "the program", f"Line {number:03}")
    page = await panel.http.get(f"/admin/resources/{uuid}")
    older = page.text.partition("/timeline?before=")[2].partition('"')[0]
    second = await panel.http.get(f"/admin/resources/{uuid}/timeline?before={older}")
    assert "Line 059" in words(page)
    assert "Line 059" not in words(second)
    assert "Install requested" in words(second)
