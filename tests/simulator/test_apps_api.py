"""Apps, the people on them and their end, as tools ask for them."""

import asyncio

import pytest

from app.simulator import apps

APP_FIELDS = {
    "acm", "archived_at", "build_stack", "buildpack_provided_description", "created_at", "generation", "git_url", "id",
    "internal_routing", "maintenance", "name", "organization", "owner", "region", "released_at", "repo_size",
    "slug_size", "space", "stack", "team", "updated_at", "web_url",
}  # fmt: skip


def names(answer):
    return [one["name"] for one in answer.json()]


async def test_a_created_app_belongs_to_its_maker_alone(sim, ask):
    answer = await ask("POST", "/apps", {"name": "demo", "region": "eu"}, who="ben")
    body = answer.json()
    assert answer.status_code == 201
    assert set(body) == APP_FIELDS
    assert (body["name"], body["region"]["name"], body["maintenance"]) == ("demo", "eu", False)
    assert body["owner"]["email"] == "ben@example.com"
    assert (body["repo_size"], body["slug_size"]) == (0, 0)
    assert body["web_url"] == "http://heroku.test/marketplace/apps/demo"
    assert names(await ask("GET", "/users/~/apps", who="ben")) == ["example-shop", "shop", "demo"]
    assert (await ask("GET", "/apps/demo", who="ada")).status_code == 403
    assert [one.description for one in sim.world.app("demo").releases] == ["Initial release"]


async def test_an_app_without_a_name_gets_one_and_a_region(ask):
    body = (await ask("POST", "/apps", {})).json()
    assert len(body["name"].split("-")) == 3
    assert body["region"]["name"] == "us"
    assert (await ask("GET", f"/apps/{body['id']}")).json()["name"] == body["name"]


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"name": "shop"}, 422, "already taken"),
        ({"name": "Shop"}, 422, "must start with a letter"),
        ({"name": "a" * 31}, 422, "3 to 30 characters"),
        ({"name": 5}, 422, "must be a string"),
        ({"region": "mars"}, 404, "Couldn't find that region."),
        ({"region": {"name": "tokyo"}}, 404, "Couldn't find that region."),
    ],
)
async def test_an_app_that_cannot_be_is_refused_and_not_made(sim, ask, body, status, reason):
    before = len(sim.world.apps)
    answer = await ask("POST", "/apps", body)
    assert answer.status_code == status
    assert reason in answer.json()["message"]
    assert len(sim.world.apps) == before


async def test_everybody_sees_the_apps_they_are_on_and_nobody_anothers_list(sim, ask):
    ben = next(one for one in sim.world.customers.values() if one.name == "Ben Builder")
    await ask("POST", "/apps", {"name": "private-app"})
    for who in ("~", ben.id, "ben@example.com"):
        assert names(await ask("GET", f"/users/{who}/apps", who="ben")) == ["example-shop", "shop"]
    assert names(await ask("GET", "/apps")) == ["example-shop", "shop", "private-app"]
    assert (await ask("GET", "/users/ada@example.com/apps", who="ben")).status_code == 403
    assert (await ask("GET", "/users/nobody@example.com/apps")).json()["resource"] == "user"


async def test_filtered_apps_are_those_asked_for_and_seen(sim, ask):
    hidden = (await ask("POST", "/apps", {"name": "hidden"}, who="ben")).json()
    wanted = [sim.world.app("shop").id, hidden["id"], "no-such-id"]
    assert names(await ask("POST", "/filters/apps", {"in": {"id": wanted}})) == ["shop"]
    assert (await ask("POST", "/filters/apps", {"in": {}})).status_code == 422


async def test_a_renamed_app_is_found_by_its_new_name_only(sim, ask):
    answer = await ask("PATCH", "/apps/shop", {"name": "store"})
    assert (answer.status_code, answer.json()["name"]) == (200, "store")
    assert (await ask("GET", "/apps/shop")).json() == {
        "id": "not_found",
        "message": "Couldn't find that app.",
        "resource": "app",
    }
    taken = await ask("PATCH", "/apps/store", {"name": "example-shop"})
    assert (taken.status_code, sim.world.app("store").name) == (422, "store")
    assert (await ask("PATCH", "/apps/store", {"name": "store"})).status_code == 200


async def test_maintenance_is_switched_on_and_off(ask):
    assert (await ask("PATCH", "/apps/shop", {"maintenance": True})).json()["maintenance"] is True
    assert (await ask("GET", "/apps/shop")).json()["maintenance"] is True
    assert (await ask("PATCH", "/apps/shop", {"maintenance": False})).json()["maintenance"] is False
    assert (await ask("PATCH", "/apps/shop", {"maintenance": "on"})).status_code == 422


async def test_only_the_owner_renames_and_deletes_while_collaborators_do_the_rest(sim, ask):
    assert (await ask("PATCH", "/apps/shop", {"name": "mine"}, who="ben")).status_code == 403
    assert (await ask("DELETE", "/apps/shop", who="ben")).status_code == 403
    assert (await ask("PATCH", "/apps/shop", {"maintenance": True}, who="ben")).status_code == 200
    assert sim.world.app("shop").name == "shop"


async def test_a_deleted_app_takes_its_addons_along_and_leaves_those_of_others(sim, addon, ask):
    other = sim.world.create_app("billing")
    own = await sim.calls.provision("shop", "basic", name="own-db")
    shared = await sim.calls.provision("billing", "basic", name="shared-db")
    await ask("POST", "/addon-attachments", {"addon": shared.name, "app": "shop"})
    told = []
    sim.world.listeners.append(lambda event: told.append((event.kind, event.action)))
    answer = await ask("DELETE", "/apps/shop")
    assert (answer.status_code, answer.json()["name"]) == (200, "shop")
    assert [path for method, path, *_ in addon.requests if method == "DELETE"] == [f"/base/{own.id}"]
    assert (own.state, shared.state) == ("deprovisioned", "provisioned")
    assert sim.world.apps_of(shared) == [other]
    assert ("addon-attachment", "destroy") in told
    assert told[-1] == ("app", "destroy")
    assert (await ask("GET", "/apps/shop")).status_code == 404
    assert (await ask("GET", "/addons/own-db")).status_code == 404


async def test_an_addon_that_missed_the_end_of_its_app_is_told_again(sim, addon, ask, clock):
    await sim.calls.provision("shop", "basic")
    addon.answers["DELETE"] = (503, {})
    assert (await ask("DELETE", "/apps/shop")).status_code == 200
    addon.answers["DELETE"] = (204, None)
    clock.move(minutes=2)
    await sim.catch_up()
    assert sim.world.pending_deletes == {}
    assert len(addon.bodies("DELETE")) == 2


@pytest.mark.parametrize("status", [200, 202, 500])
async def test_an_app_deleted_while_an_addon_works_for_it_leaves_nothing_behind(sim, addon, ask, status):
    async def delete(body):
        addon.before_answer = None
        assert (await ask("DELETE", "/apps/shop")).status_code == 200

    addon.before_answer = delete
    addon.answers["POST"] = (status, {"id": "mine", "config": {}})
    answer = await ask("POST", "/apps/shop/addons", {"plan": "acme-postgres:basic"})
    assert answer.status_code < 500 or answer.json()["id"] == "vendor_failure"
    assert list(sim.world.installed()) == []
    assert sim.world.attachments == {}
    assert len(addon.bodies("DELETE")) >= 1


async def test_an_app_deleted_while_a_plan_changes_leaves_nothing_behind(sim, addon, ask):
    async def delete(body):
        addon.before_answer = None
        assert (await ask("DELETE", "/apps/shop")).status_code == 200

    installed = await sim.calls.provision("shop", "basic")
    addon.before_answer = delete
    answer = await ask("PATCH", f"/apps/shop/addons/{installed.id}", {"plan": "acme-postgres:premium"})
    assert answer.status_code < 500
    assert list(sim.world.installed()) == []


async def test_collaborators_come_and_go_by_email(sim, ask):
    await ask("POST", "/apps", {"name": "demo"})
    answer = await ask("POST", "/apps/demo/collaborators", {"user": "ben@example.com"})
    assert (answer.status_code, answer.json()["role"]) == (201, "collaborator")
    assert [one["name"] for one in answer.json()["permissions"]] == ["deploy", "operate", "view"]
    assert (await ask("GET", "/apps/demo", who="ben")).status_code == 200
    people = (await ask("GET", "/apps/demo/collaborators")).json()
    assert [one["user"]["email"] for one in people] == ["ada@example.com", "ben@example.com"]
    assert (await ask("GET", "/apps/demo/collaborators/ben@example.com")).json() == answer.json()
    gone = await ask("DELETE", f"/apps/demo/collaborators/{answer.json()['id']}")
    assert gone.json() == answer.json()
    assert (await ask("GET", "/apps/demo", who="ben")).status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/apps/shop/collaborators", {"user": "nobody@example.com"}, 404),
        ("POST", "/apps/shop/collaborators", {"user": {"email": "ben@example.com"}}, 422),
        ("POST", "/apps/shop/collaborators", {}, 404),
        ("DELETE", "/apps/shop/collaborators/ada@example.com", None, 422),
        ("DELETE", "/apps/shop/collaborators/nobody@example.com", None, 404),
    ],
)
async def test_who_cannot_be_added_or_removed_stays_as_is(sim, ask, method, path, body, status):
    before = sim.world.people_of(sim.world.app("shop"))
    assert (await ask(method, path, body)).status_code == status
    assert sim.world.people_of(sim.world.app("shop")) == before


async def test_changes_of_an_app_are_told(sim, ask):
    told = []
    sim.world.listeners.append(lambda event: told.append((event.kind, event.action, event.by_email)))
    await ask("PATCH", "/apps/shop", {"maintenance": True}, who="ben")
    await ask("PATCH", "/apps/shop", {"name": "store"})
    await ask("DELETE", "/apps/store/collaborators/ben@example.com")
    assert told == [
        ("app", "update", "ben@example.com"),
        ("app", "update", "ada@example.com"),
        ("collaborator", "destroy", "ada@example.com"),
    ]


async def test_an_app_has_the_domain_heroku_gave_it(ask):
    (domain,) = (await ask("GET", "/apps/shop/domains")).json()
    assert (domain["hostname"], domain["kind"], domain["cname"]) == ("shop.herokuapp.com", "heroku", None)
    assert (await ask("GET", "/apps/shop/domains/shop.herokuapp.com")).json() == domain
    assert (await ask("GET", "/apps/shop/domains/www.example.com")).json()["resource"] == "domain"


async def test_what_a_simulated_app_never_has_is_an_empty_list(ask):
    assert (await ask("GET", "/apps/shop/features")).json() == []
    assert (await ask("GET", "/apps/shop/buildpack-installations")).json() == []
    assert (await ask("GET", "/apps/shop/sni-endpoints")).json() == []
    assert (await ask("GET", "/apps/shop/pipeline-couplings")).json()["resource"] == "pipeline_coupling"


async def test_an_app_that_two_people_delete_while_a_third_removes_its_add_on_is_gone_once(sim, addon):
    installed = [await sim.calls.provision("shop", "basic") for _ in range(3)]
    shop, owner = sim.world.app("shop"), next(iter(sim.world.customers.values()))
    await asyncio.gather(
        apps.delete(sim.world, sim.calls, shop, by=owner),
        apps.delete(sim.world, sim.calls, shop, by=owner),
        sim.calls.deprovision(installed[2]),
    )
    assert shop.id not in sim.world.apps
    assert sorted(path for method, path, *_ in addon.requests if method == "DELETE") == sorted(
        f"/base/{one.id}" for one in installed
    )
