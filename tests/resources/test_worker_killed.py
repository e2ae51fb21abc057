"""`kill -9` for a real worker process at every boundary of the background work: nothing is lost, nothing made twice.

Real processes need real waiting: only here tests look again and again, with a deadline. Where a worker stands when it
is killed is no matter of time: its call of Heroku is held, its driver waits for a lock of ours, or its job is locked.
"""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
import uvicorn
from lives import install, take_over, url_in
from rig import Rig, environment
from sqlalchemy import text
from starlette.types import ASGIApp, Receive, Scope, Send

PROJECT = Path(__file__).parent.parent.parent
CALLS = {
    "exchange_grant": "/oauth/token",
    "provision_service": None,
    "push_config": "/config",
    "announce_provisioned": "/actions/provision",
}


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


@pytest.fixture
async def scene(rig: Rig, tmp_path: Path) -> AsyncIterator[Scene]:
    async with OnSocket(rig.simulator.app).served() as heroku:
        scene = Scene(rig, heroku, tmp_path / "worker.log")
        yield scene
        with suppress(AssertionError):
            await scene.kill_worker()


async def assert_one_database(scene: Scene, uuid: str) -> None:
    name = f"addon_{uuid.replace('-', '')}"
    found = (
        f"SELECT 1 FROM pg_database WHERE datname = '{name}' UNION ALL SELECT 1 FROM pg_roles WHERE rolname ~ '{name}'"
    )
    assert len(await scene.query(found)) == 3  # the database, its owner and one login
    app = scene.rig.simulator.world.apps[scene.rig.simulator.world.addon(uuid).app_id]
    async with await psycopg.AsyncConnection.connect(url_in(scene.rig, app)) as connection:
        await connection.execute("CREATE TABLE it_works ()")
    assert len(app.releases) == 2
    assert (await scene.rig.events(uuid)).count("provisioned") == 1


async def assert_nothing(scene: Scene, uuid: str) -> None:
    name = f"addon_{uuid.replace('-', '')}"
    assert await scene.query(f"SELECT FROM pg_database WHERE datname = '{name}'") == []
    assert await scene.query(f"SELECT FROM pg_roles WHERE rolname ~ '{name}'") == []


async def test_as_the_call_of_each_job_begins(scene: Scene):
    _, addon = await install(scene.rig, "standard")
    for job, path in CALLS.items():
        if path is None:
            async with scene.locked(driver_lock(addon.id)):
                await scene.start_worker()
                await scene.until_waiting("pg_advisory_lock")
                await scene.kill_worker()
        else:
            scene.heroku.hold(path)
            await scene.start_worker()
            await until(_is_set(scene.heroku.arrived), f"{job} calls Heroku")
            await scene.kill_worker()
            # A grant works once: had Heroku received it, nobody could exchange it again.
            scene.heroku.go_on(is_lost=job == "exchange_grant")
        assert (job, "doing") in await scene.rig.jobs()
        await take_over(scene.rig)
    await scene.start_worker()
    await until(_is_idle(scene, addon.id, "provisioned"), "it is provisioned")
    assert addon.state == "provisioned"
    await assert_one_database(scene, addon.id)


async def test_after_the_record_of_each_job_before_the_queue_knows(scene: Scene):
    _, addon = await install(scene.rig, "standard")
    for job, path in CALLS.items():
        lock_job = f"SELECT FROM procrastinate_jobs WHERE task_name = '{job}' AND status = 'doing' FOR UPDATE"
        if path is None:
            async with scene.locked(driver_lock(addon.id)) as let_driver_go:
                await scene.start_worker()
                await scene.until_waiting("pg_advisory_lock")
                async with scene.locked(lock_job):
                    await let_driver_go()
                    await scene.until_waiting("procrastinate_finish_job")
                    await scene.kill_worker()
        else:
            scene.heroku.hold(path)
            await scene.start_worker()
            await until(_is_set(scene.heroku.arrived), f"{job} calls Heroku")
            async with scene.locked(lock_job):
                scene.heroku.go_on()
                await scene.until_waiting("procrastinate_finish_job")
                await scene.kill_worker()
        assert (job, "doing") in await scene.rig.jobs()
        await take_over(scene.rig)
    await scene.start_worker()
    await until(_is_idle(scene, addon.id, "provisioned"), "it is provisioned")
    await assert_one_database(scene, addon.id)


async def test_while_it_removes_and_the_next_worker_takes_over_by_itself(scene: Scene):
    _, addon = await install(scene.rig, "test")
    await scene.rig.simulator.calls.deprovision(addon)
    async with scene.locked(driver_lock(addon.id)):
        await scene.start_worker()
        await scene.until_waiting("pg_advisory_lock")
        await scene.kill_worker()
    await scene.start_worker()
    await until(_is_idle(scene, addon.id, "deprovisioned"), "it is removed")
    assert (await scene.rig.resource(addon.id)).removed_at is not None
    await assert_nothing(scene, addon.id)


def _is_set(event: asyncio.Event) -> Callable[[], Awaitable[bool]]:
    async def is_set() -> bool:
        return event.is_set()

    return is_set


def _is_idle(scene: Scene, uuid: str, state: str) -> Callable[[], Awaitable[bool]]:
    async def is_idle() -> bool:
        waiting = await scene.query("SELECT FROM procrastinate_jobs WHERE queue_name = 'resources'")
        return (await scene.rig.resource(uuid)).state == state and waiting == []

    return is_idle
