"""The panel on a socket of this machine, for a browser; the test makes the worker's rounds, nothing is waited for."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from argon2 import PasswordHasher
from chromium import CHROMIUM, PATIENCE_MS, QUIET
from fastapi import FastAPI
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect
from rig import Rig, key_plans, new_settings

from app.operators import accounts, sessions
from app.operators.attempts import Browser as Where
from app.operators.models import Operator
from app.operators.roles import Actor, Role

MACHINE = Actor(name="root@machine", role=Role.OWNER)
PASSWORD = "correct horse battery staple"
AXE = Path(__file__).parents[1] / "clients/node_modules/axe-core/axe.min.js"
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_BARRIERS = """async (tags) => {
  const { violations } = await axe.run(document, { runOnly: tags, resultTypes: ["violations"] });
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary}`));
}"""


@dataclass
class Panel:
    """The add-on, its address, and a browser with as many windows as the test opens."""

    rig: Rig
    url: str
    browser: Browser
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    async def operator(self, role: Role, email: str | None = None) -> Operator:
        context = self.rig.context
        email = email or f"{role.word}@acme.example"
        async with context.database.transaction() as session:
            operator = await accounts.insert(context, session, email=email, name=role.word, role=role)
            # Cheap to compare with; what it costs to guess one is not what a browser is needed for.
            operator.password_hash = PasswordHasher(1, 8, 1).hash(PASSWORD)
            operator.password_set_at = context.clock()
        return operator

    async def window(self, operator: Operator | None = None, **how: Any) -> Page:
        """A page of a new window, in which somebody may be signed in already."""
        window: BrowserContext = await self.browser.new_context(**how)
        window.set_default_timeout(PATIENCE_MS)
        window.on("console", lambda message: self.complaints.append(message.text))
        window.on("weberror", lambda error: self.complaints.append(str(error.error)))
        window.on("request", lambda request: self._note(request.url))
        if operator is not None:
            where = Where(address="127.0.0.1", name="Chromium of a test")
            token = await sessions.begin(self.rig.context, operator, where, sessions.Method.PASSWORD)
            await window.add_cookies([{"name": "operator", "value": token, "domain": "127.0.0.1", "path": "/admin"}])
        return await window.new_page()

    def _note(self, address: str) -> None:
        if not address.startswith((f"{self.url}/", "data:", "blob:")):
            self.foreign.append(address)


@asynccontextmanager
async def served(app: FastAPI, listener: socket.socket) -> AsyncIterator[None]:
    """The app answers on the socket; also a test that fails ends it."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def served_panel(database_url: str, **settings: str) -> AsyncIterator[Panel]:
    expect.set_options(timeout=PATIENCE_MS)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        rig = Rig(new_settings(database_url, public_url=url, **settings), key_plans(database_url))
        async with rig.running(), served(rig.app, listener), async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
            yield Panel(rig, url, browser)
            await browser.close()


async def see(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        await page.screenshot(path=f"{folder}/{name}.png", full_page=True)


async def barriers(page: Page) -> Sequence[str]:
    """What keeps somebody from using this page, as far as axe can tell, and whether it scrolls sideways."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text())
    found: list[str] = await page.evaluate(_BARRIERS, _TAGS)
    if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found.append("wider than its window")
    return found
