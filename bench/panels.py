"""The panels that are asked, each a process of its own on a free port: ours, and two general ones for comparison."""

import asyncio
import base64
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from app.context import open_context
from app.operators import accounts, sessions
from app.operators.attempts import Browser
from app.operators.roles import Actor, Role
from app.settings import read_settings
from app.web.admin.access import COOKIE
from bench.processes import PROJECT, free_port, served

# What the comparison is made with; installed into an environment of its own.
PEERS: Final = ("sqladmin==0.32.0", "starlette-admin==1.0.3")
_ALSO: Final = ("sqlalchemy[asyncio]", "psycopg[binary]", "uvicorn", "itsdangerous")


@dataclass(frozen=True, slots=True)
class Panel:
    """One that answers.

    Attributes:
        name: what it is called.
        url: of its list of resources.
        search: the parameter that carries the words.
        cookies: of an operator who is signed in.
        process: its id.
    """

    name: str
    url: str
    search: str
    cookies: Mapping[str, str]
    process: int


@contextmanager
def ours(database_url: str) -> Iterator[Panel]:
    """The web process as it runs in production, with a viewer signed in."""
    port = free_port()
    environment = {
        "DATABASE_URL": database_url,
        "PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "ADDON_PASSWORD": secrets.token_urlsafe(24),
        "ADDON_SSO_SALT": secrets.token_urlsafe(24),
        "HEROKU_CLIENT_SECRET": secrets.token_urlsafe(24),
        "ENCRYPTION_KEYS": base64.urlsafe_b64encode(b"bench" * 6 + b"..").decode(),
        "SECRET_KEYS": secrets.token_urlsafe(48),
    }
    token = asyncio.run(_signed_in(environment))
    command = [sys.executable, "-m", "app", "web", "--host", "127.0.0.1"]
    with served(command, environment, f"http://127.0.0.1:{port}/admin/sign-in") as process:
        yield Panel("ours", f"http://127.0.0.1:{port}/admin/resources", "q", {COOKIE: token}, process)


async def _signed_in(environment: Mapping[str, str]) -> str:
    async with open_context(read_settings(environment)) as context:
        by = Actor(name="bench", role=Role.OWNER)
        email = f"{uuid4().hex}@bench.example"
        operator = await accounts.add(context, by, email=email, name="bench", role=Role.VIEWER, password=None)
        browser = Browser(address="127.0.0.1", name="bench")
        return await sessions.begin(context, operator, browser, sessions.Method.PASSWORD)


@contextmanager
def peers(database_url: str, folder: Path) -> Iterator[list[Panel]]:
    """The two others over the same table, in an environment that is made in `folder`."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)  # noqa: S603 - our own words and paths
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS, *_ALSO], check=True)  # noqa: S603 - as above
    ports = [free_port(), free_port()]
    urls = [f"http://127.0.0.1:{port}/admin/resource/list" for port in ports]
    modules = [str(PROJECT / "bench" / "peers" / name) for name in ("sqladmin_app.py", "starlette_admin_app.py")]
    environments = [{"DATABASE_URL": database_url, "PORT": str(port)} for port in ports]
    with (
        served([str(python), modules[0]], environments[0], urls[0]) as first,
        served([str(python), modules[1]], environments[1], urls[1]) as second,
    ):
        names = [peer.partition("==")[0] for peer in PEERS]
        yield [Panel(names[0], urls[0], "search", {}, first), Panel(names[1], urls[1], "q", {}, second)]
