"""A batch in a real browser: ordered by keyboard, and a page that moves on by itself without taking the focus away."""

from chromium import PATIENCE_MS, needs_chromium
from playwright.async_api import expect
from served_panel import PASSWORD, see, served_panel

from app.operations import batch_work
from app.operators.roles import Role

pytestmark = needs_chromium


async def test_a_batch_is_ordered_by_keyboard_and_its_page_moves_on(database_url):
    async with served_panel(database_url) as panel:
        rig = panel.rig
        app = rig.simulator.world.create_app("demo")
        for _ in range(3):
            await rig.simulator.calls.provision(app.name, "test")
        await rig.work()
        await panel.operator(Role.OPERATOR, "o@acme.example")
        page = await panel.window(viewport={"width": 360, "height": 740})

        await page.goto(f"{panel.url}/admin/batches/new?q=state:provisioned&action=rotate")
        await page.get_by_label("E-mail").fill("o@acme.example")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await page.get_by_label("Why?").fill("Credentials have leaked")
        await see(page, "batch-new")
        assert await page.evaluate("document.documentElement.scrollWidth") == 360
        await page.get_by_label("Type how many they are").fill("3")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("It begins within seconds")).to_be_visible()

        pause = page.get_by_role("button", name="Pause")
        await pause.focus()
        await batch_work.work(rig.context)
        await expect(page.get_by_text("3 under way,")).to_be_visible(timeout=PATIENCE_MS)
        await expect(pause).to_be_focused()
        await see(page, "batch-under-way")
        await rig.work()
        await batch_work.work(rig.context)
        await expect(page.get_by_text("3 done, 0 failed")).to_be_visible(timeout=PATIENCE_MS)
        await expect(pause).to_have_count(0)
        assert await page.evaluate("document.documentElement.scrollWidth") == 360
        await see(page, "batch-done")
        assert panel.complaints == []
