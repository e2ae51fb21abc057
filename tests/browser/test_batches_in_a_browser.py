"""A batch in a real browser: ordered by keyboard, and a page that moves on by itself without taking the focus away."""

import os
import socket

from chromium import CHROMIUM, PATIENCE_MS, QUIET, needs_chromium
from playwright.async_api import Page, async_playwright, expect
from rig import Rig, key_plans, new_settings
from served_panel import served

from app.operations import batch_work
from app.operators import accounts
from app.operators.roles import Actor, Role

pytestmark = needs_chromium

PASSWORD = "correct horse battery staple"


async def see(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        await page.screenshot(path=f"{folder}/{name}.png", full_page=True)


async def test_a_batch_is_ordered_by_keyboard_and_its_page_moves_on(database_url):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        rig = Rig(new_settings(database_url, public_url=url), key_plans(database_url))
        async with rig.running(), served(rig.app, listener), async_playwright() as playwright:
            app = rig.simulator.world.create_app("demo")
            for _ in range(3):
                await rig.simulator.calls.provision(app.name, "test")
            await rig.work()
            machine = Actor(name="root@machine", role=Role.OWNER)
            await accounts.add(
                rig.context, machine, email="o@acme.example", name="O", role=Role.OPERATOR, password=PASSWORD
            )
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
            window = await browser.new_context(viewport={"width": 360, "height": 740})
            window.set_default_timeout(PATIENCE_MS)
            complaints: list[str] = []
            window.on("console", lambda message: complaints.append(message.text))
            page = await window.new_page()

            await page.goto(f"{url}/admin/batches/new?q=state:provisioned&action=rotate")
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
            assert complaints == []
            await browser.close()
