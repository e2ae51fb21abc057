"""Every page of the panel, with much to show and with nothing: no barrier that axe knows, no complaint of the browser,
nothing loaded from elsewhere, and no page wider than a phone.
"""

import re
from collections.abc import Mapping

import pytest
from busy_addon import make_busy
from chromium import needs_chromium
from fastapi.routing import iter_route_contexts
from playwright.async_api import Page, expect
from served_panel import AXE, Panel, barriers, see, served_panel

from app.operators.roles import Role
from app.web.admin import router

pytestmark = [needs_chromium, pytest.mark.skipif(not AXE.exists(), reason="axe is missing: `./run test` fetches it")]

DESK = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"}
PHONE = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}
# What is a file or a part of a page, or leads away from this machine.
NO_PAGES = re.compile(r"\.csv$|\.svg$|\.\{form\}$|/progress$|/openid")

ALWAYS = {
    "": "/",
    "resources": "/resources",
    "resources-none": "/resources?q=zzzz-nobody",
    "resources-wrong": "/resources?q=is:nonsense",
    "batches": "/batches",
    "batch-new": "/batches/new",
    "plans": "/plans",
    "reconciliation": "/reconciliation",
    "alerts": "/alerts",
    "webhooks": "/webhooks",
    "webhooks-none": "/webhooks?status=waiting&kind=api:addon-attachment",
    "webhooks-wrong": "/webhooks?resource=nonsense",
    "audit": "/audit",
    "audit-none": "/audit?actor=nobody-at-all",
    "audit-wrong": "/audit?resource=nonsense",
    "operators": "/operators",
    "account": "/account",
    "second-factor": "/account/second-factor",
    "missing": "/resources/00000000-0000-4000-8000-000000000000",
}


def pages_of(ids: Mapping[str, str]) -> dict[str, str]:
    resources = {
        name: f"/resources/{ids[name]}" for name in ("fine", "failing", "suspended", "gone", "lost", "waiting")
    }
    fine = resources["fine"]
    return {f"resource-{name}": address for name, address in resources.items()} | {
        "overview-year": "?period=365",
        "overview-wrong": "?from=2026-11-02&to=2026-11-01",
        "resources-failing": "/resources?q=is:failing",
        "timeline": f"{fine}/timeline",
        "timeline-webhooks": f"{fine}/timeline?show=webhooks",
        "webhooks-of-one": f"/webhooks?resource={ids['fine']}",
        "action-webhook": f"{fine}/actions/handle-webhook",
        "timeline-operators": f"{fine}/timeline?show=operators",
        "action": f"{fine}/actions/rotate",
        "action-choice": f"{fine}/actions/move-plan",
        "action-grave": f"{fine}/actions/deprovision",
        "action-not-now": f"{fine}/actions/restore",
        "open-dashboard": f"{fine}/open-dashboard",
        "show-config": f"{fine}/show-config",
        "batch": f"/batches/{ids['batch']}",
        "batch-paused": f"/batches/{ids['paused']}",
        "batch-preview": "/batches/new?q=state:provisioned&action=suspend",
        "plan-withdraw": "/plans/test/withdraw",
        "plan-offer": "/plans/premium/offer-again",
        "reconciliation-one": f"/reconciliation/{ids['run']}",
        "repair": f"/reconciliation/{ids['run']}/repair?difference={ids['difference']}",
        "operator": f"/operators/{ids['colleague']}",
    }


async def walk(panel: Panel, page: Page, addresses: Mapping[str, str], suffix: str) -> list[str]:
    """The barriers of all of them."""
    found = []
    for name, address in addresses.items():
        answer = await page.goto(f"{panel.url}/admin{address}" if address != "/" else f"{panel.url}/admin")
        assert answer is not None
        expected = {"missing": {404}}.get(name, {200, 422} if name.endswith("-wrong") else {200})
        assert answer.status in expected, f"{name}: {answer.status}"
        await see(page, f"{name or 'overview'}-{suffix}")
        found += [f"{name} ({suffix}): {line}" for line in await barriers(page)]
    return found


async def refusal(panel: Panel, page: Page, address: str, button: str, **typed: str) -> list[str]:
    """The barriers of a page that refuses what was typed into its form."""
    await page.goto(f"{panel.url}/admin{address}")
    for field, text in typed.items():
        await page.locator(f"main [name={field}]").fill(text)
    await page.locator("main").get_by_role("button", name=button).click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await see(page, f"refused-{button}".lower().replace(" ", "-"))
    return [f"{address} (refused): {line}" for line in await barriers(page)]


def assert_calm(panel: Panel) -> None:
    assert [line for line in panel.complaints if not re.search("status of 4(04|22)", line)] == []
    assert panel.foreign == []


@pytest.mark.parametrize("how", [DESK, PHONE], ids=["desk", "phone"])
async def test_no_page_of_a_busy_addon_has_a_barrier(database_url, how):
    async with served_panel(database_url) as panel:
        owner = await panel.operator(Role.OWNER, "ada.with.a.rather.long.address@operations.acme-cloud.example")
        colleague = await panel.operator(Role.SUPPORT)
        ids = await make_busy(panel.rig) | {"colleague": str(colleague.id)}
        page = await panel.window(owner, **how)
        found = await walk(panel, page, ALWAYS | pages_of(ids), how["color_scheme"])
        fine = f"/resources/{ids['fine']}/actions/deprovision"
        found += await refusal(panel, page, fine, "Deprovision", reason="because", name="another-one")
        found += await refusal(panel, page, "/plans/test/withdraw", "Withdraw", reason="because", name="another")
        found += await refusal(panel, page, "/operators", "Add", email=colleague.email)
        assert found == []
        assert_calm(panel)


async def test_no_page_of_a_new_addon_has_a_barrier(database_url):
    async with served_panel(database_url) as panel:
        nobody = await panel.window(**DESK)
        assert await walk(panel, nobody, {"first": "/"}, "empty") == []
        page = await panel.window(await panel.operator(Role.OWNER), **PHONE)
        assert await walk(panel, page, ALWAYS, "empty") == []
        assert await walk(panel, nobody, {"sign-in": "/"}, "empty") == []
        assert await refusal(panel, nobody, "/sign-in", "Sign in", email="eve@acme.example", password="guessed") == []
        assert_calm(panel)


def test_every_page_is_looked_at():
    ids = dict.fromkeys(("fine", "failing", "suspended", "gone", "lost", "waiting"), "x")
    ids |= dict.fromkeys(("batch", "paused", "run", "difference", "colleague"), "x")
    addresses = [address.partition("?")[0].rstrip("/") for address in (ALWAYS | pages_of(ids)).values()]
    paths = {
        context.path
        for context in iter_route_contexts(router.routes)
        if "GET" in context.methods and not NO_PAGES.search(context.path)
    }
    patterns = {path: re.compile(re.sub(r"\{\w+(:\w+)?\}", "[^/]+", path) + "$") for path in paths}
    assert {path for path, pattern in patterns.items() if not any(map(pattern.match, addresses))} == {"/sign-in"}
