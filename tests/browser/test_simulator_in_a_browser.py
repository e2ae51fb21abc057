"""The simulator's pages in a real browser: they stay fresh without disturbing who uses them, and fit every screen."""

import asyncio
import os
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
import uvicorn
from chromium import CHROMIUM, PATIENCE_MS, QUIET, free_port, needs_chromium
from playwright.async_api import async_playwright, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.simulator import Simulator, app_config

MANIFEST = {
    "id": "acme-postgres",
    "name": "Acme Postgres",
    "api": {
        "config_vars": ["ACME_POSTGRES_URL"],
        "config_vars_prefix": "ACME_POSTGRES",
        "password": "manifest-password",
        "sso_salt": "manifest-salt",
        "regions": ["us", "eu"],
        "requires": ["attachable", "many_per_app"],
    },
}
PLANS = [{"name": "test", "price_cents": 0}, {"name": "premium", "human_name": "Premium", "price_cents": 20_000}]
DATABASE_URL = "postgres://user:a-long-password-that-nobody-guesses@db.example.com:5432/one?sslmode=require"

pytestmark = needs_chromium


class AddOn:
    """Provisions at once, unless the test closed the gate: then it answers when the gate opens."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()

    async def answer(self, request: Request) -> Response:
        if request.method == "DELETE":
            return Response(status_code=204)
        await self.gate.wait()
        uuid = (await request.json()).get("uuid", "")
        return JSONResponse({"id": uuid, "config": {"ACME_POSTGRES_URL": DATABASE_URL}})

    @property
    def asgi(self) -> Starlette:
        verbs = ["POST", "PUT", "DELETE"]
        return Starlette(routes=[Route(path, self.answer, methods=verbs) for path in ("/base", "/base/{uuid}")])


@pytest.fixture
def addon():
    addon = AddOn()
    yield addon
    addon.gate.set()


@pytest.fixture
async def sim(addon):
    """A simulator with an app and two add-ons, served on loopback."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    simulator = Simulator(
        MANIFEST,
        url=url,
        addon_base_url="http://addon.test/base",
        addon_sso_url=f"{url}/sso/login",
        client_secret="oauth-client-secret",
        plans=PLANS,
        transport=httpx2.ASGITransport(addon.asgi),
    )
    simulator.url = url
    await simulator.calls.provision("example-shop", "premium", name="first-db")
    config = uvicorn.Config(simulator.app, host="127.0.0.1", port=port, log_config=None, lifespan="on")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        assert not serving.done()
        await asyncio.sleep(0)
    yield simulator
    server.should_exit = True
    await serving


@asynccontextmanager
async def window(sim: Simulator, **how: Any):
    """A page of Chromium; the block fails when the browser complained about anything."""
    complaints: list[str] = []
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        context = await browser.new_context(base_url=sim.url, **how)
        context.set_default_timeout(PATIENCE_MS)
        context.on("console", lambda message: complaints.append(message.text))
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        yield await context.new_page()
        await browser.close()
    # A question is answered 423, and the browser says so.
    assert [text for text in complaints if "423" not in text] == []


APP = "/marketplace/apps/example-shop"


async def test_a_page_stays_fresh_and_leaves_alone_what_its_reader_does(sim):
    async with window(sim, viewport={"width": 1000, "height": 400}) as page:
        await page.goto(APP)
        await page.locator("summary", has_text="Reveal").first.click()
        await page.get_by_label("Name").fill("HALF_TYPED")
        await page.get_by_label("Value").press_sequentially("words")
        await page.evaluate("scrollTo(0, 300)")
        top = await page.evaluate("scrollY")
        await sim.calls.provision("example-shop", "test", name="second-db")
        await expect(page.locator(".row-link", has_text="second-db")).to_be_attached()
        await expect(page.locator("#news")).to_contain_text("second-db is provisioned")
        await expect(page.locator("#secret-ACME_POSTGRES_URL").get_by_text(DATABASE_URL)).to_be_visible()
        assert await page.get_by_label("Name").input_value() == "HALF_TYPED"
        assert await page.get_by_label("Value").input_value() == "words"
        assert await page.evaluate("document.activeElement.name") == "value"
        assert await page.evaluate("scrollY") == top
        await page.keyboard.type(", and more")
        assert await page.get_by_label("Value").input_value() == "words, and more"


async def test_what_is_gone_goes_without_taking_the_focus_of_what_stays(sim):
    second = await sim.calls.provision("example-shop", "test", name="second-db")
    async with window(sim) as page:
        await page.goto(APP)
        link = page.locator(".row-link", has_text="second-db")
        await link.focus()
        await sim.calls.deprovision(sim.world.addon("first-db"))
        await expect(page.locator(".row-link", has_text="first-db")).to_have_count(0)
        assert await link.evaluate("node => node === document.activeElement")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**/addons/{second.name}")


async def test_a_field_nobody_touched_follows_the_world(sim):
    async with window(sim) as page:
        await page.goto(APP)
        await page.locator("summary", has_text="Scale or restart").click()
        await expect(page.get_by_label("Dynos of web")).to_have_value("1")
        line = sim.world.app("example-shop").formation[0]
        line.quantity = 3
        sim.world.changed()
        await expect(page.get_by_label("Dynos of web")).to_have_value("3")
        await page.get_by_label("Dynos of web").fill("5")
        line.quantity = 4
        sim.world.log("The formation changed again.", app=sim.world.app("example-shop"))
        await expect(page.get_by_text("The formation changed again.")).to_be_visible()
        assert await page.get_by_label("Dynos of web").input_value() == "5"


async def test_a_slow_add_on_is_waited_for_visibly(sim, addon):
    said: list[str] = []

    async def heard(text: str) -> None:
        said.append(text)
        addon.gate.set()

    async with window(sim) as page:
        await page.goto(f"{APP}/install")
        await page.get_by_role("radio", name="Premium").check()
        # The page itself reports: from outside it cannot be asked while it waits for the next one.
        await page.expose_function("heard", heard)
        await page.evaluate(
            "new MutationObserver(() => heard(document.querySelector('main button:disabled').textContent))"
            ".observe(document.querySelector('form[data-busy] button:not([type])'), {childList: true})"
        )
        addon.gate.clear()
        await page.get_by_role("button", name="Install").click(no_wait_after=True)
        await page.wait_for_url("**/addons/acme-postgres-*")
    assert said == ["Asking the add-on…"]


async def test_a_value_is_copied_and_said_to_be(sim):
    async with window(sim, permissions=["clipboard-read", "clipboard-write"]) as page:
        await page.goto(APP)
        await page.get_by_role("button", name="Copy ACME_POSTGRES_URL").click()
        await expect(page.locator("#news")).to_have_text("Copied")
        assert await page.evaluate("navigator.clipboard.readText()") == DATABASE_URL
        await page.goto("/marketplace")
        await page.get_by_role("button", name="Copy Commands that connect the Heroku CLI").click()
        await expect(page.locator("#news")).to_have_text("Copied")
        copied = await page.evaluate("navigator.clipboard.readText()")
        assert copied == f'eval "$(curl -fsS {sim.url}/simulator/env)"\nheroku apps'


async def test_choosing_a_filter_shows_what_it_lets_pass(sim):
    async with window(sim) as page:
        await page.goto("/marketplace/exchanges")
        await expect(page.get_by_role("button", name="Filter")).to_be_hidden()
        await page.get_by_label("Direction").select_option("tokens")
        await page.wait_for_url("**/exchanges?*direction=tokens*")
        await expect(page.get_by_text("None of the latest exchanges is like that.")).to_be_visible()
        await page.get_by_role("link", name="Show all").first.click()
        await page.locator(".exchanges a").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("POST /base")


async def test_everything_works_with_the_keyboard_alone(sim):
    async with window(sim) as page:
        await page.goto("/marketplace")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**{APP}")
        await page.goto(f"{APP}/addons/first-db")
        await page.get_by_role("radio", name="Premium").focus()
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("acme-postgres:test")).to_be_visible()
        assert sim.world.addon("first-db").plan == "test"


async def test_without_scripts_forms_do_it_all_and_collisions_ask(sim):
    other = sim.world.create_app("other")
    app_config.change(sim.world, other, {"MINE_URL": "mine"}, by_email="ada@example.com")
    async with window(sim, java_script_enabled=False) as page:
        await page.goto(f"{APP}/addons/first-db")
        await page.locator("summary", has_text="Attach to another app").click()
        await page.get_by_label("Attach as").fill("MINE")
        await page.get_by_role("button", name="Attach", exact=True).click()
        await expect(page.get_by_role("alert")).to_contain_text("would overwrite the config var MINE_URL")
        await page.get_by_role("button", name="Confirm for other").click()
        await expect(page.get_by_role("link", name="other", exact=True)).to_be_visible()
        assert sim.world.config_vars(other)["MINE_URL"] == DATABASE_URL
        await page.goto("/marketplace/exchanges")
        await page.get_by_label("Verdict").select_option("problems")
        await page.get_by_role("button", name="Filter").click()
        await expect(page.get_by_text("None of the latest exchanges is like that.")).to_be_visible()


def paths_of(sim: Simulator) -> list[str]:
    sections = ["", "/catalog", "/people", "/exchanges", "/webhooks", "/faults", "/clock"]
    return [
        *(f"/marketplace{section}" for section in sections),
        *(APP, f"{APP}/install", f"{APP}/logs", f"{APP}/settings", f"{APP}/addons/first-db"),
        f"/marketplace/exchanges/{sim.world.exchanges[0].id}",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_is_wider_than_a_phone(sim, scheme):
    async with window(sim, viewport={"width": 360, "height": 740}, color_scheme=scheme) as page:
        for number, path in enumerate(paths_of(sim)):
            await page.goto(path)
            await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
            assert await page.evaluate("document.documentElement.scrollWidth") <= 360, path
            if folder := os.environ.get("SCREENSHOTS"):
                await page.screenshot(path=f"{folder}/simulator-{scheme}-{number}.png", full_page=True)
