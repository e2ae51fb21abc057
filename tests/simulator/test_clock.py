from datetime import timedelta

import pytest


async def test_the_clock_is_told_and_moved_as_json(sim, http):
    before = (await http.get("/simulator/clock")).json()
    assert before == {"now": "2026-05-01T12:00:00+00:00", "offset_seconds": 0}
    assert (await http.post("/simulator/clock", json={"minutes": 5})).json()["now"] == "2026-05-01T12:05:00+00:00"
    after = (await http.post("/simulator/clock", json={"hours": 0.5, "minutes": 1})).json()
    assert after == {"now": "2026-05-01T12:36:00+00:00", "offset_seconds": 36 * 60}
    assert sim.world.clock_offset == timedelta(minutes=36)


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"minutes": -1}',
        '{"minutes": "5"}',
        '{"minutes": true}',
        '{"days": 1}',
        '{"hours": 9000}',
        '{"minutes": 1' + "0" * 400 + "}",
    ],
)
async def test_a_move_that_cannot_be_is_refused_with_a_reason(sim, http, body):
    answer = await http.post("/simulator/clock", content=body)
    assert (answer.status_code, answer.json()["id"]) == (422, "invalid_params")
    assert sim.world.clock_offset == timedelta()


async def test_the_moved_clock_brings_at_once_what_is_due(sim, http, addon):
    addon.answers["POST"] = (202, {"id": "x"})
    slow = await sim.calls.provision("shop", "basic")
    await http.post("/simulator/clock", json={"hours": 11})
    assert slow.state == "provisioning"
    await http.post("/simulator/clock", json={"hours": 1})
    assert slow.state == "deprovisioned"
    assert [method for method, *_ in addon.requests] == ["POST", "DELETE"]


async def test_the_page_tells_what_time_will_bring_and_goes_there(sim, http, addon, bearer):
    addon.answers["POST"] = (202, {"id": "x"})
    waiting = await sim.calls.provision("shop", "basic", name="slow-db")
    page = (await http.get("/marketplace/clock")).text
    assert "slow-db is removed unless it is provisioned" in page
    assert "the grant of slow-db expires, never used" in page
    headers = await bearer(waiting)
    assert "the access token of slow-db expires" in (await http.get("/marketplace/clock")).text
    await http.post("/marketplace/clock", data={"minutes": "480"})
    assert (await http.get(f"/addons/{waiting.id}", headers=headers)).status_code == 401
    addon.answers["DELETE"] = (500, {})
    await http.post("/marketplace/clock", data={"minutes": "240"})
    assert "DELETE of slow-db is sent again; it was sent once" in (await http.get("/marketplace/clock")).text


async def test_one_click_moves_three_days(sim, http):
    page = (await http.get("/marketplace/clock")).text
    assert 'name="minutes" value="4320">3 days later</button>' in page
    assert (await http.post("/marketplace/clock", data={"minutes": "4320"})).status_code == 303
    assert sim.world.clock_offset == timedelta(days=3)


async def test_programs_read_the_exchanges_with_what_was_found(sim, http, addon):
    addon.answers["PUT"] = (500, {})
    installed = await sim.calls.provision("shop", "basic")
    (first,) = (await http.get("/simulator/exchanges")).json()
    assert (first["method"], first["status"], first["direction"]) == ("POST", 200, "add-on")
    assert first["addon_id"] == installed.id
    assert "manifest-password" not in str(first)
    sim.faults.add("error", method="PUT", status=502)
    await http.post("/marketplace/apps/shop/addons/" + installed.name + "/plan", data={"plan": "premium"})
    (later,) = (await http.get("/simulator/exchanges", params={"since": first["id"]})).json()
    assert (later["method"], later["status"]) == ("PUT", 502)
    assert later["findings"][0]["level"] == "note"
    assert "Fault: status 502" in later["findings"][0]["text"]


async def test_exchanges_are_chosen_by_time_direction_and_addon(sim, http, clock, bearer):
    one = await sim.calls.provision("shop", "basic")
    clock.move(minutes=1)
    other = await sim.calls.provision("shop", "basic")
    await http.get("/addons", headers=await bearer(other))

    async def found(**query):
        return [
            (each["direction"], each["addon_id"])
            for each in (await http.get("/simulator/exchanges", params=query)).json()
        ]

    assert await found(since="2026-05-01T12:00:30Z", direction="add-on") == [("add-on", other.id)]
    assert await found(addon=one.id) == [("add-on", one.id)]
    assert ("platform", other.id) in await found(direction="platform")
    refused = await http.get("/simulator/exchanges", params={"since": "yesterday"})
    assert (refused.status_code, refused.json()["id"]) == (422, "invalid_params")
    assert (await http.get("/simulator/exchanges", params={"since": "2026-05-01T12:00:30"})).status_code == 422


async def test_the_clock_does_not_leave_the_calendar(sim, http):
    for _ in range(100):
        await http.post("/simulator/clock", json={"hours": 366 * 24})
    answer = await http.post("/simulator/clock", json={"minutes": 1})
    assert (answer.status_code, answer.json()["message"]) == (
        422,
        "The clock is moved by a hundred years at most: begin a new world.",
    )
    assert (await http.get("/marketplace/clock")).status_code == 200
