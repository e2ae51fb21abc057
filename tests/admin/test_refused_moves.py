"""A move to another plan that the driver refuses in the end: what operators see of it before and after."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from deeds import do, installed
from onlookers import words
from panel import Panel
from pydantic import SecretStr
from rig import Rig, new_settings
from sqlalchemy import select

from app.drivers.api_key import ApiKey
from app.drivers.base import Provisioned, ResourceInfo
from app.errors import Refused
from app.operations import batch_progress, batch_work, batches, figures
from app.operations.actions import ACTIONS
from app.operations.periods import read_period
from app.operators.roles import Actor, Role
from app.plans import Plan, by_name
from app.resources.traces import Event

OPERATOR = Actor(name="olga@acme.example", role=Role.OPERATOR)
TOO_FULL = Refused("It holds 5 MB and the plan has 1 MB: remove data first.")
WENT_BACK = f"The add-on could not be moved to the premium plan and is on the test plan again. {TOO_FULL.message}"


class Choosy(ApiKey):
    """Refuses changes of plan: the next ones, with one sentence each."""

    refusals: ClassVar[list[Refused]] = []

    async def change_plan(self, resource: ResourceInfo) -> Provisioned:
        if self.refusals:
            raise self.refusals.pop()
        return await super().change_plan(resource)


@pytest.fixture
async def key_rig(database_url: str) -> AsyncIterator[Rig]:
    """As the usual one, with a driver that refuses on order; operators sign in to this one."""
    Choosy.refusals.clear()
    driver = partial(
        Choosy, SecretStr(database_url), config_var="ACME_POSTGRES_URL", service_url="https://service.example.com"
    )
    plans = by_name(
        Plan(name="test", driver=driver(requests_per_minute=60), is_instant=True),
        Plan(name="premium", driver=driver(requests_per_minute=600)),
    )
    async with Rig(new_settings(database_url), plans).running() as rig:
        yield rig


async def plans_of(rig: Rig, uuid: UUID | str) -> tuple[str, str | None, set[str]]:
    """The plan of the row, the one that it says the service is on, and those that the service knows its keys on."""
    resource = await rig.resource(uuid)
    async with await psycopg.AsyncConnection.connect(libpq_url(rig)) as service:
        found = await service.execute("SELECT plan FROM api_keys WHERE uuid = %s", (UUID(str(uuid)),))
        return resource.plan, resource.service_plan, {plan for (plan,) in await found.fetchall()}


def libpq_url(rig: Rig) -> str:
    return rig.settings.database_url.get_secret_value().replace("+psycopg", "")


async def order_a_move_of_all(rig: Rig, *, number: int) -> UUID:
    """Of the `number` on the test plan to the premium one; the id of the batch."""
    return await batches.order(
        rig.context,
        OPERATOR,
        action=ACTIONS["move-plan"],
        query="plan:test",
        parameters={"plan": "premium"},
        reason="A larger plan for all",
        number=number,
    )


async def seen(panel: Panel, uuid: str) -> str:
    return words(await panel.http.get(f"/admin/resources/{uuid}"))


async def test_the_page_says_which_plan_the_service_is_on_and_why_it_went_back(
    key_rig: Rig, panel_of: Callable[..., Any]
):
    _, addon = await installed(key_rig)
    panel = await panel_of(Role.VIEWER)
    said = await do(key_rig, "move-plan", addon.id, plan="premium")
    assert said == "It is being moved to the plan premium; if the driver refuses, it goes back to the one it has."
    page = await seen(panel, addon.id)
    assert "Plan premium free The service is still on test." in page

    Choosy.refusals.append(TOO_FULL)
    await key_rig.work()
    page = await seen(panel, addon.id)
    assert "Plan test free Region" in page
    assert WENT_BACK in page
    assert f"settle: {TOO_FULL.message}" in page
    assert await plans_of(key_rig, addon.id) == ("test", "test", {"test"})


async def test_what_the_driver_agrees_to_stays(key_rig: Rig, panel_of: Callable[..., Any]):
    _, addon = await installed(key_rig)
    await do(key_rig, "move-plan", addon.id, plan="premium")
    await key_rig.work()
    assert await plans_of(key_rig, addon.id) == ("premium", "premium", {"premium"})
    assert "The service is still on" not in await seen(await panel_of(Role.VIEWER), addon.id)


async def test_a_move_that_is_skipped_goes_back(key_rig: Rig):
    _, addon = await installed(key_rig)
    await do(key_rig, "move-plan", addon.id, plan="premium")
    ((job, told),) = await ACTIONS["skip-job"].parameters[0].choices(key_rig.context, await key_rig.resource(addon.id))
    assert told.endswith("a plan that it was moved to is taken back")
    await do(key_rig, "skip-job", addon.id, job=job)
    await key_rig.work()
    assert await plans_of(key_rig, addon.id) == ("test", "test", {"test"})


async def test_in_a_batch_each_that_was_refused_is_on_its_plan_and_says_why(key_rig: Rig):
    app, first = await installed(key_rig)
    others = [await key_rig.simulator.calls.provision(app.name, "test") for _ in range(2)]
    uuids = sorted(UUID(addon.id) for addon in (first, *others))
    await key_rig.work()
    batch_id = await order_a_move_of_all(key_rig, number=3)
    await batch_work.work(key_rig.context)
    Choosy.refusals.append(TOO_FULL)
    await key_rig.work()
    await batch_work.work(key_rig.context)
    items, _ = await batch_progress.items(key_rig.context, batch_id)
    assert [item.uuid for item in items] == uuids
    assert sorted((item.state, item.plan) for item in items) == [
        ("done", "premium"),
        ("done", "premium"),
        ("failed", "test"),
    ]
    assert [item.message for item in items if item.state == "failed"] == [WENT_BACK]
    for uuid in uuids:
        plan, service_plan, kept = await plans_of(key_rig, uuid)
        assert plan == service_plan
        assert kept == {plan}


async def test_credentials_rotated_before_the_driver_was_asked_are_on_the_terms_it_has(key_rig: Rig):
    """What many are moved by goes after what customers ask for."""
    _, addon = await installed(key_rig)
    await order_a_move_of_all(key_rig, number=1)
    await batch_work.work(key_rig.context)
    await do(key_rig, "rotate", addon.id)
    Choosy.refusals.append(TOO_FULL)
    await key_rig.work()
    assert await plans_of(key_rig, addon.id) == ("test", "test", {"test"})
    assert (await key_rig.resource(addon.id)).generation == 2
    kinds = await key_rig.events(addon.id)
    assert kinds.index("rotated") < kinds.index("plan_change_failed")


async def test_the_overview_counts_it_where_it_is(key_rig: Rig):
    _, addon = await installed(key_rig)
    await do(key_rig, "move-plan", addon.id, plan="premium")
    Choosy.refusals.append(TOO_FULL)
    await key_rig.work()
    growth = await figures.growth(key_rig.context, read_period({}, ZoneInfo("UTC"), key_rig.clock()))
    assert +growth.mixes[-1] == {"test": 1}
    async with key_rig.context.database.transaction() as session:
        query = select(Event.plan_before, Event.plan_after).where(Event.plan_after.is_not(None)).order_by(Event.id)
        moves = [tuple(row) for row in await session.execute(query)]
    assert moves == [(None, "test"), ("test", "premium"), ("premium", "test")]
