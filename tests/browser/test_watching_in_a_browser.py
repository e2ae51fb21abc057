"""Alerts and the comparison with Heroku in a real browser, on a phone and on a desk, by day and by night."""

import os

from chromium import PATIENCE_MS, needs_chromium
from playwright.async_api import Page, expect
from served_panel import PASSWORD, served_panel
from sqlalchemy import update

from app.operations import reconciliation, telling
from app.operators.roles import Role
from app.resources.models import Resource

pytestmark = needs_chromium


async def see(page: Page, name: str) -> None:
    """As it looks on a phone and on a desk, light and dark; no page is wider than the phone."""
    for width, scheme in ((360, "light"), (1280, "dark"), (1280, "light")):
        await page.set_viewport_size({"width": width, "height": 760})
        await page.emulate_media(color_scheme=scheme)
        assert await page.evaluate("document.documentElement.scrollWidth") == width
        if folder := os.environ.get("SCREENSHOTS"):
            await page.screenshot(path=f"{folder}/{name}-{width}-{scheme}.png", full_page=True)


async def test_an_orphan_is_found_repaired_by_keyboard_and_an_alert_shown(database_url):
    async with served_panel(database_url) as panel:
        rig = panel.rig
        world = rig.simulator.world
        app = world.create_app("demo")
        addons = [await rig.simulator.calls.provision(app.name, "test") for _ in range(8)]
        await rig.work()
        rig.clock.forward(hours=2)
        world.remove(addons[0], "in silence.")
        addons[1].plan = "premium"
        world.install(app, "test", name=None, options={}).state = "provisioned"
        await panel.operator(Role.OPERATOR, "o@acme.example")
        page = await panel.window()

        await page.goto(f"{panel.url}/admin/reconciliation")
        await page.get_by_label("E-mail").fill("o@acme.example")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Nothing has been compared yet")).to_be_visible()
        await see(page, "reconciliation-empty")
        await page.get_by_role("button", name="Compare now").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("waits for a worker")).to_be_visible()
        await see(page, "reconciliation-under-way")
        await reconciliation.run_asked(rig.context)
        await expect(page.get_by_role("heading", name="3 differences")).to_be_visible(timeout=PATIENCE_MS)
        await see(page, "reconciliation-found")

        await page.get_by_label(f"Select {addons[0].id}").focus()
        await page.keyboard.press("Space")
        await page.get_by_role("button", name="Repair what is selected").click()
        await page.get_by_label("Why?").fill("Heroku has lost it")
        await page.get_by_label("Type the number").fill("1")
        await see(page, "reconciliation-repair")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("It has ended here, as it had at Heroku.").first).to_be_visible()
        await see(page, "reconciliation-repaired")

        async with rig.context.database.transaction() as session:
            await session.execute(update(Resource).where(Resource.name == addons[2].name).values(failures=7))
        await telling.watch(rig.context)
        await page.get_by_role("link", name="Alerts").click()
        await expect(page.get_by_text("2 open")).to_be_visible()
        await expect(page.get_by_text("has failed 7 times in a row")).to_be_visible()
        await see(page, "alerts")
        assert panel.complaints == []
