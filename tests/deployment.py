"""The add-on as it is deployed: two processes behind a router, each web and worker, which new settings restart one
after the other. Heroku, a customer and an operator go on meanwhile.
"""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import httpx2
from acme import acme_manifest
from fastapi import FastAPI
from rig import CLIENT_SECRET, HEROKU_URL, PASSWORD, SALT, URL, TestClock, environment, key_plans
from sqlalchemy import text

from app.context import Context, open_context
from app.job_worker import worker_app
from app.main import create_app
from app.operations.installs import listed
from app.operators import accounts, sessions
from app.operators.attempts import Browser
from app.operators.roles import Actor, Role
from app.resources.models import Resource
from app.resources.outcomes import JOBS, run_job
from app.settings import read_settings
from app.simulator import Simulator
from app.simulator.portal.manifests import push_manifest
from app.simulator.records import AddOn
from app.worker import libpq_url

MACHINE = Actor(name="root@machine", role=Role.OWNER)


@dataclass
class Process:
    app: FastAPI
    open: AsyncExitStack

    @property
    def context(self) -> Context:
        return self.app.state.context


class Deployment:
    """Every request goes to the process after the one that got the last one, so that nobody stays with either."""

    def __init__(self, database_url: str) -> None:
        self.clock = TestClock()
        self._database_url = database_url
        self.values = environment(database_url, addon_password_previous="", addon_sso_salt_previous="")
        self.processes: list[Process] = []
        self._next = 0
        self.manifest = acme_manifest().model_dump()
        self.manifest["api"] |= {
            "password": PASSWORD,
            "sso_salt": SALT,
            "production": {
                "base_url": "https://addon.test/heroku/resources",
                "sso_url": "https://addon.test/sso/login",
            },
        }
        router = httpx2.ASGITransport(self._route, raise_app_exceptions=False)
        self.simulator = Simulator(
            self.manifest,
            HEROKU_URL,
            f"{URL}/heroku/resources",
            f"{URL}/sso/login",
            CLIENT_SECRET,
            transport=router,
            clock=self.clock,
        )
        self._browsers = partial(httpx2.AsyncClient, transport=router, base_url=URL, follow_redirects=True)
        self.customer, self.operator = self._browsers(), self._browsers()
        self.addon: AddOn
        # Not while it has another client secret than some of the processes.
        self.can_call_heroku = True

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Deployment"]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.simulator.running())
            self.processes = [await self._start(), await self._start()]
            stack.push_async_callback(self._stop)
            stack.push_async_callback(self.customer.aclose)
            stack.push_async_callback(self.operator.aclose)
            self.simulator.world.create_app("shop")
            self.addon = await self.simulator.calls.provision("shop", "test")
            await self.work(self.processes[0])
            await self._hire()
            await self.sign_in()
            await self.traffic()
            yield self

    async def change(self, **values: str) -> None:
        """Set some settings, by name in lower case: one process after the other restarts, with traffic all along."""
        self.values |= {name.upper(): value for name, value in values.items()}
        for place, former in enumerate(self.processes):
            self.processes[place] = await self._start()
            await former.open.aclose()
            await self.traffic()

    def push(self, **api: str) -> None:
        """Push the manifest with other values in `api`."""
        self.manifest["api"] |= api
        push_manifest(self.simulator.world, self.manifest)

    @property
    def context(self) -> Context:
        return self.processes[0].context

    async def sign_in(self) -> None:
        """The customer comes from Heroku, and the operator signs in; what they had before is forgotten."""
        self.clock.forward(seconds=1)  # no form is good for two sign-ins
        form = self.simulator.calls.sso_form(self.addon)
        page = await self.customer.post("/sso/login", data=form)
        assert page.status_code == 200, page.text
        browser = Browser(address="127.0.0.1", name="a test")
        token = await sessions.begin(self.context, self._operator, browser, sessions.Method.PASSWORD)
        self.operator.cookies.set("operator", token, domain="addon.test", path="/admin")
        self._forms = [await self._token(self.customer, self._dashboard), await self._token(self.operator, self._page)]

    async def traffic(self) -> None:
        """What everybody does all day, beginning with either process; nobody is refused, and no work fails."""
        for place, process in enumerate(self.processes):
            self._next = place
            addon = await self.simulator.calls.provision("shop", "test")
            await self.simulator.calls.change_plan(addon, "premium")
            await self._people()
            if self.can_call_heroku:
                await self.work(process)
                assert [page async for page in listed(process.context, pause=_never)]
            await self._people()
        answers = [one.status for one in self.simulator.world.exchanges if one.direction == "add-on"]
        assert set(answers) <= {200, 202, 204}, answers
        if self.can_call_heroku:
            await self._assert_nothing_failed()

    async def work(self, process: Process) -> None:
        """What that process's worker finds to do."""
        jobs = {name: partial(run_job, process.context, name) for name in JOBS}
        queue = worker_app(url=libpq_url(self._database_url), jobs=jobs, periodic={})
        async with queue.open_async(), self.context.database.transaction() as session:
            await session.execute(text("UPDATE procrastinate_jobs SET scheduled_at = NULL"))
        async with queue.open_async():
            await queue.run_worker_async(
                wait=False, concurrency=1, install_signal_handlers=False, listen_notify=False, delete_jobs="successful"
            )

    async def jobs(self) -> list[str]:
        async with self.context.database.transaction() as session:
            return list(await session.scalars(text("SELECT task_name FROM procrastinate_jobs ORDER BY id")))

    async def _people(self) -> None:
        """Both open their page and send a form, from the page and from one that they have open since they signed in."""
        for browser, page, form, fields, old in (
            (self.customer, self._dashboard, f"{self._dashboard}/config", {}, self._forms[0]),
            (self.operator, self._page, self._page, {"reason": "a test"}, self._forms[1]),
        ):
            for token in (await self._token(browser, page), old):
                answer = await browser.post(form, data={"form_token": token, **fields})
                assert answer.status_code == 200, answer.text
                assert "ak_" in answer.text, "the config var's value is shown"

    async def _token(self, browser: httpx2.AsyncClient, page: str) -> str:
        answer = await browser.get(page)
        found = re.search(r'name="form_token" value="([^"]+)"', answer.text)
        assert found, f"{page}: {answer.status_code} {answer.url}"
        return found[1]

    @property
    def _dashboard(self) -> str:
        return f"/dashboard/{self.addon.id}"

    @property
    def _page(self) -> str:
        return f"/admin/resources/{self.addon.id}/show-config"

    async def _assert_nothing_failed(self) -> None:
        assert await self.jobs() == []
        async with self.context.database.transaction() as session:
            rows = await session.execute(text("SELECT last_error FROM resources WHERE last_error IS NOT NULL"))
            assert rows.all() == []
            resource = await session.get_one(Resource, UUID(self.addon.id))
        assert not resource.needs_push

    async def _hire(self) -> None:
        self._operator = await accounts.add(
            self.context, MACHINE, email="olga@acme.example", name="Olga", role=Role.SUPPORT, password=None
        )

    async def _route(self, scope: Any, receive: Any, send: Any) -> None:
        self._next += 1
        await self.processes[self._next % len(self.processes)].app(scope, receive, send)

    async def _start(self) -> Process:
        def opened(settings: Any) -> Any:
            return open_context(
                settings,
                clock=self.clock,
                heroku_transport=httpx2.ASGITransport(self.simulator.app),
                manifest=acme_manifest(),
                price_list=key_plans(self._database_url),
            )

        app, stack = create_app(read_settings(self.values), opened), AsyncExitStack()
        await stack.enter_async_context(app.router.lifespan_context(app))
        return Process(app, stack)

    async def _stop(self) -> None:
        for process in self.processes:
            await process.open.aclose()


async def _never(_seconds: float) -> None:
    raise AssertionError("Heroku did not give its list at once")
