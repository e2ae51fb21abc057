"""Operators see what Heroku told by webhooks and have it handled again, in the panel and on the command line."""

import json
import re
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from deeds import deeds, do, why_not
from rig import Rig, key_plans, new_settings

from app.errors import Refused
from app.operators.roles import NotAllowed, Role
from app.resources import lifecycle, webhooks
from app.resources.traces import WebhookEvent
from app.simulator import apps
from app.simulator.records import AddOn


@pytest.fixture
async def key_rig(database_url: str) -> AsyncIterator[Rig]:
    """The usual one, but subscribed to webhooks."""
    settings = new_settings(database_url, heroku_webhooks="true")
    async with Rig(settings, key_plans(database_url)).running() as rig:
        yield rig


@pytest.fixture
async def addon(key_rig: Rig) -> AddOn:
    """On an app that Heroku has told to be renamed, with the news handled."""
    world = key_rig.simulator.world
    app = world.create_app("shop")
    addon = await key_rig.simulator.calls.provision(app.name, "test")
    await key_rig.work()
    apps.rename(world, app, "boutique", by=world.customers[app.owner_id])
    await key_rig.simulator.catch_up()
    await key_rig.work()
    return addon


async def fail(rig: Rig, addon: AddOn, name: str = "emporium") -> None:
    """A further renaming, about which Heroku refuses to be asked."""
    world = rig.simulator.world
    app = world.apps[addon.app_id]
    rig.simulator.faults.add("error", direction="platform", method="GET", status=403)
    apps.rename(world, app, name, by=world.customers[app.owner_id])
    await rig.simulator.catch_up()
    await rig.work()


async def webhook(rig: Rig, row_id: int) -> WebhookEvent:
    async with rig.context.database.transaction() as session:
        return await session.get_one(WebhookEvent, row_id)


async def test_the_list_tells_what_came_and_what_became_of_it(key_rig: Rig, addon: AddOn, panel_of):
    panel = await panel_of(Role.VIEWER)
    page = (await panel.http.get("/admin/webhooks")).text
    assert "api:app update: boutique" in page
    assert "The app was renamed from shop to boutique." in page
    assert addon.name in page
    assert "Handle again" not in page
    secret = (await key_rig.resource(addon.id)).open(key_rig.context.keys, "webhook_secret")
    assert secret not in page


async def test_on_a_phone_what_became_of_it_stays_together_beside_its_label(key_rig: Rig, addon: AddOn, panel_of):
    page = (await (await panel_of(Role.VIEWER)).http.get("/admin/webhooks")).text
    cells = re.findall(r'data-label="What became of it"[^>]*>(.*?)</td>', page, re.DOTALL)
    assert cells
    # Small screens make each cell a grid of two columns: a second child would begin a row below the label.
    assert [cell for cell in cells if not re.fullmatch(r"<div>((?!</div>).)*</div>", cell, re.DOTALL)] == []


async def test_the_list_is_filtered_by_what_became_of_it_by_kind_and_by_resource(key_rig: Rig, addon: AddOn, panel_of):
    await fail(key_rig, addon)
    panel = await panel_of(Role.SUPPORT)

    async def listed(query: str) -> tuple[bool, bool]:
        page = (await panel.http.get(f"/admin/webhooks?{query}")).text
        return "api:app update: boutique" in page, "api:app update: emporium" in page

    assert await listed("") == (True, True)
    assert await listed("status=handled") == (True, False)
    assert await listed("status=failed") == (False, True)
    assert await listed("kind=api:app&status=failed") == (False, True)
    assert await listed("kind=api:addon") == (False, False)
    assert await listed(f"resource={addon.id}") == (True, True)
    assert await listed(f"resource={uuid4()}") == (False, False)
    assert (await panel.http.get("/admin/webhooks?status=nonsense")).status_code == 422
    assert (await panel.http.get("/admin/webhooks?resource=nonsense")).status_code == 422


async def test_the_list_goes_on_page_by_page(key_rig: Rig, addon: AddOn, panel_of):
    for number in range(60):
        told = webhooks.Told(
            event_id=str(uuid4()),
            include="api:addon",
            action="destroy",
            happened_at=None,
            sequence=None,
            actor=None,
            changed=frozenset(),
            facts={"name": f"number-{number:02}"},
        )
        await webhooks.take(key_rig.context, UUID(addon.id), told)
    panel = await panel_of(Role.VIEWER)
    first = (await panel.http.get("/admin/webhooks?kind=api:addon")).text
    assert "number-59" in first
    assert "number-09" not in first
    older = first.rpartition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = (await panel.http.get(older)).text
    assert "number-09" in second
    assert "number-10" not in second
    assert 'rel="next"' not in second


async def test_a_webhook_is_on_the_timeline_of_its_resource(key_rig: Rig, addon: AddOn, panel_of):
    panel = await panel_of(Role.VIEWER)
    page = (await panel.http.get(f"/admin/resources/{addon.id}")).text
    assert "Heroku tells us of changes by" in page
    alone = (await panel.http.get(f"/admin/resources/{addon.id}/timeline?show=webhooks")).text
    for text in (page, alone):
        assert "api:app update: boutique" in text
    assert "Authorized by Heroku" not in alone


async def test_a_failed_webhook_is_handled_again_with_a_reason(key_rig: Rig, addon: AddOn, panel_of):
    await fail(key_rig, addon)
    panel = await panel_of(Role.SUPPORT)
    listed = (await panel.http.get("/admin/webhooks?status=failed")).text
    link = listed.partition("/actions/handle-webhook?webhook=")[2].partition('"')[0]
    page = f"/admin/resources/{addon.id}/actions/handle-webhook"
    assert f'<option value="{link}" selected>' in (await panel.http.get(f"{page}?webhook={link}")).text
    assert (await panel.post(page, webhook=link, reason="")).status_code == 422
    assert (await webhook(key_rig, int(link))).status == "failed"

    said = await panel.post(page, webhook=link, reason="Heroku answers again")
    assert "1 webhook will be handled again within moments." in said.text
    assert (await webhook(key_rig, int(link))).status == "waiting"
    await key_rig.work()
    again = await webhook(key_rig, int(link))
    assert (again.status, again.outcome) == ("handled", "The app was renamed from boutique to emporium.")
    audit = (await panel.http.get("/admin/audit?kind=webhooks_again")).text
    assert "Heroku answers again" in audit


async def test_all_that_failed_are_handled_again_at_once(key_rig: Rig, addon: AddOn):
    await fail(key_rig, addon)
    await fail(key_rig, addon, "bazaar")
    assert await do(key_rig, "handle-webhook", addon.id, webhook="failed") == (
        "2 webhooks will be handled again within moments."
    )
    await key_rig.work()
    assert (await key_rig.resource(addon.id)).app_name == "bazaar"
    assert [event.text for event in await deeds(key_rig, addon.id)] == ["2 webhooks handled again"]


async def test_a_webhook_of_another_resource_cannot_be_chosen(key_rig: Rig, addon: AddOn):
    other = await key_rig.simulator.calls.provision("boutique", "test")
    await key_rig.work()
    await fail(key_rig, addon)
    with pytest.raises(Refused, match=r"Choose one|has told nothing"):
        await do(key_rig, "handle-webhook", other.id, webhook="1")


async def test_viewers_handle_nothing_and_a_deprovisioned_resource_has_nothing_to_handle(key_rig: Rig, addon: AddOn):
    with pytest.raises(NotAllowed):
        await do(key_rig, "handle-webhook", addon.id, role=Role.VIEWER, webhook="1")
    await lifecycle.deprovision(key_rig.context, UUID(addon.id))
    assert "nothing left to ask Heroku" in (await why_not(key_rig, "handle-webhook", addon.id) or "")


async def test_why_there_is_no_subscription_is_on_the_page_of_the_resource(key_rig: Rig, panel_of):
    key_rig.simulator.faults.add("error", direction="platform", method="POST", path="/webhooks", status=422)
    app = key_rig.simulator.world.create_app("shop")
    addon = await key_rig.simulator.calls.provision(app.name, "test")
    await key_rig.work()
    panel = await panel_of(Role.VIEWER)
    page = (await panel.http.get(f"/admin/resources/{addon.id}")).text
    assert "Its webhooks could not be subscribed to" in page


async def test_the_command_line_lists_and_handles_them(key_rig: Rig, addon: AddOn, command):
    await fail(key_rig, addon)
    listed = await command("resources", "webhooks", addon.name, "--json")
    assert listed.exit_code == 0, listed.output
    rows = json.loads(listed.stdout)
    assert [(row["include"], row["action"], row["status"]) for row in rows[:2]] == [
        ("api:app", "update", "failed"),
        ("api:app", "update", "handled"),
    ]
    assert "boutique" in (await command("resources", "webhooks", addon.name, "--status", "handled")).stdout
    assert (await command("resources", "webhooks", addon.name, "--status", "nonsense")).exit_code != 0
    timeline = await command("resources", "timeline", addon.name, "--only", "webhooks")
    assert "Webhook api:app update: emporium: failed" in " ".join(timeline.stdout.split())
    done = await command(
        "resources",
        "handle-webhook",
        addon.name,
        "--webhook",
        str(rows[0]["id"]),
        "--reason",
        "Heroku is back",
        "--yes",
    )
    assert done.exit_code == 0, done.output
    await key_rig.work()
    assert (await webhook(key_rig, rows[0]["id"])).status == "handled"
