"""Who is measured: this add-on, and programs that do nothing but answer. The others are in `others.py`."""

import base64
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.asking import PASSWORD, SALT
from bench.processes import PROJECT, free_port, served
from bench.server import Server

CLIENT_SECRET: Final = "a-client-secret-for-the-bench-only"  # noqa: S105 - nothing but the bench knows it, for minutes
ENCRYPTION_KEY: Final = base64.urlsafe_b64encode(b"bench" * 6 + b"..").decode()


@dataclass(frozen=True, slots=True)
class Running:
    """One that answers.

    Attributes:
        port: of this machine.
        process: its id; what it has started is a child of it.
        database: where it stores what it is asked for; empty if it stores nothing.
        table: which has a row for each.
    """

    port: int
    process: int
    database: str = ""
    table: str = ""


def settings_of(database_url: str, port: int, *, processes: int = 1, **more: str) -> dict[str, str]:
    """The environment of our own processes."""
    return {
        "DATABASE_URL": database_url,
        "PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "ADDON_PASSWORD": PASSWORD,
        "ADDON_SSO_SALT": SALT,
        "HEROKU_CLIENT_SECRET": CLIENT_SECRET,
        "ENCRYPTION_KEYS": ENCRYPTION_KEY,
        "SECRET_KEYS": "a-secret-key-that-only-the-bench-knows",  # nosec B105 - of a throwaway server
        "WEB_CONCURRENCY": str(processes),
        **more,
    }


@contextmanager
def ours(server: Server, processes: int, *, database: str = "", **more: str) -> Iterator[Running]:
    """This add-on's web processes.

    Args:
        server: has the database.
        processes: how many share the port.
        database: one that has the tables; default: a new one.
        **more: settings, by the names of their variables.
    """
    if not database:
        database = f"ours_{secrets.token_hex(4)}"
        server.make(database)
    port = free_port()
    environment = settings_of(server.url(database), port, processes=processes, **more)
    command = [sys.executable, "-m", "bench.launch", "web"]
    with answering(command, environment, port, server.folder / f"{database}.log") as process:
        yield Running(port, process, database, "resources")


@contextmanager
def hello(factory: str, server: Server, processes: int) -> Iterator[Running]:
    """A program that only answers, on the server program that we use and set up as ours is."""
    port = free_port()
    words = f"from app.commands.web import serve; serve({factory!r}, host='127.0.0.1', port={port})"
    environment = {"WEB_CONCURRENCY": str(processes)}
    with answering([sys.executable, "-c", words], environment, port, server.folder / "hello.log") as process:
        yield Running(port, process)


@contextmanager
def answering(
    command: Sequence[str | Path], environment: Mapping[str, str], port: int, log: Path, folder: Path = PROJECT
) -> Iterator[int]:
    """A server that says at `/health/live` when it is ready; its process id."""
    with served(command, environment, f"http://127.0.0.1:{port}/health/live", folder=folder, log=log) as process:
        yield process
