"""An owner's day at the panel, from signing in to signing out: once by keyboard alone, once without JavaScript."""

import re

import pyotp
import pytest
from chromium import needs_chromium
from hands import Hands
from playwright.async_api import Page, expect
from served_panel import PASSWORD, Panel, see, served_panel

from app.operations import batch_work
from app.operations.audit_chain import link_events
from app.operators.roles import Role
from app.simulator.errors import AddOnFailed
from app.simulator.records import AddOn

pytestmark = needs_chromium

WHY = "Ticket 4711"
WAYS = [
    pytest.param({"viewport": {"width": 1280, "height": 800}}, True, id="keyboard"),
    pytest.param({"viewport": {"width": 360, "height": 740}, "java_script_enabled": False}, False, id="no-javascript"),
]


@pytest.mark.parametrize(("how", "by_keyboard"), WAYS)
async def test_a_day_of_an_owner(database_url, how, by_keyboard):
    async with served_panel(database_url) as panel:
        rig = panel.rig
        app = rig.simulator.world.create_app("shop")
        first, second = [await rig.simulator.calls.provision(app.name, "test") for _ in range(2)]
        await rig.work()
        await panel.operator(Role.OWNER)
        colleague = await panel.operator(Role.SUPPORT)
        hands = Hands(await panel.window(**how), by_keyboard)
        await signs_in_with_a_recovery_code(panel, hands)
        await works_on_one(panel, hands, first)
        await looks_as_support(panel, hands, first)
        await ends_one(panel, hands, second)
        await stops_a_batch(panel, hands)
        await withdraws_a_plan(panel, hands)
        await reads_what_happened(panel, hands)
        elsewhere = await panel.window(colleague)
        await shuts_somebody_out(panel, hands, elsewhere)
        await hands.press("button", "Sign out")
        await expect(hands.page.get_by_label("Password")).to_be_visible()
        await hands.page.goto(f"{panel.url}/admin/resources")
        await expect(hands.page.get_by_label("Password")).to_be_visible()
        assert [line for line in panel.complaints if not re.search("status of 4(04|22)", line)] == []
        assert panel.foreign == []


async def signs_in_with_a_recovery_code(panel: Panel, hands: Hands) -> None:
    page = hands.page
    await page.goto(f"{panel.url}/admin/account/second-factor")
    for code in ("", "recovery"):
        await hands.write("E-mail", "owner@acme.example")
        await hands.write("Password", PASSWORD)
        await hands.press("button", "Sign in")
        if code:
            break
        await hands.press("button", "Set it up")
        key = pyotp.TOTP((await page.locator("code.key").inner_text()).replace(" ", ""))
        await hands.write("Type the code", key.at(panel.rig.clock()))
        await page.keyboard.press("Enter")
        kept = await page.locator(".codes code").first.inner_text()
        await hands.press("link", "I have kept them")
        await hands.press("button", "Sign out")
    await hands.write("Code of your authenticator app", kept)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()


async def works_on_one(panel: Panel, hands: Hands, addon: AddOn) -> None:
    """Found by a part of its name; its config pushed, its credentials rotated, each for a reason."""
    await hands.write("Find a resource", addon.name[-12:])
    await hands.page.keyboard.press("Enter")
    await hands.press("link", addon.name)
    await hands.press("link", "Push config again")
    await hands.write("Why?", WHY)
    await hands.press("button", "Push config again")
    await expect(hands.page.get_by_role("status")).to_be_visible()
    before = addon.config["ACME_POSTGRES_URL"]
    await panel.rig.work()
    await hands.press("link", "Rotate credentials")
    await hands.write("Why?", WHY)
    await hands.press("button", "Rotate credentials")
    await expect(hands.page.get_by_role("status")).to_be_visible()
    await panel.rig.work()
    assert addon.config["ACME_POSTGRES_URL"] != before
    await hands.press("link", "Show the values …")
    await hands.write("Why?", WHY)
    await hands.press("button", "Show the values")
    await hands.reads(addon.config["ACME_POSTGRES_URL"])
    await hands.press("link", "Hide the values")
    await see(hands.page, f"day-resource-{hands.by_keyboard}")


async def looks_as_support(panel: Panel, hands: Hands, addon: AddOn) -> None:
    await hands.press("link", "Open the dashboard as support")
    await hands.write("Why?", WHY)
    await hands.press("button", "Open the dashboard")
    await hands.reads("support (owner@acme.example) is looking at this dashboard")
    await see(hands.page, f"day-visit-{hands.by_keyboard}")
    customer = await panel.window()
    fields = panel.rig.simulator.calls.sso_form(addon)
    inputs = "".join(f'<input type="hidden" name="{name}" value="{value}">' for name, value in fields.items())
    await customer.set_content(
        f'<form method="post" action="{panel.url}/sso/login">{inputs}<button>Open</button></form>'
    )
    await customer.get_by_role("button", name="Open").click()
    await expect(customer.get_by_text("Dashboard opened by support")).to_be_visible()
    assert "owner@acme.example" not in await customer.content()
    await hands.page.goto(f"{panel.url}/admin/resources/{addon.id}")


async def ends_one(panel: Panel, hands: Hands, addon: AddOn) -> None:
    """What is grave wants the name; a wrong one changes nothing, and the reason needs not be typed again."""
    await hands.page.goto(f"{panel.url}/admin/resources/{addon.id}/actions/deprovision")
    await hands.write("Why?", WHY)
    await hands.write("Type the add-on's name", "another-one")
    await hands.press("button", "Deprovision by force")
    await expect(hands.page.get_by_role("alert")).to_be_visible()
    await expect(hands.page.get_by_label("Why?")).to_have_value(WHY)
    assert "deprovisioned" not in await panel.rig.events(addon.id)
    await see(hands.page, f"day-refused-{hands.by_keyboard}")
    await hands.write("Type the add-on's name", addon.name)
    await hands.press("button", "Deprovision by force")
    await expect(hands.page.get_by_role("status")).to_be_visible()
    assert (await panel.rig.resource(addon.id)).is_gone


async def stops_a_batch(panel: Panel, hands: Hands) -> None:
    await hands.press("link", "Batches")
    await hands.press("link", "New batch")
    await hands.write("Search", "plan:test state:provisioned")
    await hands.choose("Action", "Push config again")
    await hands.press("button", "Look what it would do")
    await hands.write("Why?", WHY)
    await hands.write("Type how many they are", "1")
    await hands.press("button", "Push config again: 1")
    await hands.press("button", "Pause")
    await hands.reads("Nothing further begins until it is resumed")
    await batch_work.work(panel.rig.context)
    await hands.reads("1 waiting")
    await hands.press("button", "Resume")
    await expect(hands.page.get_by_role("button", name="Pause")).to_be_visible()
    await batch_work.work(panel.rig.context)
    await panel.rig.work()
    await batch_work.work(panel.rig.context)
    await hands.page.reload()
    await hands.reads("1 done, 0 failed")


async def withdraws_a_plan(panel: Panel, hands: Hands) -> None:
    """Whoever wants it reads the operator's own sentence."""
    await hands.press("link", "Plans")
    await hands.press("link", "Withdraw standard")
    await hands.write("What customers read", "Standard is full until January.")
    await hands.write("Why?", WHY)
    await hands.write("Type the plan's name", "standard")
    await hands.press("button", "Withdraw")
    await hands.reads("The plan standard is withdrawn from sale")
    with pytest.raises(AddOnFailed, match="Standard is full until January"):
        await panel.rig.simulator.calls.provision("shop", "standard")


async def reads_what_happened(panel: Panel, hands: Hands) -> None:
    """In the audit log, which can be taken away, and in the charts of a week."""
    page = hands.page
    await link_events(panel.rig.context)
    await hands.press("link", "Audit log")
    await hands.choose("Kind", "plan withdrawn")
    await hands.press("button", "Filter")
    await expect(page.locator(".log tbody tr")).to_have_count(1)
    await hands.reads(WHY)
    async with page.expect_download() as begun:
        await hands.press("link", "JSON Lines")
    exported = await (await begun.value).path()
    assert WHY in exported.read_text()
    await hands.press("link", "Overview")
    await hands.press("link", "7 days")
    await expect(page.get_by_role("link", name="7 days")).to_have_attribute("aria-current", "true")
    drawn = "pictures => pictures.map((one) => one.complete && one.naturalWidth > 0)"
    await page.wait_for_load_state("load")
    assert set(await page.locator("img.drawn").evaluate_all(drawn)) == {True}


async def shuts_somebody_out(panel: Panel, hands: Hands, elsewhere: Page) -> None:
    """Less of a role, then none of the sessions, then no account."""
    await elsewhere.goto(f"{panel.url}/admin/batches")
    await hands.press("link", "Operators")
    await hands.press("link", "support@acme.example")
    await hands.choose("May act as", "viewer")
    await hands.press("button", "Change role")
    await hands.reads("The role is viewer now.")
    await hands.press("button", "End all")
    await hands.reads("All sessions have ended.")
    await elsewhere.reload()
    await expect(elsewhere.get_by_label("Password")).to_be_visible()
    await hands.press("button", "Disable")
    await hands.reads("The account is disabled and its sessions have ended.")
