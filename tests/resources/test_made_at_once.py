"""Services made within a request: written down together in the usual case, one by one where more has happened."""

import asyncio
from uuid import UUID

from lives import exchanges, install, installed
from rig import Rig, provision_body
from sqlalchemy import select, text
from workshop import Workshop

from app.resources.traces import Event


async def row_as_told(rig: Rig, uuid: str) -> dict[str, object]:
    """What the row says besides times and secrets, and its jobs and events."""
    resource = await rig.resource(uuid)
    async with rig.context.database.transaction() as session:
        jobs = await session.execute(
            text("SELECT task_name, priority, queueing_lock, args FROM procrastinate_jobs WHERE lock = :lock"),
            {"lock": uuid},
        )
        events = await session.scalars(select(Event).where(Event.resource_uuid == UUID(uuid)).order_by(Event.id))
        return {
            "row": (resource.state, resource.plan, resource.service_plan, resource.message, resource.replaced_values),
            "versions": (resource.generation, resource.config_version, resource.pushed_version),
            "config": set(resource.config(rig.context.keys)),
            "due": (resource.config_due_at is None, resource.unsettled_since, resource.config_changed_at is None),
            "jobs": sorted(
                (name, priority, (lock or "").replace(uuid, ""), [*args]) for name, priority, lock, args in jobs
            ),
            "events": [(one.kind, one.actor, one.text, one.is_for_customer, one.plan_after) for one in events],
        }


async def test_together_or_alone_the_row_its_history_and_its_jobs_are_the_same(shop_rig: Rig, monkeypatch):
    usual = provision_body()
    assert (await shop_rig.heroku.post("", json=usual)).status_code == 200

    async def not_usual(_context, made):
        return [False] * len(made)

    monkeypatch.setattr("app.resources.made_at_once.record", not_usual)
    other = provision_body()
    assert (await shop_rig.heroku.post("", json=other)).status_code == 200
    assert await row_as_told(shop_rig, usual["uuid"]) == await row_as_told(shop_rig, other["uuid"])


async def test_many_at_once_each_get_their_own_config_which_the_row_keeps(shop_rig: Rig, workshop: Workshop):
    bodies = [provision_body() for _ in range(12)]
    answers = await asyncio.gather(*(shop_rig.heroku.post("", json=body) for body in bodies))
    for body, answer in zip(bodies, answers, strict=True):
        assert answer.json()["config"] == await shop_rig.config(body["uuid"])
        assert (await shop_rig.heroku.post("", json=body)).content == answer.content
    assert len({str(answer.json()["config"]) for answer in answers}) == 12 == len(workshop.things)


async def test_one_that_was_deprovisioned_meanwhile_stays_so_and_its_service_goes(shop_rig: Rig, workshop: Workshop):
    gate = workshop.hold("provision", is_after=True)
    body, neighbour = provision_body(), provision_body()
    request = asyncio.create_task(shop_rig.heroku.post("", json=body))
    await gate.arrived.wait()
    assert (await shop_rig.heroku.delete(f"/{body['uuid']}")).status_code == 204
    gate.open()
    answers = await asyncio.gather(request, shop_rig.heroku.post("", json=neighbour))
    assert [answer.status_code for answer in answers] == [410, 200]
    await shop_rig.work()
    assert set(workshop.things) == {UUID(neighbour["uuid"])}


async def test_heroku_is_not_sent_what_it_was_told_in_the_answer(shop_rig: Rig):
    await installed(shop_rig)
    await install(shop_rig, "test", app="another")
    assert not exchanges(shop_rig, path="/config")
