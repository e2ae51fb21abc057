"""Plans that operators withdraw: nobody new gets them, and whoever has one notices nothing."""

import pytest
from deeds import REASON, actor, installed
from rig import Rig, provision_body
from sqlalchemy import select

from app.errors import Refused
from app.operations import sale
from app.operators.roles import NotAllowed, Role
from app.resources.traces import Event

SENTENCE = "The premium plan is sold out; standard has room."


async def withdraw(rig: Rig, plan: str = "premium", sentence: str = SENTENCE) -> None:
    await sale.withdraw(rig.context, actor(Role.OPERATOR), plan, sentence, REASON)


async def test_a_withdrawn_plan_is_refused_with_its_sentence_and_leaves_no_row(key_rig: Rig):
    await withdraw(key_rig)
    body = provision_body(plan="premium")
    answer = await key_rig.heroku.post("", json=body)
    assert (answer.status_code, answer.json()["message"]) == (422, SENTENCE)
    assert await sale.who_uses(key_rig.context) == {
        plan: {"provisioning": 0, "provisioned": 0, "deprovisioned": 0} for plan in ("test", "standard", "premium")
    }
    assert (await key_rig.heroku.post("", json=body | {"plan": "test"})).status_code == 200


async def test_who_has_it_keeps_it_and_a_repeated_request_gets_the_same_answer(key_rig: Rig):
    body = provision_body(plan="test")
    first = await key_rig.heroku.post("", json=body)
    await withdraw(key_rig, "test")
    again = await key_rig.heroku.post("", json=body)
    assert (again.status_code, again.content) == (200, first.content)
    assert (await key_rig.heroku.put(f"/{body['uuid']}", json={"plan": "test"})).status_code == 200
    assert (await sale.who_uses(key_rig.context))["test"]["provisioned"] == 1


async def test_a_change_to_it_is_refused_and_a_change_away_is_not(key_rig: Rig):
    body = provision_body(plan="test")
    await key_rig.heroku.post("", json=body)
    await withdraw(key_rig)
    await withdraw(key_rig, "test")
    answer = await key_rig.heroku.put(f"/{body['uuid']}", json={"plan": "premium"})
    assert (answer.status_code, answer.json()["message"]) == (422, SENTENCE)
    assert (await key_rig.resource(body["uuid"])).plan == "test"
    assert (await key_rig.heroku.put(f"/{body['uuid']}", json={"plan": "standard"})).status_code == 200


async def test_offered_again_it_is_sold_again(key_rig: Rig):
    await withdraw(key_rig)
    assert (await sale.withdrawals(key_rig.context))["premium"].sentence == SENTENCE
    await sale.offer_again(key_rig.context, actor(Role.OPERATOR), "premium", REASON)
    assert await sale.withdrawals(key_rig.context) == {}
    assert (await key_rig.heroku.post("", json=provision_body(plan="premium"))).status_code == 202
    with pytest.raises(Refused, match="is on sale"):
        await sale.offer_again(key_rig.context, actor(), "premium", REASON)


async def test_the_sentence_can_be_changed_and_every_deed_is_recorded(key_rig: Rig):
    await withdraw(key_rig)
    await withdraw(key_rig, sentence="It is sold out until spring.")
    await sale.offer_again(key_rig.context, actor(), "premium", REASON)
    async with key_rig.context.database.transaction() as session:
        events = list(await session.scalars(select(Event).order_by(Event.id)))
    assert [(event.kind, event.reason) for event in events] == [
        ("plan_withdrawn", REASON),
        ("plan_withdrawn", REASON),
        ("plan_offered", REASON),
    ]


@pytest.mark.parametrize("sentence", ["", "no", "x" * 301, "Sold out\x00 for now."])
async def test_without_a_sentence_for_customers_nothing_is_withdrawn(key_rig: Rig, sentence: str):
    with pytest.raises(Refused, match="what customers read"):
        await withdraw(key_rig, sentence=sentence)
    assert await sale.withdrawals(key_rig.context) == {}


async def test_it_takes_an_operator_a_reason_and_a_plan(key_rig: Rig):
    with pytest.raises(NotAllowed):
        await sale.withdraw(key_rig.context, actor(Role.SUPPORT), "premium", SENTENCE, REASON)
    with pytest.raises(NotAllowed):
        await sale.offer_again(key_rig.context, actor(Role.SUPPORT), "premium", REASON)
    with pytest.raises(Refused, match="Say why"):
        await sale.withdraw(key_rig.context, actor(), "premium", SENTENCE, "")
    with pytest.raises(Refused, match="no plan named 'gold'"):
        await withdraw(key_rig, "gold")
    assert await sale.withdrawals(key_rig.context) == {}


async def test_all_states_of_all_plans_are_counted(key_rig: Rig):
    await installed(key_rig)
    await key_rig.heroku.post("", json=provision_body(plan="standard"))
    gone = provision_body(plan="test")
    await key_rig.heroku.post("", json=gone)
    await key_rig.heroku.delete(f"/{gone['uuid']}")
    assert await sale.who_uses(key_rig.context) == {
        "test": {"provisioning": 0, "provisioned": 1, "deprovisioned": 1},
        "standard": {"provisioning": 1, "provisioned": 0, "deprovisioned": 0},
        "premium": {"provisioning": 0, "provisioned": 0, "deprovisioned": 0},
    }
