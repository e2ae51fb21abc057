"""Accounts in a real browser, on a phone and in the dark: signing in, a second factor, another operator."""

import os
import re

import pyotp
import pytest
from chromium import needs_chromium
from playwright.async_api import Page, expect
from served_panel import PASSWORD, served_panel

from app.operators.roles import Role

pytestmark = needs_chromium

# Fields without a label, ids that are there twice, headings that skip a level, and sideways scrolling of the page.
FAULTS = """() => {
  const faults = [];
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (!field.labels.length && field.getAttribute("aria-hidden") !== "true") faults.push("no label: " + field.name);
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) faults.push("twice: " + id);
  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3")) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) faults.push("heading: " + heading.textContent);
    level = own;
  }
  if (document.documentElement.scrollWidth > innerWidth) faults.push("wider than the window");
  return faults;
}"""


async def look(page: Page, name: str) -> None:
    assert await page.evaluate(FAULTS) == [], name
    if folder := os.environ.get("SCREENSHOTS"):
        await page.screenshot(path=f"{folder}/{name}.png", full_page=True)


async def sign_in(page: Page, email: str, password: str) -> None:
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill(password)
    await page.keyboard.press("Enter")


@pytest.mark.parametrize(("width", "colours"), [(360, "dark"), (1280, "light")])
async def test_an_owner_turns_the_second_factor_on_and_adds_somebody(database_url, width, colours):
    async with served_panel(database_url) as panel:
        rig = panel.rig
        page = await panel.window(viewport={"width": width, "height": 800}, color_scheme=colours)

        await page.goto(f"{panel.url}/admin/account")
        await expect(page.get_by_text("There is no operator yet")).to_be_visible()
        await look(page, f"first-{width}")
        await panel.operator(Role.OWNER, "ada@acme.example")
        await page.reload()
        await look(page, f"sign-in-{width}")
        await sign_in(page, "ada@acme.example", PASSWORD)
        await expect(page.get_by_role("heading", level=1, name="ada@acme.example")).to_be_visible()
        await look(page, f"account-{width}")

        await page.get_by_role("link", name="Set up a second factor").click()
        await page.get_by_role("button", name="Set it up").click()
        key = pyotp.TOTP((await page.locator("code.key").inner_text()).replace(" ", ""))
        await look(page, f"second-factor-{width}")
        await page.get_by_label("Type the code").fill(key.at(rig.clock()))
        await page.keyboard.press("Enter")
        await expect(page.locator(".codes li")).to_have_count(10)
        await look(page, f"recovery-codes-{width}")
        await page.get_by_role("link", name="I have kept them").click()
        await page.get_by_role("button", name="Sign out").click()
        rig.clock.forward(minutes=1)
        await sign_in(page, "ada@acme.example", PASSWORD)
        code = page.get_by_label("Code of your authenticator app")
        await expect(code).to_be_focused()
        await look(page, f"code-{width}")
        await code.fill(key.at(rig.clock()))
        await page.keyboard.press("Enter")

        await page.get_by_role("link", name="Operators").click()
        await page.get_by_label("E-mail").fill("bob@acme.example")
        await page.get_by_label("Role").select_option("support")
        await look(page, f"operators-{width}")
        await page.get_by_role("button", name="Add").click()
        once = await page.locator("code.key").inner_text()
        await look(page, f"one-time-{width}")
        await page.get_by_role("link", name="Done").click()
        await page.get_by_role("link", name="ada@acme.example").last.click()
        await look(page, f"operator-{width}")

        there = await panel.window(viewport={"width": width, "height": 800}, color_scheme=colours)
        await there.goto(f"{panel.url}/admin")
        await sign_in(there, "bob@acme.example", once)
        await expect(there.get_by_role("heading", level=1, name="Choose a password")).to_be_visible()
        await look(there, f"choose-{width}")
        await there.get_by_label("New password", exact=True).fill("entirely my own")
        await there.get_by_label("New password once more").fill("entirely my own")
        await there.keyboard.press("Enter")
        await expect(there.get_by_text("You have a new password")).to_be_visible()
        await there.goto(f"{panel.url}/admin/operators")
        await expect(there.get_by_text("Your role does not allow that")).to_be_visible()
        await look(there, f"not-allowed-{width}")
        assert [line for line in panel.complaints if not re.search("40[34]", line)] == []
