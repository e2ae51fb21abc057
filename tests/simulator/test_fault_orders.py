"""The faults that change the order of things, and what a broken connection is on a real socket."""

import asyncio
import contextlib
import socket

import httpx2
import pytest
import uvicorn

PATCH = {"config": [{"name": "ACME_POSTGRES_POOL", "value": "9"}]}


async def never(seconds):
    await asyncio.Event().wait()


async def notes(sim, index=-1):
    return [one.text for one in sim.world.exchanges[index].findings if one.level == "note"]


async def test_an_overtaken_plan_change_arrives_after_the_next_call(make, addon):
    sim = make(sleep=never)
    installed = await sim.calls.provision("shop", "basic")
    sim.faults.add("reorder", method="PUT")
    late = asyncio.create_task(sim.calls.change_plan(installed, "premium"))
    await asyncio.sleep(0)
    await sim.calls.change_plan(installed, "gold")
    await late
    assert [body["plan"] for body in addon.bodies("PUT")] == ["gold", "premium"]
    assert installed.plan == "premium"
    assert await notes(sim) == ["Fault: overtaken by the next call, or 5 s late.", "The next call overtook it."]


async def test_a_call_about_another_addon_does_not_count_as_the_next(make, addon):
    sim = make(sleep=never)
    first = await sim.calls.provision("shop", "basic")
    second = await sim.calls.provision("shop", "basic")
    sim.faults.add("reorder", method="PUT")
    late = asyncio.create_task(sim.calls.change_plan(first, "premium"))
    await asyncio.sleep(0)
    await sim.calls.change_plan(second, "gold")
    assert [body["plan"] for body in addon.bodies("PUT")] == ["gold"]
    await sim.calls.change_plan(first, "silver")
    await late
    assert [body["plan"] for body in addon.bodies("PUT")] == ["gold", "silver", "premium"]


async def test_a_call_that_nothing_overtakes_is_only_late(sim, addon, sleep):
    installed = await sim.calls.provision("shop", "basic")
    sim.faults.add("reorder", method="PUT", seconds=9)
    await sim.calls.change_plan(installed, "premium")
    assert sleep.slept == [9]
    assert len(addon.bodies("PUT")) == 1
    assert "No other call came in time: it was only late." in await notes(sim)


async def test_the_addons_own_calls_change_places_too(make, addon):
    sim = make(sleep=never)
    installed = await sim.calls.provision("shop", "basic")
    (grant,) = sim.world.grants.values()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(sim.app), base_url="http://heroku.test") as http:
        form = {"grant_type": "authorization_code", "code": grant.code, "client_secret": "oauth-client-secret"}
        token = (await http.post("/oauth/token", data=form)).json()["access_token"]
        path, headers = f"/addons/{installed.id}/config", {"Authorization": f"Bearer {token}"}

        async def push(value):
            body = {"config": [{"name": "ACME_POSTGRES_POOL", "value": value}]}
            return await http.patch(path, json=body, headers=headers)

        sim.faults.add("reorder", direction="platform", method="PATCH")
        late = asyncio.create_task(push("first"))
        while not sim.faults._held:
            await asyncio.sleep(0)
        await push("second")
        assert (await late).status_code == 200
    assert installed.config["ACME_POSTGRES_POOL"] == "first"


async def test_an_access_token_expires_just_before_it_is_used(sim, http, bearer, findings, token_for):
    installed = await sim.calls.provision("shop", "basic")
    headers = await bearer(installed)
    sim.faults.add("expire_token", direction="platform", path="/config")
    assert (await http.get(f"/addons/{installed.id}", headers=headers)).status_code == 200
    assert (await http.patch(f"/addons/{installed.id}/config", json=PATCH, headers=headers)).status_code == 401
    assert "Fault: the access token expired just now." in findings()
    (refresh,) = sim.world.refresh_tokens
    form = {"grant_type": "refresh_token", "refresh_token": refresh, "client_secret": "oauth-client-secret"}
    assert (await http.post("/oauth/token", data=form)).status_code == 200


async def test_a_revoked_token_takes_its_refresh_token_with_it(sim, http, bearer, findings):
    installed = await sim.calls.provision("shop", "basic")
    other = await sim.calls.provision("shop", "basic")
    headers, others = await bearer(installed), await bearer(other)
    (refresh,) = [one.token for one in sim.world.refresh_tokens.values() if one.addon_id == installed.id]
    sim.faults.add("revoke_token", direction="platform")
    assert (await http.get(f"/addons/{installed.id}", headers=headers)).status_code == 401
    assert "revoked just now" in findings()
    assert sim.world.exchanges[-1].addon_id == installed.id
    form = {"grant_type": "refresh_token", "refresh_token": refresh, "client_secret": "oauth-client-secret"}
    assert (await http.post("/oauth/token", data=form)).status_code == 401
    assert (await http.get(f"/addons/{other.id}", headers=others)).status_code == 200


@pytest.mark.parametrize("status", [200, 202, 422, 500])
async def test_a_customer_removes_the_addon_while_it_is_being_provisioned(sim, addon, status):
    at_work = []

    async def look(body):
        if body is not None:
            at_work.extend(one.state for one in sim.world.addons.values())

    addon.before_answer = look
    addon.answers["POST"] = (status, {"id": "x", "message": "No."})
    sim.faults.add("deprovision")
    with contextlib.suppress(Exception):
        await sim.calls.provision("shop", "basic")
    await sim.catch_up()
    assert at_work == ["deprovisioned"]
    assert "DELETE" in [method for method, *_ in addon.requests]
    assert list(sim.world.installed()) == []
    assert sim.world.attachments == {}
    assert sim.world.pending_deletes == {}
    assert (sim.world.grants, sim.world.access_tokens) == ({}, {})


async def test_a_customer_removes_the_addon_before_it_is_marked_provisioned(sim, http, addon, bearer, findings):
    addon.answers["POST"] = (202, {"id": "x"})
    installed = await sim.calls.provision("shop", "basic")
    headers = await bearer(installed)
    sim.faults.add("deprovision", direction="platform")
    assert (await http.patch(f"/addons/{installed.id}/config", json=PATCH, headers=headers)).status_code == 200
    answer = await http.post(f"/addons/{installed.id}/actions/provision", headers=headers)
    assert (answer.status_code, installed.state) == (401, "deprovisioned")
    assert "Fault: the customer removes the add-on meanwhile." in findings()
    assert "DELETE" not in [method for method, *_ in addon.requests]
    await sim.catch_up()
    assert "DELETE" in [method for method, *_ in addon.requests]


@pytest.mark.parametrize(
    "order",
    [
        {"kind": "expire_token"},
        {"kind": "revoke_token", "direction": "tokens"},
        {"kind": "deprovision", "direction": "customer"},
        {"kind": "deprovision", "method": "PUT"},
    ],
)
async def test_a_fault_that_means_nothing_to_these_calls_is_refused(sim, http, order):
    answer = await http.post("/simulator/faults", json=order)
    assert (answer.status_code, answer.json()["message"][-1]) == (422, ".")
    assert sim.faults.pending == []


async def test_every_usual_fault_of_the_page_can_be_ordered(sim, http):
    page = (await http.get("/marketplace/faults")).text
    orders = page.count('<input type="hidden" name="kind"')
    for kind in ("duplicate", "lost_answer", "deprovision", "reorder", "expire_token", "error", "rate_limit", "drop"):
        assert f'name="kind" value="{kind}"' in page
    assert orders == 8
    for order in (
        {"kind": "reorder", "method": "PUT", "seconds": "30"},
        {"kind": "expire_token", "direction": "platform"},
    ):
        assert (await http.post("/marketplace/faults", data=order)).status_code == 303
    assert [fault.kind for fault in sim.faults.pending] == ["reorder", "expire_token"]


@pytest.mark.parametrize(("kind", "is_done"), [("drop", False), ("lost_answer", True)])
async def test_a_broken_connection_ends_without_a_byte_of_an_answer(sim, kind, is_done):
    installed = await sim.calls.provision("shop", "basic")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(sim.app, log_config=None, lifespan="off", http="httptools")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0)
        sim.faults.add(kind, direction="customer")
        customer = next(iter(sim.world.customers.values()))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(
            f"DELETE /apps/shop/addons/{installed.name} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {customer.api_key}\r\n\r\n".encode()
        )
        received = await reader.read()
        writer.close()
        server.should_exit = True
        await serving
    assert received == b""
    assert (installed.state == "deprovisioned") is is_done
    (broken,) = [one for one in sim.world.exchanges if one.direction == "customer"]
    assert (broken.status, broken.answer_body) == (None, "")
