"""A simulator that listens on loopback, in a thread of the tests: clients use it from outside, tests look inside."""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
import uvicorn

from app.simulator import Simulator
from app.simulator.records import AddOn, App, Customer, Exchange, Finding

T = TypeVar("T")
PATIENCE_SECONDS = 30


def listening_socket() -> socket.socket:
    """A free port, taken at once: who connects before the server is up waits in the queue."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    listener.set_inheritable(True)
    return listener


def url_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


class ServedHeroku:
    """What a test holds of a served simulator."""

    def __init__(self, simulator: Simulator, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.simulator = simulator
        self.world = simulator.world
        self.url = url
        self._loop = loop
        self.ada, self.ben, *_ = self.world.customers.values()
        self.api = self.client(self.ada)

    def client(self, person: Customer) -> httpx2.Client:
        """The platform API as `person` sees it, without any client of Heroku's between."""
        accept = "application/vnd.heroku+json; version=3"
        headers = {"Accept": accept, "Authorization": f"Bearer {person.api_key}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=PATIENCE_SECONDS, trust_env=False)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something of the simulator's where it lives."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    def wait_until(self, is_so: Callable[[], Any]) -> None:
        """Return when `is_so` does: it is asked after every change of the world."""

        async def watch() -> None:
            has_changed = self.simulator._watch()
            async with asyncio.timeout(PATIENCE_SECONDS - 5):
                while not is_so():
                    await has_changed.wait()
                    has_changed.clear()

        self.do(watch())

    def create_app(self, name: str) -> App:
        answer = self.api.post("/apps", json={"name": name})
        assert answer.status_code == 201, answer.text
        return self.world.apps[answer.json()["id"]]

    def install(self, app: App, plan: str = "test", **body: Any) -> AddOn:
        """Have the add-on installed on `app`, and wait until it is provisioned."""
        answer = self.api.post(f"/apps/{app.name}/addons", json={"plan": {"name": f"acme-postgres:{plan}"}, **body})
        assert answer.status_code in {201, 202}, answer.text
        addon = self.world.addons[answer.json()["id"]]
        self.wait_until(lambda: addon.state == "provisioned")
        return addon

    def tokens_of(self, addon: AddOn) -> list[str]:
        """The access tokens that the partner's program has for `addon` so far."""
        return [one.token for one in self.world.access_tokens.values() if one.addon_id == addon.id]

    def clear(self) -> None:
        """Let customers remove everything, so that nothing of one test is there in the next."""
        for app in list(self.world.apps.values()):
            self.api.delete(f"/apps/{app.name}").raise_for_status()
        self.wait_until(lambda: not self.world.pending_deletes)
        self.world.exchanges.clear()

    def calls(self, direction: str = "customer") -> list[str]:
        """What was asked in that direction so far: method and path."""
        found = [one for one in self.world.exchanges if one.direction == direction]
        return [f"{one.method} {urlsplit(one.url).path}" for one in found]

    def exchange(self, call: str) -> Exchange:
        """The latest exchange that was this method and path."""
        return next(one for one in reversed(self.world.exchanges) if f"{one.method} {urlsplit(one.url).path}" == call)

    def problems(self) -> list[Finding]:
        """What the verdicts on all exchanges complain about."""
        return [one for exchange in self.world.exchanges for one in exchange.findings if one.level == "problem"]


@contextmanager
def served(make: Callable[[str], Simulator]) -> Iterator[ServedHeroku]:
    """Serve the simulator that `make` builds for an address, until the end of the block."""
    with listening_socket() as listener:
        url = url_of(listener)
        simulator = make(url)
        server = uvicorn.Server(uvicorn.Config(simulator.app, access_log=False, log_config=None, lifespan="on"))
        loops: list[asyncio.AbstractEventLoop] = []
        is_running = threading.Event()

        async def serve() -> None:
            loops.append(asyncio.get_running_loop())
            is_running.set()
            await server.serve(sockets=[listener])

        thread = threading.Thread(target=asyncio.run, args=(serve(),), name="heroku")
        thread.start()
        assert is_running.wait(PATIENCE_SECONDS)
        heroku = ServedHeroku(simulator, url, loops[0])
        try:
            yield heroku
        finally:
            heroku.api.close()
            server.should_exit = True
            thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive(), "The simulator did not stop."
