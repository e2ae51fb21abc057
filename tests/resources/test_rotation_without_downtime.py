"""Real clients of a sold database, which connect again and again while its credentials are rotated: none ever fails.

Two kinds: a dyno reads its URL from the config var whenever it connects, as one that was restarted does; a copy has an
older URL, and learns of the new one later.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from acme import acme_plans
from lives import installed, url_in
from rig import Rig, new_settings

from app.operations.action import Order, perform
from app.operations.credentials import RETIRE_NOW, ROTATE
from app.operations.scheduled_rotation import rotate_due
from app.operators.roles import Actor, Role
from app.plans import by_name
from app.simulator.records import AddOn, App

OLGA = Order(actor=Actor(name="olga@acme.example", role=Role.OPERATOR), reason="a test")


class Client:
    """Connects, writes a line and goes, again and again, with the URL that `url` gives it at that moment."""

    def __init__(self, url: Callable[[], str]) -> None:
        self._url = url
        self.used: list[str] = []
        self.is_over = False
        self._news = asyncio.Condition()

    async def run(self) -> None:
        while not self.is_over:
            url = self._url()
            async with await psycopg.AsyncConnection.connect(url, connect_timeout=10) as connection:
                await connection.execute("INSERT INTO lines VALUES (current_user) RETURNING who")
            async with self._news:
                self.used.append(url)
                self._news.notify_all()

    async def connects(self, times: int = 3) -> None:
        """Wait until it has connected so many times more."""
        wanted = len(self.used) + times
        async with self._news:
            await self._news.wait_for(lambda: len(self.used) >= wanted)


class Town:
    """The add-on with one customer and both of the customer's clients."""

    def __init__(self, rig: Rig, app: App, addon: AddOn) -> None:
        self.rig, self.app, self.addon, self.uuid = rig, app, addon, UUID(addon.id)
        self.copied = self.url
        self.dyno = Client(lambda: self.url)
        self.copy = Client(lambda: self.copied)
        self._loops: list[asyncio.Task[None]] = []

    @property
    def url(self) -> str:
        return url_in(self.rig, self.app)

    async def goes_on(self, *clients: Client) -> None:
        """Both clients (or these) connect a few times more; a client that has failed fails the test."""
        waits = asyncio.gather(*(client.connects() for client in clients or (self.dyno, self.copy)))
        done, _ = await asyncio.wait([waits, *self._loops], return_when=asyncio.FIRST_COMPLETED, timeout=60)
        for task in done:
            task.result()
        assert waits.done(), "the clients hang"

    @asynccontextmanager
    async def clients_running(self) -> AsyncIterator[None]:
        self._loops = [asyncio.create_task(client.run()) for client in (self.dyno, self.copy)]
        try:
            yield
        finally:
            # Not cancelled: a connection that is broken off halfway stays with the server for a minute.
            self.dyno.is_over = self.copy.is_over = True
            await asyncio.gather(*self._loops, return_exceptions=True)


@pytest.fixture
async def town(database_url: str, empty_server: object) -> AsyncIterator[Town]:
    settings = new_settings(database_url)
    scheduled = replace(acme_plans(settings)["test"], rotate_every=timedelta(days=30))
    async with Rig(settings, by_name(scheduled)).running() as rig:
        app, addon = await installed(rig)
        town = Town(rig, app, addon)
        with psycopg.connect(town.url) as connection:
            connection.execute("CREATE TABLE lines (who text)")
        yield town


async def by_customer(town: Town) -> None:
    """By the button on the dashboard."""
    town.rig.clock.forward(seconds=1)  # no form is good for two sign-ins
    form = town.rig.simulator.calls.sso_form(town.addon)
    page = await town.rig.http.post("/sso/login", data=form, follow_redirects=True)
    token = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert token is not None, page.text
    answer = await town.rig.http.post(f"/dashboard/{town.uuid}/rotate", data={"form_token": token[1]})
    assert answer.status_code == 303


async def by_operator(town: Town) -> None:
    await perform(town.rig.context, ROTATE, town.uuid, OLGA)


async def by_schedule(town: Town) -> None:
    town.rig.clock.forward(days=31)
    await rotate_due(town.rig.context)


def refuses(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=10).close()
    except psycopg.OperationalError:
        return True
    return False


async def test_clients_that_connect_again_and_again_never_fail(town: Town):
    rig = town.rig
    urls = [town.url]
    async with town.clients_running():
        await town.goes_on()
        for ask in (by_customer, by_operator, by_schedule):
            await ask(town)
            await town.goes_on()
            await rig.work()
            await town.goes_on()
            rig.clock.forward(minutes=30)
            await rig.sweep()
            await town.goes_on()
            town.copied = town.url  # whoever has a copy learns of the new one within the overlap
            await town.goes_on()
            rig.clock.forward(minutes=90)
            await rig.sweep()
            await town.goes_on()
            urls.append(town.url)
    assert len(set(urls)) == 4
    assert set(town.dyno.used) == set(town.copy.used) == set(urls)
    assert [refuses(url) for url in urls] == [True, True, True, False]


async def test_a_client_that_stays_connected_beyond_the_overlap_is_waited_for(town: Town):
    rig, old = town.rig, town.url
    late = await psycopg.AsyncConnection.connect(old, autocommit=True)
    async with late, town.clients_running():
        await by_customer(town)
        await rig.work()
        town.copied = town.url
        await town.goes_on()
        for _ in range(3):
            rig.clock.forward(hours=2)
            await rig.sweep()
            await late.execute("INSERT INTO lines VALUES ('late')")
            await town.goes_on()
        assert (await rig.resource(town.uuid)).retirement_waits_for == "clients"
        await late.close()
        await town.goes_on()
        while (await rig.resource(town.uuid)).is_rotating:  # the server takes a moment to notice who has left
            rig.clock.forward(minutes=5)
            await rig.sweep()
        await town.goes_on()
    assert refuses(old)


async def test_an_operator_can_cut_off_who_stays_connected(town: Town):
    rig, old = town.rig, town.url
    thief = await psycopg.AsyncConnection.connect(old, autocommit=True)
    async with town.clients_running():
        await by_operator(town)
        await rig.work()
        town.copied = town.url
        await town.goes_on()
        rig.clock.forward(hours=2)
        await rig.sweep()
        await thief.execute("SELECT 1")
        await perform(rig.context, RETIRE_NOW, town.uuid, OLGA)
        await rig.work()
        with pytest.raises(psycopg.OperationalError):
            await thief.execute("SELECT 1")
        await town.goes_on()
    with suppress(psycopg.OperationalError):
        await thief.close()
    assert refuses(old)


async def test_no_client_notices_that_heroku_does_not_answer_for_hours(town: Town):
    rig, old = town.rig, town.url
    async with town.clients_running():
        rig.simulator.faults.add("error", direction="platform", path="/config", count=8)  # twice in each of four rounds
        await by_customer(town)
        for _ in range(4):
            await rig.work()
            rig.clock.forward(hours=3)
            await rig.sweep()
            assert town.url == old
            await town.goes_on()
        await rig.work()
        assert town.url != old
        await town.goes_on()
