"""The operator of a laptop: made once, with a password that is kept in `.dev` and told in the box of links alone."""

import asyncio
from pathlib import Path
from typing import Final

from app.context import Context, open_context
from app.dev.folder import read_private, write_private
from app.operators import accounts, passwords
from app.operators.roles import Actor, Role
from app.settings import Settings

EMAIL: Final = "owner@localhost"


def how_to_sign_in(settings: Settings, folder: Path) -> str:
    """Make the operator if there is none, and say what to type."""
    return asyncio.run(_in_context(settings, folder))


async def _in_context(settings: Settings, folder: Path) -> str:
    async with open_context(settings) as context:
        return await _made(context, folder)


async def _made(context: Context, folder: Path) -> str:
    path = folder / "operator.json"
    password = read_private(path).get("password")
    async with context.database.transaction() as session:
        operator = await accounts.find(session, EMAIL)
    if operator is None:
        password = password or passwords.made_up()
        write_private(path, {"password": password})
        actor = Actor(name="./run", role=Role.OWNER)
        await accounts.add(context, actor, email=EMAIL, name="You", role=Role.OWNER, password=password)
    elif password is None or not await passwords.matches(password, operator.password_hash):
        return f"{EMAIL} with the password you chose"
    return f"{EMAIL} with the password {password}"
