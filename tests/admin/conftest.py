"""An operator at the panel, without a browser."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import httpx2
import pytest
import structlog
from argon2 import PasswordHasher
from rig import URL, Rig, environment
from typer.testing import CliRunner, Result

from app.__main__ import cli
from app.operators import accounts, sessions
from app.operators.attempts import Browser
from app.operators.models import Operator
from app.operators.roles import Actor, Role

PASSWORD = "correct horse battery staple"
MACHINE = Actor(name="root@machine", role=Role.OWNER)


class Panel:
    """One operator's browser."""

    def __init__(self, rig: Rig, email: str) -> None:
        self.rig = rig
        self.email = email
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(rig.app, raise_app_exceptions=False), base_url=URL, follow_redirects=True
        )

    async def sign_in(self, password: str = PASSWORD) -> httpx2.Response:
        return await self.http.post("/admin/sign-in", data={"email": self.email, "password": password})

    async def form_token(self, page: str) -> str:
        found = re.search(r'name="form_token" value="([^"]+)"', (await self.http.get(page)).text)
        assert found, f"{page} has no form"
        return found[1]

    async def post(self, page: str, to: str | None = None, **fields: str) -> httpx2.Response:
        """Send the form of a page."""
        return await self.http.post(to or page, data={"form_token": await self.form_token(page), **fields})


@pytest.fixture(scope="session")
def password_hash() -> str:
    """Of `PASSWORD`, made once: hashing is slow on purpose."""
    return PasswordHasher().hash(PASSWORD)


@pytest.fixture
async def panel_of(key_rig: Rig, password_hash: str) -> AsyncIterator[Callable[..., object]]:
    """Makes an operator with a role, whose browser is signed in already."""
    async with AsyncExitStack() as stack:

        async def panel_of(role: Role) -> Panel:
            email = f"{role.word}@acme.example"
            context = key_rig.context
            operator = await accounts.add(context, MACHINE, email=email, name=role.word, role=role, password=None)
            async with context.database.transaction() as session:
                (await session.get_one(Operator, operator.id)).password_hash = password_hash
            panel = Panel(key_rig, email)
            stack.push_async_callback(panel.http.aclose)
            token = await sessions.begin(
                context, operator, Browser(address="127.0.0.1", name="a test"), sessions.Method.PASSWORD
            )
            panel.http.cookies.set("operator", token, domain="addon.test", path="/admin")
            return panel

        yield panel_of


@pytest.fixture
async def command(key_rig: Rig, monkeypatch) -> AsyncIterator[Callable[..., object]]:
    """Runs a command with the settings of the rig, beside it."""
    url = key_rig.settings.database_url.get_secret_value()
    for name, value in environment(url).items():
        monkeypatch.setenv(name, value)
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level

    async def command(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, cli, words)

    yield command
    root.handlers, root.level = handlers, level
    structlog.configure(**before)
