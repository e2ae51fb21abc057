"""The page of one resource: what it shows, to whom, also when Heroku is down; never a secret."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import httpx2
import pytest
from onlookers import install, words
from rig import Rig
from sqlalchemy import update

from app.operations.action import offer
from app.operations.actions import ACTIONS
from app.operators.roles import Role
from app.resources import app_facts, rotation
from app.resources.models import SECRETS, Resource


async def page_of(panel, uuid: str) -> httpx2.Response:
    page = await panel.http.get(f"/admin/resources/{uuid}")
    assert page.status_code == 200, words(page)
    return page


async def change(rig: Rig, uuid: str, **values) -> None:
    async with rig.context.database.transaction() as session:
        await session.execute(update(Resource).where(Resource.uuid == UUID(uuid)).values(**values))


async def test_it_tells_what_the_resource_is(key_rig: Rig, panel_of):
    uuid = await install(key_rig)
    said = words(await page_of(await panel_of(Role.VIEWER), uuid))
    resource = await key_rig.resource(uuid)
    for fact in (
        f"{resource.name} Provisioned",
        "Plan test free",
        "Virginia, United States",
        "Driver ApiKey",
        uuid,
        "App that pays shop Owner ada@example.com State there provisioned Plan there test",
        "Attached to shop as ACME_POSTGRES",
        "Nothing: all that was asked for is done.",
        "ACME_POSTGRES_URL •••••••••••• hidden",
        "This is generation 1.",
        "In order. Heroku gave the newest",
        "The access token expires in 8 hours.",
        "Nobody has opened the dashboard yet.",
        "Install requested with the test plan",
    ):
        assert fact in said


async def test_no_secret_is_on_it(key_rig: Rig, panel_of):
    uuid = await install(key_rig, "standard")
    resource, panel = await key_rig.resource(uuid), await panel_of(Role.OWNER)
    page = await page_of(panel, uuid)
    secrets = [resource.open(key_rig.context.keys, secret) for secret in SECRETS if secret not in {"config", "details"}]
    secrets += [*resource.config(key_rig.context.keys).values()]
    assert len([secret for secret in secrets if secret]) >= 4
    assert not [secret for secret in secrets if secret and secret in page.text]


async def test_an_unknown_resource_is_not_found(key_rig: Rig, panel_of):
    panel = await panel_of(Role.VIEWER)
    for path in (str(uuid4()), f"{uuid4()}/timeline", "not-a-uuid", "not-a-uuid/timeline"):
        assert (await panel.http.get(f"/admin/resources/{path}")).status_code == 404


class TestActions:
    async def test_a_viewer_is_offered_none(self, key_rig: Rig, panel_of):
        page = await page_of(await panel_of(Role.VIEWER), await install(key_rig))
        assert "A viewer changes nothing." in words(page)
        assert "/actions/" not in page.text
        assert "show-config" not in page.text

    @pytest.mark.parametrize("role", [Role.SUPPORT, Role.OPERATOR, Role.OWNER])
    async def test_each_role_is_offered_what_it_may_do_and_told_why_it_cannot_now(
        self, key_rig: Rig, panel_of, role: Role
    ):
        uuid = await install(key_rig)
        page, resource = await page_of(await panel_of(role), uuid), await key_rig.resource(uuid)
        for action in ACTIONS.values():
            why_not = (await offer(key_rig.context, action, resource)).why_not
            is_link = f'href="/admin/resources/{uuid}/actions/{action.id}"' in page.text
            assert is_link == (action.role <= role and why_not is None), action.id
            if action.role <= role and why_not is not None:
                assert f"{action.title} {why_not}" in words(page)
            elif action.role > role:
                assert f"why-{action.id}" not in page.text

    async def test_retrying_and_skipping_are_offered_while_something_waits_for_it(self, key_rig: Rig, panel_of):
        uuid, panel = await install(key_rig), await panel_of(Role.OPERATOR)
        said = words(await page_of(panel, uuid))
        assert "Retry now Nothing waits for this resource, and nothing is missing." in said
        assert "Skip a stuck job No job waits that could be given up." in said
        for action in ("retry-now", "skip-job"):
            assert 'name="reason"' not in (await panel.http.get(f"/admin/resources/{uuid}/actions/{action}")).text
        await rotation.rotate(key_rig.context, UUID(uuid), "ada@example.com")
        page = (await page_of(panel, uuid)).text
        for action in ("retry-now", "skip-job"):
            assert f'href="/admin/resources/{uuid}/actions/{action}"' in page

    async def test_a_resource_on_a_plan_that_is_gone_from_the_price_list_has_a_page(self, key_rig: Rig, panel_of):
        uuid = await install(key_rig)
        await change(key_rig, uuid, plan="retired-plan")
        said = words(await page_of(await panel_of(Role.OWNER), uuid))
        assert "retired-plan not in plans.py any more" in said


class TestWhatHerokuTells:
    async def test_is_read_once_after_provisioning(self, key_rig: Rig):
        uuid = await install(key_rig)
        resource = await key_rig.resource(uuid)
        assert (resource.app_name, resource.owner_email) == ("shop", "ada@example.com")
        assert resource.heroku_facts == {
            "state": "provisioned",
            "plan": "test",
            "app_id": key_rig.simulator.world.addons[uuid].app_id,
            "attachments": [["shop", "ACME_POSTGRES"]],
            "attachment_ids": [one.id for one in key_rig.simulator.world.attachments.values()],
        }
        assert resource.app_read_at == key_rig.clock()

    async def test_is_read_again_when_it_is_older_than_ten_minutes(self, key_rig: Rig, panel_of):
        uuid = await install(key_rig)
        key_rig.simulator.world.apps[key_rig.simulator.world.addons[uuid].app_id].name = "boutique"
        panel = await panel_of(Role.VIEWER)
        key_rig.clock.now += app_facts.STALE_AFTER - timedelta(seconds=1)
        assert "App that pays shop" in words(await page_of(panel, uuid))
        key_rig.clock.forward(seconds=1)
        said = words(await page_of(panel, uuid))
        assert "App that pays boutique" in said
        assert "Attached to boutique as" in said

    async def test_may_be_missing_where_the_token_may_not_look(self, key_rig: Rig, panel_of):
        uuid = await install(key_rig)
        key_rig.clock.forward(minutes=11)
        key_rig.simulator.faults.add("error", direction="platform", path="/apps", status=403)
        said = words(await page_of(await panel_of(Role.VIEWER), uuid))
        assert "App that pays shop Owner unknown" in said

    @pytest.mark.parametrize(
        ("status", "sentence"),
        [
            (503, "Heroku could not be asked just now. Below is what was known before."),
            (429, "Heroku could not be asked just now."),
            (404, "Heroku says that it does not know this resource."),
            (403, "Heroku answered 403"),
        ],
    )
    async def test_trouble_is_said_and_what_was_known_is_shown(self, key_rig: Rig, panel_of, status, sentence):
        uuid = await install(key_rig)
        key_rig.clock.forward(minutes=11)
        key_rig.simulator.faults.add("error", direction="platform", path="/addons", status=status)
        said = words(await page_of(await panel_of(Role.VIEWER), uuid))
        assert sentence in said
        assert "App that pays shop Owner ada@example.com" in said

    async def test_a_slow_heroku_is_not_waited_for_and_its_answer_is_kept(self, key_rig: Rig, panel_of, monkeypatch):
        uuid, panel = await install(key_rig), await panel_of(Role.VIEWER)
        key_rig.clock.forward(minutes=11)
        answered = asyncio.Event()
        ask = key_rig.context.heroku._client.request

        async def wait_and_ask(*args, **kwargs):
            await answered.wait()
            return await ask(*args, **kwargs)

        monkeypatch.setattr(key_rig.context.heroku._client, "request", wait_and_ask)
        monkeypatch.setattr(app_facts, "PATIENCE", timedelta(milliseconds=20))
        first, second = await asyncio.gather(page_of(panel, uuid), page_of(panel, uuid))
        for page in (first, second):
            assert "Heroku takes its time to answer. Below is what was known before." in words(page)
        (task,) = key_rig.context.being_read.values()  # both wait for one and the same
        answered.set()
        await task
        assert (await key_rig.resource(uuid)).app_read_at == key_rig.clock()
        assert "takes its time" not in words(await page_of(panel, uuid))

    async def test_nobody_is_asked_without_tokens(self, key_rig: Rig, panel_of):
        key_rig.simulator.world.create_app("shop")
        addon = await key_rig.simulator.calls.provision("shop", "standard")
        said = words(await page_of(await panel_of(Role.VIEWER), addon.id))
        assert "We have no tokens to ask Heroku with. Nothing is known yet" in said
        assert "has not been exchanged yet; it lives five minutes" in said

    async def test_a_job_that_is_not_told_gives_up_quietly(self, key_rig: Rig):
        key_rig.simulator.faults.add("error", direction="platform", path="/addons", count=10)
        uuid = await install(key_rig)
        assert (await key_rig.resource(uuid)).app_read_at is None
        assert (await key_rig.resource(uuid)).last_error is None
        assert await key_rig.jobs() == []
        assert "given_up" not in await key_rig.events(uuid)


class TestTrouble:
    async def test_comes_first(self, key_rig: Rig, panel_of):
        uuid = await install(key_rig)
        now = key_rig.clock()
        await change(
            key_rig,
            uuid,
            unknown_to_heroku_at=now,
            tokens_refused_at=now,
            failures=3,
            last_error="ValueError in push_config",
            last_error_at=now,
            heroku_facts={"state": "deprovisioned", "plan": "premium", "attachments": []},
        )
        said = words(await page_of(await panel_of(Role.VIEWER), uuid))
        for sentence in (
            "Heroku says that it does not know this resource.",
            "Heroku does not accept its refresh token.",
            "Work on it failed 3 times in a row: ValueError in push_config",
            "Heroku has it on the plan premium.",
            "For Heroku it is deprovisioned.",
        ):
            assert sentence in said
            assert said.index(sentence) < said.index("The resource Plan")

    async def test_a_push_that_hangs_is_told(self, key_rig: Rig, panel_of):
        uuid, panel = await install(key_rig), await panel_of(Role.VIEWER)
        key_rig.simulator.faults.add("error", direction="platform", path="/config", count=9)
        await rotation.rotate(key_rig.context, UUID(uuid), "ada@example.com")
        await key_rig.work(rounds=2)
        assert "Heroku does not have its newest config vars." not in words(await page_of(panel, uuid))
        key_rig.clock.forward(minutes=16)
        said = words(await page_of(panel, uuid))
        assert "Heroku does not have its newest config vars." in said
        assert "push_config waiting 1 time" in said
        assert "Heroku does not have them yet. This is generation 2." in said

    async def test_a_deprovisioned_resource_has_a_page_too(self, key_rig: Rig, panel_of):
        uuid = await install(key_rig)
        await key_rig.heroku.delete(f"/{uuid}")
        await key_rig.work()
        said = words(await page_of(await panel_of(Role.OWNER), uuid))
        assert "Deprovisioned" in said
        assert "Forgotten when it was deprovisioned." in said
        assert "Open the dashboard as support" not in said
