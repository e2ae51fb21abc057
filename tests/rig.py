"""The whole add-on in one process for a test: the app, the simulator as its Heroku, real Postgres, and a clock that the
test moves. No sockets between them, and nothing of ours is replaced.
"""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx2
from acme import acme_manifest, acme_plans
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import select, text

from app.context import Context, open_context
from app.drivers.api_key import ApiKey
from app.job_worker import worker_app
from app.main import create_app
from app.plans import Plan, by_name
from app.resources.models import Resource
from app.resources.outcomes import JOBS, run_job
from app.resources.sweep import sweep
from app.resources.traces import Event
from app.settings import Settings, read_settings
from app.simulator import Simulator
from app.worker import libpq_url

URL = "http://addon.test"
HEROKU_URL = "http://127.0.0.1:5100"
PASSWORD = "correct-horse-battery"
PREVIOUS_PASSWORD = "the-one-before-that"
SALT = "a-grain-of-salt"
PREVIOUS_SALT = "an-older-grain"
CLIENT_SECRET = "client-secret-of-the-tests"
ENCRYPTION_KEY = base64.urlsafe_b64encode(b"k" * 32).decode()
SECRET_KEY = "s" * 40


def environment(database_url: str, **changes: str) -> dict[str, str]:
    """A complete environment of the app; `changes` by setting name in lower case."""
    return {
        "DATABASE_URL": database_url,
        "PUBLIC_URL": URL,
        "ADDON_PASSWORD": PASSWORD,
        "ADDON_PASSWORD_PREVIOUS": PREVIOUS_PASSWORD,
        "ADDON_SSO_SALT": SALT,
        "ADDON_SSO_SALT_PREVIOUS": PREVIOUS_SALT,
        "HEROKU_CLIENT_SECRET": CLIENT_SECRET,
        "DEPROVISION_GRACE": "0",
        # Only tests of webhooks subscribe, or every other one would have their calls among its own.
        "HEROKU_WEBHOOKS": "false",
        "HEROKU_API_URL": HEROKU_URL,
        "HEROKU_ID_URL": HEROKU_URL,
        "HEROKU_ADDONS_URL": HEROKU_URL,
        "ENCRYPTION_KEYS": ENCRYPTION_KEY,
        "SECRET_KEYS": SECRET_KEY,
    } | {name.upper(): value for name, value in changes.items()}


class TestClock:
    """A time that moves only when the test says so. It starts now, because signatures of cookies use the real one."""

    __test__ = False

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **duration: float) -> None:
        self.now += timedelta(**duration)


class Rig:
    """What a test holds in its hands."""

    def __init__(
        self, settings: Settings, price_list: Mapping[str, Plan] | None = None, *, requires: Sequence[str] = ()
    ) -> None:
        self.settings = settings
        self.clock = TestClock()
        # How the OpenID provider of a test is reached; to be set before it runs.
        self.open_id_transport: httpx2.AsyncBaseTransport | None = None
        # What takes the spans of a test's traces; as above.
        self.span_processor: Any = None
        self.app: FastAPI = create_app(settings, self._open)
        self._price_list = price_list if price_list is not None else acme_plans(settings)
        self._manifest = acme_manifest(*requires)
        manifest = self._manifest.model_dump()
        manifest["api"] |= {"password": PASSWORD, "sso_salt": SALT}
        self.simulator = Simulator(
            manifest,
            HEROKU_URL,
            f"{URL}/heroku/resources",
            f"{URL}/sso/login",
            CLIENT_SECRET,
            transport=httpx2.ASGITransport(self.app, raise_app_exceptions=False),
            clock=self.clock,
            sleep=self._no_sleep,
        )
        self.slept: list[float] = []
        # A browser's or anybody's client, and Heroku's.
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.app, raise_app_exceptions=False), base_url=URL
        )
        self.heroku = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.app, raise_app_exceptions=False),
            base_url=f"{URL}/heroku/resources",
            auth=("acme-postgres", PASSWORD),
            headers={"Accept": "application/vnd.heroku-addons+json; version=3"},
        )

    def _open(self, settings: Settings) -> Any:
        return open_context(
            settings,
            clock=self.clock,
            heroku_transport=httpx2.ASGITransport(self.simulator.app),
            open_id_transport=self.open_id_transport,
            manifest=self._manifest,
            price_list=self._price_list,
            span_processor=self.span_processor,
        )

    async def _no_sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    @property
    def context(self) -> Context:
        return self.app.state.context

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Rig"]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.simulator.running())
            await stack.enter_async_context(self.app.router.lifespan_context(self.app))
            await stack.enter_async_context(self.http)
            await stack.enter_async_context(self.heroku)
            yield self

    async def work(self, *, rounds: int = 1) -> None:
        """Run every job that waits, as the worker does; with more `rounds` also the retries, without their waits."""
        queue = worker_app(
            url=libpq_url(self.settings.database_url.get_secret_value()),
            jobs={name: partial(run_job, self.context, name) for name in JOBS},
            periodic={},
        )
        async with queue.open_async():
            for _ in range(rounds):
                async with self.context.database.transaction() as session:
                    await session.execute(
                        text("UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE scheduled_at IS NOT NULL")
                    )
                await queue.run_worker_async(
                    wait=False,
                    concurrency=1,
                    install_signal_handlers=False,
                    listen_notify=False,
                    delete_jobs="successful",
                )

    async def sweep(self) -> None:
        """The round that the worker makes every minute, and what it enqueues."""
        await sweep(self.context)
        await self.work()

    async def resource(self, uuid: UUID | str) -> Resource:
        async with self.context.database.transaction() as session:
            return await session.get_one(Resource, UUID(str(uuid)))

    async def config(self, uuid: UUID | str) -> dict[str, str]:
        return (await self.resource(uuid)).config(self.context.keys)

    async def events(self, uuid: UUID | str) -> list[str]:
        """The kinds of the resource's events, oldest first."""
        async with self.context.database.transaction() as session:
            query = select(Event.kind).where(Event.resource_uuid == UUID(str(uuid)))
            return list(await session.scalars(query.order_by(Event.id)))

    async def jobs(self) -> list[tuple[str, str]]:
        """Name and status of everything in the queue."""
        async with self.context.database.transaction() as session:
            rows = await session.execute(text("SELECT task_name, status::text FROM procrastinate_jobs ORDER BY id"))
            return [(name, status) for name, status in rows]


def key_plans(database_url: str) -> Mapping[str, Plan]:
    """Plans that cost little to make: `test` at once, `standard` and `premium` in the background."""
    driver = partial(
        ApiKey,
        SecretStr(database_url.replace("+psycopg", "")),
        config_var="ACME_POSTGRES_URL",
        service_url="https://service.example.com",
        requests_per_minute=60,
    )
    return by_name(
        Plan(name="test", driver=driver(), is_instant=True),
        Plan(name="standard", driver=driver()),
        Plan(name="premium", driver=driver()),
    )


def provision_body(**changes: Any) -> dict[str, Any]:
    """What Heroku sends to provision, as its documentation shows it; a change to `...` leaves a field out."""
    uuid = str(uuid4())
    body = {
        "uuid": uuid,
        "name": "acme-postgres-shaped-12345",
        "plan": "test",
        "region": "amazon-web-services::us-east-1",
        "callback_url": f"https://api.heroku.com/addons/{uuid}",
        "oauth_grant": {
            "code": str(uuid4()),
            "type": "authorization_code",
            "expires_at": "2016-03-03T18:01:31-0800",
        },
        "options": {"foo": "bar", "baz": "true"},
    } | changes
    return {name: value for name, value in body.items() if value is not ...}


def new_settings(database_url: str, **changes: str) -> Settings:
    return read_settings(environment(database_url, **changes))
