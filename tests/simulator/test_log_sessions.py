import asyncio

import pytest


@pytest.fixture
def shop(sim):
    app = sim.world.app("shop")
    sim.logs.forget(app)
    for number in range(1, 6):
        sim.logs.write(app, "app", "web.1", f"web says {number}")
        sim.logs.write(app, "app", "worker.1", f"worker says {number}")
    sim.logs.write(app, "heroku", "router", "at=info")
    return app


@pytest.fixture
def customer(sim):
    key = next(iter(sim.world.customers.values())).api_key
    return {"Authorization": f"Bearer {key}", "Accept": "application/vnd.heroku+json; version=3"}


@pytest.fixture
def read(http, customer, shop):
    """Open a session and return its lines' texts."""

    async def texts(**session):
        opened = await http.post("/apps/shop/log-sessions", json=session, headers=customer)
        assert opened.status_code == 201, opened.text
        streamed = await http.get(opened.json()["logplex_url"])
        assert streamed.headers["content-type"].startswith("text/event-stream")
        events = [event for event in streamed.text.split("\n\n") if event]
        return [event.partition("]: ")[2] for event in events]

    return texts


async def test_a_session_has_heroku_s_fields_and_no_token_in_the_record(sim, http, customer, shop):
    answer = await http.post("/apps/shop/log-sessions", json={}, headers=customer)
    session = answer.json()
    assert session.keys() == {"created_at", "id", "logplex_url", "updated_at"}
    assert session["logplex_url"].startswith("http://heroku.test/")
    assert session["logplex_url"] not in repr(sim.world.exchanges)


async def test_each_line_is_an_event_with_a_number(http, customer, shop):
    opened = await http.post("/apps/shop/log-sessions", json={"lines": 1}, headers=customer)
    event = (await http.get(opened.json()["logplex_url"])).text
    number, _, data = event.partition("\n")
    assert number.removeprefix("id: ").isdecimal()
    assert data == "data: 2026-05-01T12:00:00.000000+00:00 heroku[router]: at=info\n\n"


@pytest.mark.parametrize(
    ("asked", "texts"),
    [
        ({"lines": 2}, ["worker says 5", "at=info"]),
        ({"lines": 2, "source": "app"}, ["web says 5", "worker says 5"]),
        ({"lines": 1, "source": "heroku"}, ["at=info"]),
        ({"lines": 2, "dyno": "web.1"}, ["web says 4", "web says 5"]),
        ({"lines": 1, "dyno_name": "worker.1"}, ["worker says 5"]),
        ({"lines": 1, "dyno": "web"}, ["web says 5"]),
        ({"lines": 1, "type": "worker"}, ["worker says 5"]),
        ({"dyno": "we"}, []),
        ({"source": "app", "dyno": "router"}, []),
    ],
)
async def test_a_session_shows_the_latest_lines_of_what_was_asked_for(read, asked, texts):
    assert await read(**asked) == texts


async def test_without_a_number_a_hundred_lines_are_shown(sim, read, shop):
    for number in range(150):
        sim.logs.write(shop, "app", "web.1", str(number))
    assert await read() == [str(number) for number in range(50, 150)]


@pytest.mark.parametrize("asked", [{"lines": 0}, {"lines": "5"}, {"lines": True}, {"source": 1}, {"dyno": ["web.1"]}])
async def test_a_session_that_makes_no_sense_is_refused(http, customer, shop, asked):
    answer = await http.post("/apps/shop/log-sessions", json=asked, headers=customer)
    assert (answer.status_code, answer.json()["id"]) == (422, "invalid_params")


async def test_an_unknown_or_old_session_is_not_found(http, customer, shop, clock):
    assert (await http.get("/log-streams/nothing")).status_code == 404
    opened = await http.post("/apps/shop/log-sessions", json={}, headers=customer)
    clock.move(minutes=6)
    assert (await http.get(opened.json()["logplex_url"])).status_code == 404


async def test_only_people_of_the_app_may_read_its_log(sim, http, shop):
    owner, *others = sim.world.customers.values()
    sim.world.create_app("private", owner=owner)
    headers = {"Authorization": f"Bearer {others[0].api_key}"}
    assert (await http.post("/apps/private/log-sessions", json={}, headers=headers)).status_code == 403


class Stream:
    """One open GET of a session, as a server drives it: events come one by one until it is left."""

    def __init__(self, app, path, **headers):
        self._events, self._left = asyncio.Queue(), asyncio.Event()
        sent = [(b"host", b"heroku.test"), *((name.encode(), value.encode()) for name, value in headers.items())]
        scope = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": path}
        scope |= {"raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": sent}
        scope |= {"client": ("127.0.0.1", 1), "server": ("heroku.test", 80), "asgi": {"version": "3.0"}}
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self):
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        if message["type"] == "http.response.body" and message["body"]:
            self._events.put_nowait(message["body"].decode())

    async def event(self):
        async with asyncio.timeout(5):
            return await self._events.get()

    async def text(self):
        return (await self.event()).partition("]: ")[2].strip()

    async def leave(self):
        self._left.set()
        async with asyncio.timeout(5):
            await self.task


async def test_a_tail_goes_on_with_what_is_printed_until_the_reader_leaves(sim, http, customer, shop):
    opened = await http.post("/apps/shop/log-sessions", json={"lines": 1, "tail": True}, headers=customer)
    path = opened.json()["logplex_url"].removeprefix("http://heroku.test")
    stream = Stream(sim.app, path)
    assert await stream.text() == "at=info"
    sim.logs.write(shop, "app", "web.1", "first")
    sim.logs.write(sim.world.app("example-shop"), "app", "web.1", "of another app")
    assert await stream.text() == "first"
    sim.logs.write(shop, "app", "web.1", "second\nthird")
    assert await stream.text() == "second"
    last = await stream.event()
    await stream.leave()
    sim.logs.write(shop, "app", "web.1", "missed")
    number = last.partition("\n")[0].removeprefix("id: ")
    again = Stream(sim.app, path, **{"last-event-id": number})
    assert await again.text() == "missed"
    await again.leave()


async def test_a_number_from_before_a_restart_says_nothing(sim, http, customer, shop):
    opened = await http.post("/apps/shop/log-sessions", json={"lines": 1, "tail": True}, headers=customer)
    path = opened.json()["logplex_url"].removeprefix("http://heroku.test")
    stream = Stream(sim.app, path, **{"last-event-id": "999999"})
    assert await stream.text() == "at=info"
    await stream.leave()


async def test_a_tail_ends_with_its_app(sim, http, customer, shop):
    opened = await http.post("/apps/shop/log-sessions", json={"lines": 1, "tail": True}, headers=customer)
    stream = Stream(sim.app, opened.json()["logplex_url"].removeprefix("http://heroku.test"))
    assert await stream.text() == "at=info"
    del sim.world.apps[shop.id]
    sim.logs.write(sim.world.app("example-shop"), "app", "web.1", "elsewhere")
    async with asyncio.timeout(5):
        await stream.task
