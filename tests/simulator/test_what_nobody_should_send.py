"""Requests and answers that no honest client makes, and moments at which they should not come."""

import asyncio
import json
import logging

import httpx2
import pytest

from app.simulator import HerokuError, attaching, state
from app.simulator.logs import drains as log_drains
from app.simulator.webhooks.subscriptions import subscribe


@pytest.mark.parametrize("value", ['"\\ud800"', "NaN", "Infinity", "1e999", "[" * 100_000])
async def test_json_that_could_not_be_written_again_is_not_json(sim, ask, http, value):
    (ada, *_) = sim.world.customers.values()
    headers = {"Authorization": f"Bearer {ada.api_key}", "Content-Type": "application/json"}
    answer = await http.patch("/apps/shop/config-vars", content=f'{{"A": {value}}}', headers=headers)
    assert (answer.status_code, answer.json()["id"]) == (400, "bad_request")
    assert sim.world.app("shop").config == {}
    assert (await ask("GET", "/apps/shop/config-vars")).json() == {}
    json.loads(state.dump(sim.world))


async def test_an_add_ons_answer_that_could_not_be_kept_is_refused(make):
    answer = httpx2.Response(200, content=b'{"id": "x", "config": {"ACME_POSTGRES_URL": "postgres://\\ud800"}}')
    sim = make(transport=httpx2.MockTransport(lambda _: answer))
    with pytest.raises(HerokuError):
        await sim.calls.provision("shop", "basic")
    json.loads(state.dump(sim.world))
    assert list(sim.world.installed()) == []


class Endless(httpx2.AsyncByteStream):
    """An answer that never stops; `given` counts its bytes."""

    given = 0

    async def __aiter__(self):
        while True:
            self.given += 100_000
            yield b" " * 100_000


async def test_of_an_answer_without_end_no_more_is_read_than_is_needed(make):
    body = Endless()
    sim = make(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, stream=body)))
    with pytest.raises(HerokuError, match="Could not communicate with vendor"):
        await sim.calls.provision("shop", "basic")
    assert body.given == 1_100_000
    assert "longer than 1000000 bytes" in sim.world.exchanges[-1].findings[0].text
    shop = sim.world.app("shop")
    fields = {"include": ["api:release"], "level": "notify", "url": "http://hook.test/"}
    subscribe(sim.world, shop, fields)
    drain = log_drains.add(sim.world, shop, "http://drain.test/")
    sim.world.cut_release(shop, "Change")
    await sim.webhooks.deliver_due()
    await sim.log_deliveries.deliver_due()
    (delivery,) = sim.world.webhook_deliveries.values()
    assert delivery.attempts[-1].error_class == "AnswerTooLong"
    assert "AnswerTooLong" in sim.log_deliveries.state(drain).trouble
    assert body.given == 3_300_000


async def test_who_hangs_up_half_way_is_no_error(sim):
    sent = []
    coming = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive():
        return coming.pop(0)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/apps",
        "raw_path": b"/apps",
        "query_string": b"",
        "headers": [(b"host", b"heroku.test")],
        "scheme": "http",
        "server": ("heroku.test", 80),
    }
    await sim.app(scope, receive, send)
    assert sent == []


async def test_who_sends_slowly_does_not_change_what_is_gone_by_then(sim, ask, http, bearer):
    installed = await sim.calls.provision("shop", "basic")
    headers = await bearer(installed)

    async def slow_body():
        yield b'{"config": [{"name": "ACME_POSTGRES_URL",'
        await sim.calls.deprovision(installed)
        yield b'"value": "postgres://h/late"}]}'

    answer = await http.patch(f"/addons/{installed.id}/config", content=slow_body(), headers=headers)
    assert answer.status_code == 401
    assert installed.config == {}


@pytest.mark.parametrize("process_type", ["a b", "web\n", "x" * 64, "é", "../x"])
async def test_a_dynos_type_that_could_not_be_its_name_is_refused(ask, process_type):
    answer = await ask("POST", "/apps/shop/dynos", {"command": "ls", "type": process_type})
    assert (answer.status_code, answer.json()["id"]) == (422, "invalid_params")


@pytest.mark.parametrize("host", ["a" * 64 + ".example.com", "a..b"])
async def test_a_drain_whose_host_cannot_be_one_is_not_reached(sim, host):
    shop = sim.world.app("shop")
    drain = log_drains.add(sim.world, shop, f"syslog://{host}:601")
    sim.logs.write(shop, "app", "web.1", "one")
    await sim.log_deliveries.deliver_due()
    assert "could not be reached" in sim.log_deliveries.state(drain).trouble


async def test_an_add_ons_token_opens_no_log(sim, http, bearer):
    installed = await sim.calls.provision("shop", "basic")
    answer = await http.post("/apps/shop/log-sessions", json={}, headers=await bearer(installed))
    assert answer.status_code == 403


async def test_an_add_ons_token_does_not_find_the_failures_of_others(sim, addon, http, ask, bearer):
    mine = await sim.calls.provision("shop", "basic")
    headers = await bearer(mine)
    addon.answers["POST"] = (202, {"id": "x"})
    failed = await sim.calls.provision("shop", "basic", name="no-luck")
    sim.world.remove(failed, "the partner gave up.", has_failed=True)
    assert (await ask("GET", "/addons/no-luck")).json()["id"] == failed.id
    for ref in ("no-luck", failed.id):
        assert (await http.get(f"/addons/{ref}", headers=headers)).status_code == 404


async def test_add_ons_that_hang_do_not_add_up_their_delays(sim, addon, clock):
    addon.answers["DELETE"] = (500, None)
    for _ in range(3):
        await sim.calls.deprovision(await sim.calls.provision("shop", "basic"))
    clock.move(hours=1)
    addon.requests.clear()
    all_there = asyncio.Barrier(3)

    async def wait_for_all(_):
        async with asyncio.timeout(5):
            await all_there.wait()

    addon.before_answer = wait_for_all
    await sim.calls.retry_due()
    assert [method for method, *_ in addon.requests] == ["DELETE"] * 3


async def test_an_installation_that_fails_does_not_miss_what_it_had_replaced(sim, addon):
    sim.world.create_app("billing")
    former = await sim.calls.provision("billing", "basic")
    attaching.attach(sim.world, former, sim.world.app("shop"), "DATABASE")

    async def forget(_):
        sim.world.forget(former)

    addon.before_answer = forget
    addon.answers["POST"] = (422, {"message": "No room."})
    with pytest.raises(HerokuError, match=r"No room\."):
        await sim.calls.provision("shop", "basic", attachment="DATABASE", confirm="shop")
    assert list(sim.world.installed()) == []


async def test_usage_beyond_all_measure_is_rejected(sim, http):
    installed = await sim.calls.provision("shop", "basic")
    usage = {"resource": {"id": installed.id}, "unit": {"name": "queries"}, "quantity": 10**400}
    answer = await http.post(
        "/api/v3/addons/acme-postgres/usage_batches",
        json={"timestamp": "2026-05-01T11:00:00Z", "usages": [usage]},
        auth=("acme-postgres", "manifest-password"),
    )
    assert answer.json()["usages"][0]["status"] == "rejected"
    json.loads(state.dump(sim.world))


async def test_after_a_change_that_cannot_be_saved_the_next_one_is(make, tmp_path, caplog):
    path = tmp_path / "world.json"
    sim = make(state_path=path)
    app = sim.world.app("shop")
    app.config["BROKEN"] = "\ud800"
    with caplog.at_level(logging.ERROR):
        async with sim.running(), asyncio.timeout(10):
            while "could not be saved" not in caplog.text:
                await asyncio.sleep(0.01)
            del app.config["BROKEN"]
            sim.world.log("mended")
            while not path.exists():
                await asyncio.sleep(0.01)
    assert json.loads(path.read_bytes())["records"]["activity"][-1]["text"] == "mended"


async def test_the_last_save_is_the_newest_even_when_one_is_under_way(make, tmp_path, monkeypatch):
    path = tmp_path / "world.json"
    write, has_begun, may_go_on = state.write, asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow_write(target, content):
        """Write only when the simulator is about to end, as a slow disk might."""
        loop.call_soon_threadsafe(has_begun.set)
        asyncio.run_coroutine_threadsafe(may_go_on.wait(), loop).result(10)
        write(target, content)

    sim = make(state_path=path)
    monkeypatch.setattr(state, "write", slow_write)
    async with sim.running(), asyncio.timeout(10):
        await has_begun.wait()
        monkeypatch.setattr(state, "write", write)
        sim.world.log("the newest")
        loop.call_later(0.1, may_go_on.set)
    assert json.loads(path.read_bytes())["records"]["activity"][-1]["text"] == "the newest"
    assert list(tmp_path.iterdir()) == [path]
