"""What a customer reads of the schedule of the plan, and of credentials that are kept longer than the overlap."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from rig import Rig, key_plans, new_settings
from sqlalchemy import update
from visits import Browser, install, install_at_heroku, words

from app.plans import by_name
from app.resources.models import Resource
from app.web.pages import moment


@pytest.fixture
async def key_rig(database_url: str) -> AsyncIterator[Rig]:
    """As everywhere, except that `test` is rotated every thirty days."""
    plans = key_plans(database_url)
    scheduled = replace(plans["test"], rotate_every=timedelta(days=30))
    async with Rig(new_settings(database_url), by_name(scheduled, plans["standard"])).running() as rig:
        yield rig


async def held(rig: Rig, uuid: str, hold: str) -> Resource:
    """Rotated; the overlap is over, and the previous credentials are kept for this reason."""
    values = {
        "retire_at": rig.clock() + timedelta(minutes=5),
        "retirement_waits_for": hold,
        "retirement_waits_since": rig.clock(),
    }
    async with rig.context.database.transaction() as session:
        await session.execute(update(Resource).where(Resource.uuid == UUID(uuid)).values(values))
    return await rig.resource(uuid)


async def test_a_schedule_is_told_with_the_next_time(key_rig: Rig, browser: Browser):
    uuid = await install_at_heroku(key_rig)
    due_at = (await key_rig.resource(uuid)).credentials_at + timedelta(days=30)
    told = words(await browser.arrive(uuid))
    assert f"On this plan that is also done by itself every 30 days: the next time on {moment(due_at)} or soon" in told


async def test_a_plan_without_a_schedule_tells_of_none(key_rig: Rig, browser: Browser):
    uuid = await install(key_rig, plan="standard")
    await key_rig.work()
    assert "done by itself" not in words(await browser.arrive(uuid))


async def test_credentials_in_use_are_kept_and_can_be_retired(key_rig: Rig, browser: Browser):
    uuid = await install_at_heroku(key_rig)
    resource = await held(key_rig, uuid, "clients")
    page = await browser.arrive(uuid)
    latest = moment(resource.retirement_waits_since + timedelta(days=1))
    assert "Old and new credentials both work : now Something still uses the previous ones." in words(page)
    assert f"They work until it has stopped, at the latest until {latest}" in words(page)
    assert "data-watch" not in page.text
    assert (await browser.send(uuid, "retire")).status_code == 303
    assert "The previous credentials are retired : now" in words(await browser.see(uuid))


async def test_credentials_that_wait_for_heroku_tell_why(key_rig: Rig, browser: Browser):
    uuid = await install_at_heroku(key_rig)
    await held(key_rig, uuid, "heroku")
    told = words(await browser.arrive(uuid))
    assert "It is not certain that Heroku has the new ones, so the previous ones go on working." in told
