"""How an add-on's life may end or turn at any moment, and what a customer who waits for it is told."""

import pytest


@pytest.fixture
def ask(sim, http):
    person = next(iter(sim.world.customers.values()))
    headers = {"Authorization": f"Bearer {person.api_key}", "Accept": "application/vnd.heroku+json; version=3"}

    async def do(method, path, body=None):
        return await http.request(method, path, headers=headers, json=body)

    return do


@pytest.fixture
def told(sim):
    """What is told of add-ons and attachments, and by whom."""
    events = []

    def note(event):
        if event.kind in {"addon", "addon-attachment"}:
            events.append((event.kind, event.action, event.by_email.partition("@")[0]))

    sim.world.listeners.append(note)
    return events


@pytest.fixture
async def background(sim, addon):
    addon.answers["POST"] = (202, {"id": "mine", "message": "Soon."})
    return await sim.calls.provision("shop", "basic", name="slow-db")


async def test_who_waits_sees_the_addon_become_provisioned(http, ask, bearer, background):
    waiting = (await ask("GET", "/apps/shop/addons/slow-db")).json()
    assert (waiting["state"], waiting["config_vars"], waiting["provision_message"]) == ("provisioning", [], "Soon.")
    headers = await bearer(background)
    config = {"config": [{"name": "ACME_POSTGRES_URL", "value": "postgres://h.example.com/d"}]}
    await http.patch(f"/addons/{background.id}/config", json=config, headers=headers)
    await http.post(f"/addons/{background.id}/actions/provision", headers=headers)
    done = (await ask("GET", "/apps/shop/addons/slow-db")).json()
    assert (done["state"], done["config_vars"]) == ("provisioned", ["ACME_POSTGRES_URL"])


@pytest.mark.parametrize("path", ["/apps/shop/addons/slow-db", "/addons/slow-db", "id"])
async def test_who_waits_learns_that_the_partner_gave_up(http, ask, bearer, background, path):
    headers = await bearer(background)
    await http.post(f"/addons/{background.id}/actions/deprovision", headers=headers)
    answer = await ask("GET", f"/addons/{background.id}" if path == "id" else path)
    assert (answer.status_code, answer.json()["state"]) == (200, "deprovisioned")
    assert (await ask("GET", "/addons")).json() == []
    assert (await ask("DELETE", "/apps/shop/addons/slow-db")).status_code == 404
    assert (await ask("POST", "/actions/addons/resolve", {"addon": "slow-db"})).status_code == 404


async def test_who_waits_learns_that_twelve_hours_have_passed(sim, addon, ask, clock, background):
    clock.move(hours=12)
    await sim.catch_up()
    assert (await ask("GET", "/apps/shop/addons/slow-db")).json()["state"] == "deprovisioned"
    assert len(addon.bodies("DELETE")) == 1


async def test_a_failed_addons_name_is_free_again(sim, addon, ask, clock, background):
    clock.move(hours=12)
    await sim.catch_up()
    del addon.answers["POST"]
    again = await sim.calls.provision("shop", "basic", name="slow-db")
    assert (await ask("GET", "/apps/shop/addons/slow-db")).json()["id"] == again.id


async def test_a_failed_addon_is_nothing_to_other_apps_and_people(sim, ask, http, clock, background):
    sim.world.create_app("billing")
    clock.move(hours=12)
    await sim.catch_up()
    assert (await ask("GET", "/apps/billing/addons/slow-db")).status_code == 404
    _, ben, *_ = sim.world.customers.values()
    sim.world.app("shop").collaborator_ids.clear()
    answer = await http.get("/addons/slow-db", headers={"Authorization": f"Bearer {ben.api_key}"})
    assert answer.status_code == 404


async def test_a_plan_does_not_change_while_the_addon_is_being_created(addon, ask, background):
    answer = await ask("PATCH", "/apps/shop/addons/slow-db", {"plan": "premium"})
    assert answer.status_code == 422
    assert "still being created" in answer.json()["message"]
    assert addon.bodies("PUT") == []


async def test_an_addon_may_be_renamed_and_removed_while_it_is_being_created(addon, ask, background):
    assert (await ask("PATCH", "/apps/shop/addons/slow-db", {"name": "new-db"})).json()["state"] == "provisioning"
    assert (await ask("DELETE", "/apps/shop/addons/new-db")).json()["state"] == "deprovisioned"
    assert (await ask("GET", "/apps/shop/addons/new-db")).status_code == 404
    assert len(addon.bodies("DELETE")) == 1


@pytest.mark.parametrize(("status", "body"), [(200, None), (202, {"id": "mine"})])
async def test_an_addon_removed_during_its_provision_call_is_told_again_when_it_did_the_work(
    sim, addon, ask, status, body
):
    if body is not None:
        addon.answers["POST"] = (status, body)

    async def remove(request):
        if request and "uuid" in request:
            await sim.calls.deprovision(sim.world.addon(request["uuid"]))

    addon.before_answer = remove
    answer = await ask("POST", "/apps/shop/addons", {"plan": "basic"})
    assert (answer.status_code, answer.json()["state"]) == (201, "deprovisioned")
    assert [method for method, *_ in addon.requests] == ["POST", "DELETE", "DELETE"]
    assert sim.world.config_vars(sim.world.app("shop")) == {}
    assert (sim.world.attachments, sim.world.grants, sim.world.pending_deletes) == ({}, {}, {})


async def test_an_addon_removed_during_its_provision_call_may_say_that_it_is_gone(sim, addon, ask):
    async def remove(request):
        if request and "uuid" in request:
            await sim.calls.deprovision(sim.world.addon(request["uuid"]))

    addon.before_answer, addon.answers["POST"] = remove, (410, {"id": "gone"})
    answer = await ask("POST", "/apps/shop/addons", {"plan": "basic"})
    assert (answer.status_code, answer.json()["state"]) == (201, "deprovisioned")
    assert [method for method, *_ in addon.requests] == ["POST", "DELETE"]


async def test_an_unconfirmed_delete_of_an_addon_removed_during_its_provision_call_is_repeated(sim, addon, clock):
    async def remove(request):
        if request and "uuid" in request:
            await sim.calls.deprovision(sim.world.addon(request["uuid"]))

    addon.before_answer, addon.answers["POST"], addon.answers["DELETE"] = remove, (422, {"message": "No."}), (500, {})
    installed = await sim.calls.provision("shop", "basic")
    assert (installed.state, list(sim.world.pending_deletes)) == ("deprovisioned", [installed.id])
    addon.answers["DELETE"] = (204, None)
    clock.move(minutes=1)
    await sim.catch_up()
    assert sim.world.pending_deletes == {}


async def test_a_partner_that_gives_up_before_it_has_answered_is_not_told_again(sim, addon, http, bearer, ask):
    async def give_up(request):
        headers = await bearer(sim.world.addon(request["uuid"]))
        await http.post(f"/addons/{request['uuid']}/actions/deprovision", headers=headers)

    addon.before_answer, addon.answers["POST"] = give_up, (202, {"id": "mine"})
    answer = await ask("POST", "/apps/shop/addons", {"plan": "basic", "name": "slow-db"})
    assert answer.json()["state"] == "deprovisioned"
    assert addon.bodies("DELETE") == []


async def test_an_addon_removed_during_its_plan_change_keeps_no_plan(sim, addon, ask):
    installed = await sim.calls.provision("shop", "basic", name="my-db")

    async def remove(request):
        if request == {"plan": "premium"}:
            await sim.calls.deprovision(installed)

    addon.before_answer = remove
    answer = await ask("PATCH", "/apps/shop/addons/my-db", {"plan": "premium"})
    assert (answer.status_code, answer.json()["message"]) == (404, "Couldn't find that add-on.")
    assert (installed.state, installed.plan) == ("deprovisioned", "basic")


async def test_an_app_deleted_while_its_addon_is_being_created_leaves_no_addon(sim, addon, ask):
    async def delete_app(request):
        if request and "uuid" in request:
            assert (await ask("DELETE", "/apps/shop")).status_code == 200

    addon.before_answer = delete_app
    answer = await ask("POST", "/apps/shop/addons", {"plan": "basic"})
    assert (answer.status_code, answer.json()["message"]) == (404, "Couldn't find that app.")
    assert list(sim.world.installed()) == []


async def test_every_turn_of_a_life_is_told_with_who_did_it(sim, addon, told, ask):
    ada, ben, *_ = sim.world.customers
    shop = sim.world.app("shop")
    shop.owner_id, shop.collaborator_ids = ben, [ada]
    await ask("POST", "/apps/shop/addons", {"plan": "basic", "name": "my-db"})
    assert told == [
        ("addon", "create", "ada"),
        ("addon-attachment", "create", "ada"),
        ("addon", "update", "acme-postgres"),  # its config vars
        ("addon", "update", "ada"),  # provisioned
    ]
    addon.answers["PUT"] = (200, {"config": {"ACME_POSTGRES_POOL": "5"}})
    for body, expected in (
        ({"plan": "premium"}, [("addon", "update", "ada"), ("addon", "update", "acme-postgres")]),
        ({"name": "our-db"}, [("addon", "update", "ada")]),
    ):
        told.clear()
        await ask("PATCH", "/apps/shop/addons/my-db", body)
        assert told == expected
    told.clear()
    await ask("DELETE", "/apps/shop/addons/our-db")
    assert told == [("addon-attachment", "destroy", "ada"), ("addon", "destroy", "ada")]


async def test_a_create_that_heroku_refuses_is_not_told_and_one_that_the_partner_refuses_is_taken_back(
    addon, told, ask
):
    assert (await ask("POST", "/apps/shop/addons", {"plan": "basic", "attachment": {"name": "x"}})).status_code == 422
    assert told == []
    addon.answers["POST"] = (422, {"message": "No."})
    assert (await ask("POST", "/apps/shop/addons", {"plan": "basic"})).status_code == 422
    assert told == [
        ("addon", "create", "ada"),
        ("addon-attachment", "create", "ada"),
        ("addon-attachment", "destroy", "ada"),
        ("addon", "destroy", "ada"),
    ]
