"""What is sold and to whom; operators withdraw a plan and offer it again."""

import httpx2
import pytest
from rig import Rig, provision_body
from sqlalchemy import select, update

from app.operators.roles import Role
from app.resources.models import Resource
from app.resources.traces import Event

SENTENCE = "The test plan is full at the moment. Please take standard."
WITHDRAW = "/admin/plans/test/withdraw"
FIELDS = {"sentence": SENTENCE, "reason": "The server is full", "name": "test"}


async def install(rig: Rig, plan: str = "test") -> httpx2.Response:
    return await rig.heroku.post("", json=provision_body(plan=plan))


async def test_each_plan_says_who_has_it_and_leads_to_them(key_rig: Rig, panel_of):
    await install(key_rig)
    await install(key_rig)
    panel = await panel_of(Role.VIEWER)
    page = (await panel.http.get("/admin/plans")).text
    assert '<a href="/admin/resources?q=plan%3Atest+state%3Aprovisioned">2</a>' in page
    assert page.count("on sale</span>") == 3
    assert "Withdraw" not in page


async def test_a_withdrawn_plan_is_refused_with_the_sentence_until_it_is_offered_again(key_rig: Rig, panel_of):
    installed = provision_body(plan="test")
    await key_rig.heroku.post("", json=installed)
    panel = await panel_of(Role.OPERATOR)
    assert "1 resource has it now and keeps it" in (await panel.http.get(WITHDRAW)).text
    page = await panel.post(WITHDRAW, **FIELDS)
    assert page.url.path == "/admin/plans"
    assert "The plan test is withdrawn from sale." in page.text
    assert SENTENCE in page.text

    refused = await install(key_rig)
    assert (refused.status_code, refused.json()["message"]) == (422, SENTENCE)
    assert (await key_rig.heroku.post("", json=installed)).status_code == 200
    assert (await install(key_rig, "standard")).status_code == 202

    page = await panel.post("/admin/plans/test/offer-again", reason="There is a new server")
    assert "is on sale again" in page.text
    assert (await install(key_rig)).status_code == 200
    async with key_rig.context.database.transaction() as session:
        query = select(Event).where(Event.kind.in_(["plan_withdrawn", "plan_offered"])).order_by(Event.id)
        events = (await session.scalars(query)).all()
    assert [(event.actor, event.reason) for event in events] == [
        (panel.email, "The server is full"),
        (panel.email, "There is a new server"),
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "standard"}, "to confirm. Nothing was done"),
        ({"reason": ""}, "Say why"),
        ({"sentence": "No."}, "what customers read"),
    ],
)
async def test_a_withdrawal_that_is_not_meant_changes_nothing(key_rig: Rig, panel_of, changes, words):
    panel = await panel_of(Role.OPERATOR)
    typed = FIELDS | changes
    page = await panel.post(WITHDRAW, **typed)
    assert page.status_code == 422
    assert words in page.text
    assert typed["sentence"] in page.text
    assert (await install(key_rig)).status_code == 200


async def test_what_is_on_sale_cannot_be_offered_again(key_rig: Rig, panel_of):
    panel = await panel_of(Role.OPERATOR)
    page = await panel.post("/admin/plans/test/offer-again", reason="Just so")
    assert page.status_code == 422
    assert "The plan test is on sale." in page.text
    assert (await panel.http.get("/admin/plans/gold/withdraw")).status_code == 404


async def test_customers_on_a_plan_that_the_code_has_lost_are_pointed_out(key_rig: Rig, panel_of):
    await install(key_rig)
    async with key_rig.context.database.transaction() as session:
        await session.execute(update(Resource).values(plan="hobby"))
    panel = await panel_of(Role.OPERATOR)
    page = (await panel.http.get("/admin/plans")).text
    assert "not in plans.py" in page
    assert "Customers have the plan hobby" in page
    assert "/admin/plans/hobby" not in page
