"""A deployed add-on and its Heroku: web and worker as processes, a Postgres of their own, the simulator on a socket.

Each of the three may be killed at any moment, and comes back where it was. One clock rules all of them; it jumps.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
import uvicorn
from acme import acme_manifest
from alembic import command as alembic
from alembic.config import Config
from psycopg.rows import TupleRow
from rig import CLIENT_SECRET, PASSWORD, SALT, environment, new_settings
from town_process import MovableClock, opener

from app.context import Context
from app.dev.postgres import DevPostgres
from app.dev.postgres_programs import DevPostgresError
from app.simulator import Simulator

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
DATABASE = "addon"
PLANS = ("test", "standard", "premium", "key", "slow-key")
# Real processes on a busy machine; what takes longer hangs.
_PATIENCE_SECONDS = 90

# Of each resource the job whose turn it is, whether it only waits for its time, and how long.
_NEXT_JOBS = """
    SELECT DISTINCT ON (coalesce(lock, id::text))
           status = 'todo' AND coalesce(scheduled_at > now(), false), scheduled_at - now(), lock
    FROM procrastinate_jobs WHERE status IN ('todo', 'doing')
    ORDER BY coalesce(lock, id::text), status = 'doing' DESC, priority DESC, id
"""


class Town:
    """What a test holds in its hands: the processes, the simulator, the clock, and the add-on's own context."""

    def __init__(self, folder: Path, postgres: DevPostgres) -> None:
        self.postgres = postgres
        self.clock = MovableClock(folder / "clock")
        self.log = folder / "log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.programs: dict[str, asyncio.subprocess.Process] = {}
        self.is_postgres_up = True
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.heroku_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        manifest = acme_manifest().model_dump()
        manifest["api"] |= {"password": PASSWORD, "sso_salt": SALT}
        self.simulator = Simulator(
            manifest,
            self.heroku_url,
            f"{self.url}/heroku/resources",
            f"{self.url}/sso/login",
            CLIENT_SECRET,
            clock=self.clock,
        )
        self.heroku = httpx2.AsyncClient(
            base_url=f"{self.url}/heroku/resources", auth=("acme-postgres", PASSWORD), timeout=30, trust_env=False
        )

    @property
    def environment(self) -> dict[str, str]:
        """Of a process of the add-on: nothing of this machine's that could change what it does."""
        names = {"LANG", "PATH", "HOME", "TMPDIR"}
        ours = {name: value for name, value in os.environ.items() if name in names}
        ours["PYTHONPATH"] = f"{PROJECT}{os.pathsep}{PROJECT / 'tests'}"
        return ours | environment(self.postgres.url_for(DATABASE), **self._settings())

    def _settings(self) -> dict[str, str]:
        return {
            "public_url": self.url,
            "heroku_api_url": self.heroku_url,
            "heroku_id_url": self.heroku_url,
            "heroku_addons_url": self.heroku_url,
            "heroku_webhooks": "true",
        }

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Town"]:
        server = uvicorn.Server(uvicorn.Config(self.simulator.app, lifespan="off", log_config=None, access_log=False))
        async with self.heroku, self.simulator.running():
            serving = asyncio.create_task(server.serve(sockets=[self._listener]))
            try:
                yield self
            finally:
                for name in list(self.programs):
                    await self.kill(name)
                server.should_exit = True
                await serving

    @asynccontextmanager
    async def context(self) -> AsyncIterator[Context]:
        """The add-on from inside, for what an operator does and for looking at the rows."""
        settings = new_settings(self.postgres.url_for(DATABASE), **self._settings())
        async with opener(self.clock)(settings) as context:
            yield context

    async def start(self, name: str) -> None:
        """Start `web` or `worker`; the web process is waited for."""
        words = ["web", str(self.port)] if name == "web" else ["worker"]
        with self.log.open("ab") as log:
            self.programs[name] = await asyncio.create_subprocess_exec(
                sys.executable,
                HERE / "town_process.py",
                *words,
                str(self.log.with_name("clock")),
                cwd=PROJECT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        if name == "web":
            await until(self._is_answering, f"the web process answers; its log is {self.log}")

    async def kill(self, name: str) -> None:
        """SIGKILL. A dead worker's jobs are taken over half a minute later, which is now."""
        process = self.programs.pop(name, None)
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if name == "worker" and self.is_postgres_up:
            await self._forget_workers()

    def kill_postgres(self) -> None:
        """SIGKILL: no checkpoint, no farewell; what was committed must be there afterwards."""
        self.is_postgres_up = False
        os.kill(int((self.postgres.data / "postmaster.pid").read_text().split("\n", 1)[0]), signal.SIGKILL)
        self.postgres.__exit__()

    async def repair(self) -> None:
        """Start whatever does not run, as a platform does."""
        if not self.is_postgres_up:
            await until(self._is_postgres_started, f"Postgres starts again; its log is {self.postgres.log}")
            self.is_postgres_up = True
            if "worker" not in self.programs:
                await self._forget_workers()
        for name in ("web", "worker"):
            process = self.programs.get(name)
            if process is not None and process.returncode is not None:
                await self.kill(name)
            if name not in self.programs:
                await self.start(name)

    async def forward(self, by: timedelta) -> None:
        """Let time pass, for the add-on, for Heroku, and for what waits in the queue."""
        self.clock.forward(by)
        if self.is_postgres_up:
            statement = "UPDATE procrastinate_jobs SET scheduled_at = scheduled_at - %s WHERE status = 'todo'"
            await self.query(statement, by)

    async def sweep(self) -> None:
        """Have the worker make the round of every minute now."""
        args = "jsonb_build_object('timestamp', extract(epoch FROM now())::bigint)"
        await self.query(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args, scheduled_at)"
            f" VALUES ('periodic', 'sweep', NULL, NULL, {args}, NULL)"
        )

    async def is_idle(self) -> bool:
        """Whether no job runs or could run now: what is left, if anything, waits for its time."""
        return all(is_waiting for is_waiting, _, _ in await self.query(_NEXT_JOBS))

    async def until_next_job(self) -> timedelta | None:
        """How long the job that is next waits for its time; None if none waits, or only for what Heroku has forgotten:
        that goes on asking until an operator ends it.
        """
        jobs = [(wait, lock) for is_waiting, wait, lock in await self.query(_NEXT_JOBS) if is_waiting]
        if all(lock is not None and lock not in self.simulator.world.addons for _, lock in jobs):
            return None
        return min((wait for wait, _ in jobs), default=None)

    async def queue(self) -> list[TupleRow]:
        """What waits or runs: name, resource, how often it was tried."""
        return await self.query("SELECT task_name, lock, attempts FROM procrastinate_jobs WHERE status != 'failed'")

    async def query(self, statement: str, *values: Any) -> list[TupleRow]:
        """Ask our own database."""
        address = self.postgres.url_for(DATABASE).replace("+psycopg", "")
        async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
            cursor = await connection.execute(statement, values)
            return await cursor.fetchall() if cursor.description is not None else []

    async def _is_postgres_started(self) -> bool:
        try:
            self.postgres.__enter__()
        except DevPostgresError:  # the killed one's children have not all noticed yet, and hold its memory
            return False
        return True

    async def _is_answering(self) -> bool:
        process = self.programs["web"]
        if process.returncode is not None:
            pytest.fail(f"the web process ended while starting: {self.log.read_text()[-3000:]}")
        try:
            return (await self.heroku.get(f"{self.url}/health/live")).status_code == 200
        except httpx2.TransportError:
            return False

    async def _forget_workers(self) -> None:
        await self.query("UPDATE procrastinate_workers SET last_heartbeat = last_heartbeat - interval '1 hour'")


def new_database(postgres: DevPostgres) -> None:
    """The add-on's database, migrated. The server does not wait for the disk; a commit is still a commit there."""
    with psycopg.connect(postgres.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
        # Without it an answer could come before its commit has left the server's memory, which a kill empties.
        connection.execute("ALTER ROLE postgres SET synchronous_commit = on")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", postgres.url_for(DATABASE))
        alembic.upgrade(Config(toml_file=PROJECT / "pyproject.toml"), "head")


async def until(condition: Callable[[], Awaitable[object]], what: str) -> None:
    """Look again and again: real processes need real time."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not await condition():
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"waited in vain until {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
