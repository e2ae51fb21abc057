"""A real worker process that can be stopped at any point of its work and killed there.

Real processes need real waiting: only here tests look again and again, with a deadline. Where a worker stands when it
is killed is no matter of time: its call of Heroku is held, its driver waits for a lock of ours, or a row is locked.
"""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
import uvicorn
from rig import Rig, environment
from sqlalchemy import text
from starlette.types import ASGIApp, Receive, Scope, Send

PROJECT = Path(__file__).parent.parent.parent


async def until(condition: Callable[[], Awaitable[object]], what: str) -> None:
    try:
        async with asyncio.timeout(40):
            while not await condition():
                await asyncio.sleep(0.03)
    except TimeoutError:
        pytest.fail(f"waited in vain until {what}")


class OnSocket:
    """The simulator as a real worker reaches it. `hold` stops the next call of a path before it is carried out."""

    def __init__(self, app: ASGIApp) -> None:
        self.url = ""
        self.arrived = asyncio.Event()
        self._app = app
        self._path: str | None = None
        self._go_on = asyncio.Event()
        self._is_lost = False

    def hold(self, path: str) -> None:
        self._path, self.arrived, self._go_on = path, asyncio.Event(), asyncio.Event()

    def go_on(self, *, is_lost: bool = False) -> None:
        """Carry the held call out, or lose it, as a network may."""
        self._is_lost = is_lost
        self._go_on.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._path is not None and scope["path"].endswith(self._path):
            self._path, go_on = None, self._go_on
            self.arrived.set()
            await go_on.wait()
            if self._is_lost:
                await send({"type": "http.response.start", "status": 503, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
        await self._app(scope, receive, send)

    @asynccontextmanager
    async def served(self) -> AsyncIterator["OnSocket"]:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            server = uvicorn.Server(uvicorn.Config(self, lifespan="off", log_config=None, access_log=False))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                yield self
            finally:
                server.should_exit = True
                await serving


class Scene:
    """The rig, its simulator on a socket, and one worker process at a time."""

    def __init__(self, rig: Rig, heroku: OnSocket, log: Path) -> None:
        self.rig = rig
        self.heroku = heroku
        self._log = log
        self._worker: asyncio.subprocess.Process | None = None

    async def start_worker(self) -> None:
        url = self.rig.settings.database_url.get_secret_value()
        with self._log.open("ab") as log:
            self._worker = await asyncio.create_subprocess_exec(
                sys.executable,
                PROJECT / "tests" / "acme.py",
                cwd=PROJECT,
                env=environment(url, heroku_api_url=self.heroku.url, heroku_id_url=self.heroku.url)
                | {"PYTHONPATH": str(PROJECT)},
                stdout=log,
                stderr=log,
            )

    async def kill_worker(self) -> None:
        """Kill it, and end its connections, as the server does when it learns of it."""
        assert self._worker is not None
        if self._worker.returncode is None:
            self._worker.kill()
        await self._worker.wait()
        await self.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        await self.query("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour' RETURNING id")

    async def query(self, statement: str) -> list[tuple]:
        async with self.rig.context.database.transaction() as session:
            return [tuple(row) for row in await session.execute(text(statement))]

    @asynccontextmanager
    async def locked(self, statement: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Keep what `statement` locks; call the result to let it go."""
        url = self.rig.settings.database_url.get_secret_value().replace("+psycopg", "")
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute(statement)
            yield connection.close

    async def until_waiting(self, part: str) -> None:
        """Until the worker waits for a lock in a statement with `part` in it."""
        query = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            f" AND wait_event_type = 'Lock' AND query LIKE '%{part}%'"
        )
        await until(lambda: self.query(query), f"the worker waits in {part}")


def driver_lock(uuid: str) -> str:
    """Holds up the driver in whatever it does with this resource."""
    return f"SELECT pg_advisory_lock({int.from_bytes(UUID(uuid).bytes[:8], signed=True)})"


def has_come(event: asyncio.Event) -> Callable[[], Awaitable[bool]]:
    """For `until`."""

    async def is_set() -> bool:
        return event.is_set()

    return is_set
