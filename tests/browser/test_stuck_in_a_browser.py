"""What is stuck, in a real browser: a batch whose orderer has left, and a suspension that cannot be carried out."""

import pytest
from chromium import needs_chromium
from playwright.async_api import expect
from served_panel import MACHINE, barriers, see, served_panel
from sqlalchemy import text

from app.operations import batch_work, telling
from app.operators import accounts
from app.operators.roles import Role

pytestmark = needs_chromium

BREAK = (
    "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no'; END$$",
    "CREATE TRIGGER no BEFORE UPDATE OF is_suspended ON api_keys FOR EACH ROW EXECUTE FUNCTION no()",
)


@pytest.mark.parametrize(("width", "colours"), [(1280, "light"), (360, "dark")])
async def test_it_is_seen_and_somebody_else_goes_on(database_url, monkeypatch, width, colours):
    async with served_panel(database_url) as panel:
        rig, name = panel.rig, f"stuck-{width}"
        app = rig.simulator.world.create_app("demo")
        addons = [await rig.simulator.calls.provision(app.name, "test") for _ in range(4)]
        await rig.work()
        olga = await panel.operator(Role.OPERATOR, "olga@acme.example")
        grace = await panel.operator(Role.OPERATOR, "grace@acme.example")
        how = {"viewport": {"width": width, "height": 800}, "color_scheme": colours}
        by_olga, by_grace = await panel.window(olga, **how), await panel.window(grace, **how)

        await by_olga.goto(f"{panel.url}/admin/batches/new?q=state:provisioned&action=push-config")
        await by_olga.get_by_label("Why?").fill("An incident at Heroku")
        await by_olga.get_by_label("Type how many they are").fill("4")
        await by_olga.keyboard.press("Enter")
        await expect(by_olga.get_by_text("It begins within seconds")).to_be_visible()
        batch = by_olga.url
        monkeypatch.setattr(batch_work, "IN_FLIGHT", 2)
        await batch_work.work(rig.context)
        await accounts.disable(rig.context, MACHINE, olga.id)
        rig.simulator.faults.add("revoke_token", direction="platform", path="/config", count=1)
        await rig.work()
        await batch_work.work(rig.context)

        await by_grace.goto(batch)
        await expect(
            by_grace.get_by_text("olga@acme.example, on whose word it went on, is disabled now.")
        ).to_be_visible()
        await expect(by_grace.get_by_text("Heroku does not accept its tokens")).to_be_visible()
        await see(by_grace, f"{name}-batch-paused")
        assert await barriers(by_grace) == []
        await by_grace.get_by_role("button", name="Resume").click()
        await expect(by_grace.get_by_text("The batch goes on.")).to_be_visible()
        await expect(by_grace.get_by_text("grace@acme.example").last).to_be_visible()
        await see(by_grace, f"{name}-batch-resumed")
        assert await barriers(by_grace) == []

        async with rig.context.database.transaction() as session:
            for statement in BREAK:
                await session.execute(text(statement))
        addon = addons[-1]
        page, resource = by_grace, f"{panel.url}/admin/resources/{addon.id}"
        await page.goto(f"{resource}/actions/suspend")
        await page.get_by_label("Why?").fill("Abuse, ticket 4711")
        await page.get_by_label("Type").fill(addon.name)
        await page.keyboard.press("Enter")
        await rig.work(rounds=3)
        rig.clock.forward(minutes=6)
        await telling.watch(rig.context)
        await page.goto(resource)
        await expect(page.get_by_text("could not be closed yet")).to_be_visible()
        await see(page, f"{name}-resource")
        assert await barriers(page) == []
        await page.goto(f"{panel.url}/admin/alerts")
        await expect(page.get_by_text("A suspension is not carried out")).to_be_visible()
        await see(page, f"{name}-alerts")
        assert await barriers(page) == []
        await page.goto(f"{panel.url}/admin/resources?q=is:attention")
        await see(page, f"{name}-attention")

        await page.goto(f"{resource}/actions/skip-job")
        stuck = await page.locator("option", has_text="suspend_service").get_attribute("value")
        await page.get_by_label("Job").select_option(stuck)
        await see(page, f"{name}-skip")
        assert await barriers(page) == []
        await page.get_by_label("Why?").fill("The database has been lost")
        await page.get_by_label("Type").fill(addon.name)
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("suspend_service was given up.")).to_be_visible()
        await expect(page.get_by_text("could not be closed yet")).to_be_visible()
        await see(page, f"{name}-skipped")
        assert panel.complaints == panel.foreign == []
