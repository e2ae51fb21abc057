"""Formation, dynos and their sizes: what `heroku ps` and its kin ask."""

import pytest

from app.simulator import dynos

DYNO_FIELDS = {
    "app", "attach_url", "command", "created_at", "id", "name", "release", "size", "state", "type", "updated_at",
}  # fmt: skip


@pytest.fixture
def running(ask):
    """Names and states of the shop's dynos."""

    async def ps():
        return {one["name"]: one["state"] for one in (await ask("GET", "/apps/shop/dynos")).json()}

    return ps


@pytest.fixture
def pass_time(sim, clock):
    async def move(**by):
        clock.move(**by)
        await sim.catch_up()

    return move


async def test_an_app_begins_with_one_web_dyno_that_comes_up(ask, running, pass_time):
    (dyno,) = (await ask("GET", "/apps/shop/dynos")).json()
    assert set(dyno) == DYNO_FIELDS
    assert (dyno["name"], dyno["type"], dyno["size"]) == ("web.1", "web", "Standard-1X")
    assert (dyno["state"], dyno["release"]["version"]) == ("starting", 1)
    await pass_time(seconds=3)
    assert await running() == {"web.1": "up"}
    assert (await ask("GET", f"/apps/shop/dynos/{dyno['id']}")).json()["updated_at"] == "2026-05-01T12:00:03Z"


@pytest.mark.parametrize(("quantity", "expected"), [(2, 2), ("3", 3), ("+1", 2), ("-1", 0), (0, 0), (None, 1)])
async def test_a_formation_is_scaled_to_a_number_or_by_one(ask, running, quantity, expected):
    updates = [{"type": "web", "quantity": quantity}] if quantity is not None else [{"type": "web"}]
    (line,) = (await ask("PATCH", "/apps/shop/formation", {"updates": updates})).json()
    assert (line["quantity"], line["size"]) == (expected, "Standard-1X")
    assert sorted(await running()) == [f"web.{number + 1}" for number in range(expected)]


@pytest.mark.parametrize(
    "body",
    [{"size": "standard-2x"}, {"dyno_size": "Standard-2X"}, {"dyno_size": {"name": "standard-2X"}}],
)
async def test_another_size_replaces_the_dynos(ask, body):
    before = (await ask("GET", "/apps/shop/dynos")).json()
    line = (await ask("PATCH", "/apps/shop/formation/web", body)).json()
    assert (line["size"], line["dyno_size"]["name"], line["quantity"]) == ("Standard-2X", "Standard-2X", 1)
    (after,) = (await ask("GET", "/apps/shop/dynos")).json()
    assert (after["name"], after["size"]) == ("web.1", "Standard-2X")
    assert after["id"] != before[0]["id"]
    assert (await ask("GET", "/apps/shop/formation")).json() == [line]
    assert (await ask("GET", f"/apps/shop/formation/{line['id']}")).json() == line


@pytest.mark.parametrize(
    ("update", "status", "reason"),
    [
        ({"type": "worker", "quantity": 1}, 404, "Couldn't find that process type."),
        ({"quantity": 1}, 404, "Couldn't find that process type."),
        ({"type": "web", "quantity": -1}, 422, "cannot be less than 0"),
        ({"type": "web", "quantity": "-2"}, 422, "cannot be less than 0"),
        ({"type": "web", "quantity": "many"}, 422, "whole number"),
        ({"type": "web", "quantity": 1.5}, 422, "whole number"),
        ({"type": "web", "quantity": True}, 422, "whole number"),
        ({"type": "web", "quantity": "9" * 5000}, 422, "whole number"),
        ({"type": "web", "quantity": 101}, 422, "more than 100 Standard-1X"),
        ({"type": "web", "quantity": 2, "size": "Basic"}, 422, "more than 1 Basic size dynos per process type"),
        ({"type": "web", "size": "huge"}, 422, "no dyno size 'huge'"),
    ],
)
async def test_an_order_that_cannot_be_carried_out_changes_nothing(sim, ask, update, status, reason):
    updates = [{"type": "web", "quantity": 5}, update]
    answer = await ask("PATCH", "/apps/shop/formation", {"updates": updates})
    assert answer.status_code == status
    assert reason in answer.json()["message"]
    assert sim.world.app("shop").formation[0].quantity == 1


@pytest.mark.parametrize("body", [{}, {"updates": "web=2"}, {"updates": ["web=2"]}])
async def test_an_order_that_cannot_be_read_is_refused(ask, body):
    assert (await ask("PATCH", "/apps/shop/formation", body)).status_code == 422


async def test_every_release_restarts_the_dynos(ask, running, pass_time):
    await pass_time(seconds=3)
    await ask("PATCH", "/apps/shop/config-vars", {"A": "1"})
    (dyno,) = (await ask("GET", "/apps/shop/dynos")).json()
    assert (dyno["state"], dyno["release"]["version"]) == ("starting", 2)
    await pass_time(seconds=3)
    assert await running() == {"web.1": "up"}


@pytest.mark.parametrize(
    ("method", "path", "restarted"),
    [
        ("DELETE", "/apps/shop/dynos", {"web.1", "web.2"}),
        ("DELETE", "/apps/shop/dynos/web.2", {"web.2"}),
        ("POST", "/apps/shop/dynos/web.1/actions/stop", {"web.1"}),
        ("DELETE", "/apps/shop/formations/web", {"web.1", "web.2"}),
        ("POST", "/apps/shop/formations/web/actions/stop", {"web.1", "web.2"}),
    ],
)
async def test_dynos_of_the_formation_come_back_under_their_names(ask, running, pass_time, method, path, restarted):
    await ask("PATCH", "/apps/shop/formation/web", {"quantity": 2})
    await pass_time(seconds=3)
    answer = await ask(method, path)
    assert (answer.status_code, answer.json()) == (202, {})
    assert {name for name, state in (await running()).items() if state == "starting"} == restarted
    assert len(await running()) == 2


async def test_a_one_off_dyno_runs_beside_the_formation_and_ends_by_itself(ask, running, pass_time):
    answer = await ask("POST", "/apps/shop/dynos", {"attach": False, "command": "rake db:migrate", "env": {}})
    body = answer.json()
    assert answer.status_code == 201
    assert set(body) == DYNO_FIELDS
    assert (body["type"], body["command"], body["attach_url"]) == ("run", "rake db:migrate", None)
    assert body["name"].startswith("run.")
    await pass_time(seconds=3)
    assert await running() == {"web.1": "up", body["name"]: "up"}
    await ask("PATCH", "/apps/shop/config-vars", {"A": "1"})
    assert (await running())[body["name"]] == "up"
    await pass_time(seconds=27)
    assert list(await running()) == ["web.1"]


async def test_a_one_off_dyno_is_stopped_for_good_or_ends_in_the_time_given(ask, running, pass_time):
    first = (await ask("POST", "/apps/shop/dynos", {"command": "sleep 1"})).json()
    assert (await ask("POST", f"/apps/shop/dynos/{first['name']}/actions/stop")).status_code == 202
    assert list(await running()) == ["web.1"]
    await ask("POST", "/apps/shop/dynos", {"command": "sleep 9", "time_to_live": 5, "type": "release", "size": "basic"})
    assert any(name.startswith("release.") for name in await running())
    await pass_time(seconds=5)
    assert list(await running()) == ["web.1"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "Name the command"),
        ({"command": "bash", "attach": True}, "run the command detached"),
        ({"command": "ls", "size": "huge"}, "no dyno size"),
        ({"command": "ls", "type": 5}, "are strings"),
        ({"command": "ls", "time_to_live": 0}, "at most a day"),
        ({"command": "ls", "time_to_live": "soon"}, "at most a day"),
    ],
)
async def test_a_dyno_that_cannot_run_is_refused(sim, ask, body, reason):
    answer = await ask("POST", "/apps/shop/dynos", body)
    assert answer.status_code == 422
    assert reason in answer.json()["message"]
    assert len(sim.world.app("shop").dynos) == 1


async def test_a_dyno_that_is_not_there_is_not_found(ask):
    assert (await ask("GET", "/apps/shop/dynos/web.7")).json()["resource"] == "dyno"
    assert (await ask("DELETE", "/apps/shop/dynos/web.7")).status_code == 404
    assert (await ask("POST", "/apps/shop/formations/worker/actions/stop")).json()["resource"] == "process_type"


async def test_an_app_has_a_hundred_dynos_at_most(sim, ask):
    await ask("PATCH", "/apps/shop/formation/web", {"quantity": 100})
    answer = await ask("POST", "/apps/shop/dynos", {"command": "ls"})
    assert (answer.status_code, len(sim.world.app("shop").dynos)) == (422, 100)


async def test_dynos_and_formation_tell_what_happens_to_them(sim, ask, pass_time):
    told, shop = [], sim.world.app("shop")
    sim.world.listeners.append(lambda event: shop in event.apps and told.append((event.kind, event.action)))
    await ask("PATCH", "/apps/shop/formation/web", {"quantity": 2})
    await ask("PATCH", "/apps/shop/formation/web", {"quantity": 2})
    assert told == [("formation", "update"), ("dyno", "create")]
    await pass_time(seconds=3)
    assert told[2:] == [("dyno", "update"), ("dyno", "update")]
    await ask("PATCH", "/apps/shop/formation/web", {"quantity": 0})
    assert told[4:] == [("formation", "update"), ("dyno", "destroy"), ("dyno", "destroy")]


async def test_an_addon_sees_what_runs_and_touches_none_of_it(sim, http, bearer):
    installed = await sim.calls.provision("shop", "basic")
    headers = await bearer(installed)
    for path in ("dynos", "dynos/web.1", "formation", "formation/web", "domains", "collaborators"):
        assert (await http.get(f"/apps/shop/{path}", headers=headers)).status_code == 200
    for method, path in (
        ("POST", "dynos"),
        ("DELETE", "dynos"),
        ("DELETE", "dynos/web.1"),
        ("POST", "dynos/web.1/actions/stop"),
        ("DELETE", "formations/web"),
        ("PATCH", "formation"),
        ("PATCH", "formation/web"),
        ("POST", "collaborators"),
        ("DELETE", "collaborators/ben@example.com"),
    ):
        assert (await http.request(method, f"/apps/shop/{path}", headers=headers)).status_code == 403
    for method in ("PATCH", "DELETE"):
        assert (await http.request(method, "/apps/shop", headers=headers)).status_code == 403


async def test_a_world_from_before_there_were_dynos_gets_them(sim):
    sim.world.app("shop").dynos.clear()
    dynos.settle(sim.world)
    assert [dyno.name for dyno in sim.world.app("shop").dynos] == ["web.1"]


async def test_dyno_sizes_are_public_with_their_prices(http, ask):
    sizes = (await http.get("/dyno-sizes")).json()
    assert [one["name"] for one in sizes][:3] == ["Eco", "Basic", "Standard-1X"]
    basic = (await http.get("/dyno-sizes/basic")).json()
    assert (basic["cost"], basic["memory"]) == ({"cents": 700, "unit": "month"}, 0.5)
    assert (await http.get(f"/dyno-sizes/{basic['id']}")).json() == basic
    assert (await http.get("/dyno-sizes/huge")).json()["resource"] == "dyno_size"
    assert (await ask("GET", "/apps/shop/available-dyno-sizes")).json() == sizes
