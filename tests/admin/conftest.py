"""Operators at the panel and on the command line."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from argon2 import PasswordHasher
from panel import MACHINE, PASSWORD, Panel
from rig import Rig, environment
from typer.testing import CliRunner, Result

from app.__main__ import cli
from app.operators import accounts, sessions
from app.operators.attempts import Browser
from app.operators.models import Operator
from app.operators.roles import Role


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
def command_settings() -> dict[str, str]:
    """Settings by name in lower case that a command has and the rig has not: files say theirs."""
    return {}


@pytest.fixture
def command(
    database_url: str, command_settings: dict[str, str], log_as_before: None, monkeypatch
) -> Callable[..., Awaitable[Result]]:
    """Runs a command with the settings of the rig, beside it."""
    for name, value in environment(database_url, **command_settings).items():
        monkeypatch.setenv(name, value)

    async def command(*words: str, typed: str | None = None) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, cli, words, input=typed)

    return command
