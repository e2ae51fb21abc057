import asyncio
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route

from app.simulator import AddOnFailed
from app.simulator.logs import drains as log_drains
from app.simulator.logs.drain_state import MOST_WAITING
from app.simulator.logs.frames import read_frames

DRAIN = "http://127.0.0.1/drain"


@dataclass
class Receiver:
    """Takes logs as told: `answers` are the statuses to come, 204 follows. A drain called `/stuck` never answers."""

    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    has_come: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request):
        self.requests.append((request.url.path, dict(request.headers), await request.body()))
        if request.url.path == "/stuck":
            await asyncio.Event().wait()
        self.has_come.set()
        return Response(status_code=self.answers.pop(0) if self.answers else 204)

    @property
    def texts(self):
        return [
            [message.decode().split(" ", 6)[6].strip() for message in read_frames(body)]
            for _, _, body in self.requests
        ]  # fmt: skip

    @property
    def headers(self):
        return [headers for _, headers, _ in self.requests]


@pytest.fixture
def receiver():
    return Receiver()


@pytest.fixture
def sim(make, addon, receiver):
    routes = [Route("/drain", receiver.answer, methods=["POST"]), Route("/stuck", receiver.answer, methods=["POST"])]
    asgi = Starlette(routes=[*routes, Mount("/", addon.asgi)])
    requires = ["attachable", "many_per_app", "syslog_drain"]
    return make(api={"requires": requires}, transport=httpx2.ASGITransport(asgi))


@pytest.fixture
def shop(sim):
    return sim.world.app("shop")


@pytest.fixture
def drain(sim, shop):
    return log_drains.add(sim.world, shop, DRAIN)


@pytest.fixture
def say(sim, shop):
    def write(*texts):
        for text in texts:
            sim.logs.write(shop, "app", "web.1", text)

    return write


@pytest.fixture
def customer(sim):
    key = next(iter(sim.world.customers.values())).api_key
    return {"Authorization": f"Bearer {key}", "Accept": "application/vnd.heroku+json; version=3"}


@pytest.fixture
async def installed(sim, addon):
    addon.answers["POST"] = (200, {"id": "one", "log_drain_url": "https://127.0.0.1/drain"})
    return await sim.calls.provision("shop", "basic", name="my-db")


# The platform API


async def test_a_customer_adds_sees_and_removes_a_drain(http, customer, shop):
    added = await http.post("/apps/shop/log-drains", json={"url": "https://logs.example.com/a"}, headers=customer)
    assert added.status_code == 201
    shape = added.json()
    assert shape.keys() == {"addon", "app", "created_at", "id", "token", "updated_at", "url"}
    assert (shape["addon"], shape["app"]) == (None, {"id": shop.id, "name": "shop"})
    assert shape["token"].startswith("d.")
    assert (await http.get("/apps/shop/log-drains", headers=customer)).json() == [shape]
    assert (await http.get(f"/apps/shop/log-drains/{shape['id']}", headers=customer)).json() == shape
    removed = await http.delete(f"/apps/shop/log-drains/{shape['token']}", headers=customer)
    assert removed.json() == shape
    assert (await http.get(f"/apps/shop/log-drains/{shape['id']}", headers=customer)).status_code == 404


async def test_a_drain_is_found_by_its_url_with_the_slashes_encoded(sim, http, customer, shop):
    url = "https://user:pass-word@logs.example.com/a/b?x=1&y=2"
    log_drains.add(sim.world, shop, url)
    removed = await http.delete(f"/apps/shop/log-drains/{quote(url, safe='')}", headers=customer)
    assert removed.json()["url"] == url
    assert sim.world.log_drains == {}
    assert "pass-word" not in repr(sim.world.exchanges)


@pytest.mark.parametrize(
    "url",
    [
        None,
        5,
        "",
        "logs.example.com",
        "https://",
        "ftp://example.com",
        "https://a b",
        "https://x:99999/",
        "http://[::1/",
    ],
)
async def test_what_is_no_drains_url_is_refused(http, customer, url):
    answer = await http.post("/apps/shop/log-drains", json={"url": url}, headers=customer)
    assert (answer.status_code, answer.json()["id"]) == (422, "invalid_params")
    assert answer.json()["message"].startswith("Url is invalid")


async def test_the_same_url_twice_on_one_app_is_refused(http, customer, drain):
    answer = await http.post("/apps/shop/log-drains", json={"url": drain.url}, headers=customer)
    assert (answer.status_code, answer.json()["message"]) == (422, "Url has already been taken.")
    assert (await http.post("/apps/example-shop/log-drains", json={"url": drain.url}, headers=customer)).is_success


async def test_an_add_ons_drain_has_the_token_of_its_provision(http, customer, installed, addon):
    (shape,) = (await http.get("/apps/shop/log-drains", headers=customer)).json()
    assert shape["token"] == addon.bodies("POST")[0]["log_drain_token"]
    assert shape["addon"]["name"] == "my-db"
    assert shape["addon"]["app"]["name"] == "shop"
    refused = await http.delete(f"/apps/shop/log-drains/{shape['id']}", headers=customer)
    assert (refused.status_code, refused.json()["id"]) == (403, "forbidden")


async def test_the_partner_sees_its_own_drains_and_leads_them_elsewhere(sim, http, bearer, installed, drain, findings):
    headers = await bearer(installed)
    (shape,) = (await http.get("/addons/my-db/log-drains", headers=headers)).json()
    assert (await http.get("/apps/shop/log-drains", headers=headers)).json() == [shape]
    assert (await http.delete(f"/apps/shop/log-drains/{drain.id}", headers=headers)).status_code == 404
    path = f"/addons/{installed.id}/log-drains/{shape['token']}"
    moved = await http.put(path, json={"url": "http://127.0.0.1/new"}, headers=headers)
    assert moved.json() == shape | {"url": "http://127.0.0.1/new", "updated_at": moved.json()["updated_at"]}
    assert "should be https" in findings()
    assert (await http.put(path, json={"url": "nowhere"}, headers=headers)).status_code == 422
    assert sim.world.log_drains[shape["id"]].url == "http://127.0.0.1/new"


async def test_a_customer_cannot_move_an_add_ons_drain(sim, http, customer, installed):
    (drain,) = sim.world.log_drains.values()
    answer = await http.put(f"/addons/my-db/log-drains/{drain.id}", json={"url": DRAIN}, headers=customer)
    assert answer.status_code == 403


async def test_a_partner_may_add_further_drains_and_remove_those(http, bearer, installed):
    headers = await bearer(installed)
    added = await http.post("/apps/shop/log-drains", json={"url": "https://logs.example.com"}, headers=headers)
    assert added.json()["addon"]["id"] == installed.id
    drains = (await http.get("/addons/my-db/log-drains", headers=headers)).json()
    statuses = [
        (await http.delete(f"/apps/shop/log-drains/{one['id']}", headers=headers)).status_code for one in drains
    ]
    assert sorted(statuses) == [200, 403], "the drain of the provision stays"


async def test_an_add_ons_drain_ends_with_it_and_an_apps_with_the_app(sim, installed, drain):
    await sim.calls.deprovision(installed)
    assert list(sim.world.log_drains.values()) == [drain]
    sim.world.tell("app", "destroy", sim.world.app("shop"), sim.world.app("shop"))
    assert sim.world.log_drains == {}
    assert sim.logs.of(sim.world.app("shop")) == []


async def test_a_plan_change_may_lead_the_drain_elsewhere(sim, installed, addon):
    addon.answers["PUT"] = (200, {"log_drain_url": "https://logs.example.com/premium"})
    await sim.calls.change_plan(installed, "premium")
    (drain,) = sim.world.log_drains.values()
    assert drain.url == "https://logs.example.com/premium"


@pytest.mark.parametrize("url", ["http://logs.example.com/", "ftp://127.0.0.1/", "nonsense", 5, None])
async def test_a_provision_with_a_wrong_drain_url_fails(sim, addon, url):
    addon.answers["POST"] = (200, {"id": "one", "log_drain_url": url})
    with pytest.raises(AddOnFailed, match="needs a log_drain_url"):
        await sim.calls.provision("shop", "basic")
    assert sim.world.log_drains == {}


async def test_plain_http_does_on_this_machine_and_is_remarked_on(sim, addon, findings):
    addon.answers["POST"] = (202, {"id": "one", "log_drain_url": DRAIN})
    await sim.calls.provision("shop", "basic")
    assert "of http does on this machine only" in findings()
    assert len(sim.world.log_drains) == 1


async def test_a_drain_url_that_nobody_asked_for_is_ignored(make, addon):
    sim = make()
    addon.answers["POST"] = (200, {"id": "one", "log_drain_url": DRAIN})
    await sim.calls.provision("shop", "basic")
    assert "log_drain_url is ignored" in repr(sim.world.exchanges[-1].findings)
    assert sim.world.log_drains == {}


async def test_drains_survive_a_restart(make, tmp_path):
    first = make(state_path=tmp_path / "state.json")
    drain = log_drains.add(first.world, first.world.app("shop"), DRAIN)
    first.save()
    assert make(state_path=tmp_path / "state.json").world.log_drains == {drain.id: drain}


# Delivery


async def test_a_batch_is_a_post_of_counted_frames(sim, shop, receiver, drain, say):
    say("one", "Zoë 🦄")
    await sim.log_deliveries.deliver_due()
    ((_, headers, body),) = receiver.requests
    assert headers["content-type"] == "application/logplex-1"
    assert headers["logplex-msg-count"] == "2"
    assert headers["logplex-drain-token"] == drain.token
    assert headers["user-agent"].startswith("Logplex/")
    assert len(headers["logplex-frame-id"]) == 32
    assert "authorization" not in headers
    assert [message.decode() for message in read_frames(body)] == [
        "<190>1 2026-05-01T12:00:00.000000+00:00 host app web.1 - one\n",
        "<190>1 2026-05-01T12:00:00.000000+00:00 host app web.1 - Zoë 🦄\n",
    ]
    await sim.log_deliveries.deliver_due()
    assert len(receiver.requests) == 1, "nothing new, nothing sent"


async def test_user_and_password_of_the_url_are_sent_as_basic_and_shown_nowhere(sim, shop, receiver, say):
    drain = log_drains.add(sim.world, shop, "http://me:s%3Acret-word@127.0.0.1/drain")
    say("one")
    await sim.log_deliveries.deliver_due()
    assert receiver.headers[0]["authorization"] == "Basic bWU6czpjcmV0LXdvcmQ="
    exchange = sim.world.exchanges[-1]
    assert (exchange.direction, exchange.status) == ("logs", 204)
    assert "cret-word" not in repr(exchange)
    assert drain.token not in repr(exchange)
    assert "cret-word" not in repr(drain)


async def test_deliveries_do_not_drive_out_other_exchanges(sim, installed, drain, say):
    for number in range(120):
        say(str(number))
        await sim.log_deliveries.deliver_due()
    directions = [one.direction for one in sim.world.exchanges]
    assert directions.count("logs") == 100
    assert directions[0] == "add-on"


async def test_only_the_drains_of_the_app_get_its_lines(sim, receiver, drain):
    sim.logs.write(sim.world.app("example-shop"), "app", "web.1", "elsewhere")
    await sim.log_deliveries.deliver_due()
    assert receiver.requests == []


async def test_many_lines_come_in_order_in_batches_of_a_hundred_kilobytes(sim, receiver, drain, say):
    say(*(f"{number} {'x' * 1000}" for number in range(500)))
    await sim.log_deliveries.deliver_due()
    texts = [text for batch in receiver.texts for text in batch]
    assert [int(text.split()[0]) for text in texts] == list(range(500))
    assert len(receiver.requests) > 1
    assert max(len(body) for _, _, body in receiver.requests) <= 100 * 1024
    assert [headers["logplex-msg-count"] for headers in receiver.headers] == [str(len(one)) for one in receiver.texts]


@pytest.mark.parametrize("status", [429, 500, 503, 302])
async def test_a_batch_that_could_not_be_taken_now_comes_again_under_the_same_id(
    sim, receiver, drain, say, clock, status, findings
):
    receiver.answers = [status]
    say("one")
    await sim.log_deliveries.deliver_due()
    assert f"(it answered {status}); the same batch is sent again" in findings()
    say("two")
    await sim.log_deliveries.deliver_due()
    assert len(receiver.requests) == 1, "it waits a moment"
    clock.move(seconds=1)
    await sim.log_deliveries.deliver_due()
    assert receiver.texts == [["one"], ["one"], ["two"]]
    first, second, third = [headers["logplex-frame-id"] for headers in receiver.headers]
    assert first == second != third
    state = sim.log_deliveries.state(drain)
    assert (state.delivered, state.lost_ever, state.trouble) == (2, 0, None)


async def test_after_three_tries_a_batch_is_lost_and_the_next_one_says_so(sim, receiver, drain, say, clock, findings):
    receiver.answers = [500, 500, 500]
    say("one", "two")
    for _ in range(3):
        await sim.log_deliveries.deliver_due()
        clock.move(seconds=1)
    assert "problem: The third try failed as well (it answered 500): 2 lines lost." in findings()
    say("three")
    await sim.log_deliveries.deliver_due()
    assert receiver.texts[-1] == [
        "Error L10 (output buffer overflow): 2 messages dropped since 2026-05-01T12:00:02+00:00.",
        "three",
    ]
    assert receiver.headers[-1]["logplex-msg-count"] == "2"
    assert read_frames(receiver.requests[-1][2])[0].startswith(
        b"<172>1 2026-05-01T12:00:03.000000+00:00 host heroku logplex - "
    )
    say("four")
    await sim.log_deliveries.deliver_due()
    assert receiver.texts[-1] == ["four"], "it is said once"


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
async def test_a_refused_batch_is_lost_at_once_and_the_next_one_follows(sim, receiver, drain, say, status, findings):
    receiver.answers = [status]
    say("one")
    await sim.log_deliveries.deliver_due()
    assert f"problem: Answered {status}: 1 line lost" in findings()
    say("two")
    await sim.log_deliveries.deliver_due()
    assert [batch[-1] for batch in receiver.texts] == ["one", "two"]
    assert receiver.texts[1][0].startswith("Error L10 (output buffer overflow): 1 messages dropped")


async def test_when_too_much_waits_the_oldest_lines_give_way(sim, receiver, drain, say):
    say(*(str(number) for number in range(MOST_WAITING + 20)))
    await sim.log_deliveries.deliver_due()
    texts = [text for batch in receiver.texts for text in batch]
    assert texts[0].startswith("Error L10 (output buffer overflow): 20 messages dropped")
    assert texts[1:] == [str(number) for number in range(20, MOST_WAITING + 20)]


async def test_after_five_minutes_of_trouble_little_is_kept_until_it_is_over(sim, receiver, drain, say, clock):
    receiver.answers = [500] * 3
    say("lost")
    await sim.log_deliveries.deliver_due()
    clock.move(minutes=6)
    say(*(str(number) for number in range(30)))
    assert sim.log_deliveries.state(drain).waiting_count == 11, "ten, and the batch under way"
    for _ in range(3):
        await sim.log_deliveries.deliver_due()
        clock.move(seconds=1)
    await sim.log_deliveries.deliver_due()
    assert receiver.texts[-1][0].startswith("Error L10 (output buffer overflow): 21 messages dropped")
    assert receiver.texts[-1][1:] == [str(number) for number in range(20, 30)]
    say(*(str(number) for number in range(30)))
    assert sim.log_deliveries.state(drain).waiting_count == 30


@pytest.mark.parametrize(
    ("order", "reached", "tries"),
    [
        ({"kind": "error", "status": 503}, 1, 2),
        ({"kind": "rate_limit"}, 1, 2),
        ({"kind": "drop"}, 1, 2),
        ({"kind": "lost_answer"}, 2, 2),
        ({"kind": "slow", "seconds": 6}, 2, 2),
        ({"kind": "slow", "seconds": 2}, 1, 1),
        ({"kind": "duplicate"}, 2, 2),
    ],
)
async def test_ordered_trouble_strikes_and_the_lines_arrive(
    sim, receiver, drain, say, clock, sleep, order, reached, tries
):
    sim.faults.add(direction="logs", **order)
    say("one")
    await sim.log_deliveries.deliver_due()
    clock.move(seconds=1)
    await sim.log_deliveries.deliver_due()
    assert receiver.texts == [["one"]] * reached
    assert len({headers["logplex-frame-id"] for headers in receiver.headers}) == 1
    assert len([one for one in sim.world.exchanges if one.direction == "logs"]) == tries
    assert sim.log_deliveries.state(drain).delivered == 1
    assert sim.log_deliveries.state(drain).lost_ever == 0


async def test_a_drain_that_never_answers_holds_up_no_other(sim, shop, receiver, drain, say):
    log_drains.add(sim.world, shop, "http://127.0.0.1/stuck")
    say("one")
    await sim.log_deliveries.start_due()
    async with asyncio.timeout(5):
        await receiver.has_come.wait()
    assert {path for path, _, _ in receiver.requests} == {"/drain", "/stuck"}
    await sim.log_deliveries.aclose()


async def test_a_running_simulator_delivers_by_itself(sim, receiver, drain, say):
    async with sim.running():
        say("one")
        async with asyncio.timeout(5):
            await receiver.has_come.wait()
    assert receiver.texts[0] == ["one"]


async def test_a_removed_drain_gets_nothing_more(sim, receiver, drain, say):
    say("one")
    log_drains.remove(sim.world, drain, by=None)
    await sim.log_deliveries.deliver_due()
    assert receiver.requests == []


async def test_a_drain_that_cannot_be_reached_says_so(make, clock):
    sim = make(transport=None)
    drain = log_drains.add(sim.world, sim.world.app("shop"), "http://127.0.0.1:1/")
    sim.logs.write(sim.world.app("shop"), "app", "web.1", "one")
    await sim.log_deliveries.deliver_due()
    assert sim.log_deliveries.state(drain).trouble == "it could not be reached: ConnectError"
    await sim.log_deliveries.aclose()


async def test_a_syslog_drain_gets_its_lines_over_tcp(sim, shop, say):
    got, is_done = [], asyncio.Event()

    async def take(reader, writer):
        got.append(await reader.read())
        writer.close()
        is_done.set()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        drain = log_drains.add(sim.world, shop, f"syslog://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        say("one", "two")
        await sim.log_deliveries.deliver_due()
        async with asyncio.timeout(5):
            await is_done.wait()
    first, second = read_frames(got[0])
    assert first.decode() == f"<190>1 2026-05-01T12:00:00.000000+00:00 {drain.token} app web.1 - - one\n"
    assert second.endswith(b"- - two\n")
    say("three")
    await sim.log_deliveries.deliver_due()
    assert "could not be reached" in sim.log_deliveries.state(drain).trouble


async def test_a_syslog_tls_drain_is_kept_and_nothing_waits_for_it(sim, shop, say):
    drain = log_drains.add(sim.world, shop, "syslog+tls://logs.example.com:6514")
    say("one")
    assert not sim.log_deliveries.reaches(drain)
    assert sim.log_deliveries.state(drain).waiting_count == 0


async def test_what_happens_to_an_app_is_in_the_log_that_its_drains_get(sim, receiver, addon):
    addon.answers["POST"] = (200, {"id": "one", "config": {"ACME_POSTGRES_URL": "a://b"}, "log_drain_url": DRAIN})
    await sim.calls.provision("shop", "basic", name="my-db")
    await sim.log_deliveries.deliver_due()
    (texts,) = receiver.texts
    assert texts[:2] == [
        "Attach ACME_POSTGRES (@my-db) by user ada@example.com",
        "Release v2 created by user ada@example.com",
    ]
    assert "Restarting" in texts
    assert "Starting process with command `bin/start`" in texts
