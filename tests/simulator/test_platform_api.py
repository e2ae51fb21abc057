import base64

import pytest

from app.simulator.attaching import share


@pytest.fixture
async def installed(sim):
    return await sim.calls.provision("shop", "basic", name="my-db")


@pytest.fixture
async def background(sim, addon):
    addon.answers["POST"] = (202, {"id": "mine"})
    return await sim.calls.provision("shop", "basic", name="slow-db")


def config(**values):
    return {"config": [{"name": name, "value": value} for name, value in values.items()]}


async def test_an_addon_is_described_as_heroku_does(sim, http, bearer, installed):
    shop = sim.world.app("shop")
    answer = await http.get(f"/addons/{installed.id}", headers={**await bearer(installed), "Request-Id": "abc"})
    body = answer.json()
    assert answer.headers["request-id"] == "abc"
    assert answer.headers["ratelimit-remaining"] == "4499"
    service, plan = body.pop("addon_service"), body.pop("plan")
    assert (service["name"], plan["name"]) == ("acme-postgres", "acme-postgres:basic")
    assert set(service) == set(plan) == {"id", "name"}
    assert body == {
        "actions": [],
        "app": {"id": shop.id, "name": "shop"},
        "billed_price": {"cents": 0, "contract": False, "unit": "month"},
        "billing_entity": {"id": shop.id, "name": "shop", "type": "app"},
        "config_vars": ["ACME_POSTGRES_URL"],
        "created_at": "2026-05-01T12:00:00Z",
        "id": installed.id,
        "name": "my-db",
        "provider_id": installed.id,
        "state": "provisioned",
        "updated_at": "2026-05-01T12:00:00Z",
        "web_url": f"http://heroku.test/sso/apps/{shop.id}/addons/{installed.id}",
    }


async def test_accept_expansion_brings_the_whole_plan_and_service(http, bearer, installed):
    headers = {**await bearer(installed), "Accept-Expansion": "addon_service,plan"}
    body = (await http.get("/addons/my-db", headers=headers)).json()
    assert body["plan"]["price"]["unit"] == "month"
    assert body["addon_service"]["supports_sharing"] is True


async def test_without_a_good_token_the_answer_is_401(http, installed, findings):
    for headers in ({}, {"Authorization": "Bearer HRKU-wrong"}, {"Authorization": "Basic %%%"}):
        answer = await http.get(f"/addons/{installed.id}", headers=headers)
        assert answer.status_code == 401
        assert answer.json() == {"id": "unauthorized", "message": "Invalid credentials provided."}
    assert "problem: No bearer token was sent." in findings()


async def test_a_resource_token_opens_its_own_resource_only(sim, http, bearer, installed):
    other = await sim.calls.provision(sim.world.create_app("billing").name, "basic")
    headers = await bearer(installed)
    assert (await http.get(f"/addons/{other.id}", headers=headers)).status_code == 403
    assert (await http.patch(f"/addons/{other.id}/config", json=config(), headers=headers)).status_code == 403
    assert (await http.get("/apps/billing", headers=headers)).status_code == 403
    assert (await http.get("/addons/no-such", headers=headers)).status_code == 404
    assert [one["id"] for one in (await http.get("/addons", headers=headers)).json()] == [installed.id]
    assert [one["name"] for one in (await http.get("/apps", headers=headers)).json()] == ["shop"]


async def test_config_is_read_and_changed_by_the_manifests_names(sim, http, bearer, installed):
    headers = await bearer(installed)
    url = f"/addons/{installed.id}/config"
    answer = await http.patch(url, json=config(ACME_POSTGRES_POOL="5"), headers=headers)
    assert answer.status_code == 200
    assert [one["name"] for one in answer.json()] == ["ACME_POSTGRES_POOL", "ACME_POSTGRES_URL"]
    answer = await http.patch(url, json=config(ACME_POSTGRES_URL=None), headers=headers)
    assert answer.json() == [{"name": "ACME_POSTGRES_POOL", "value": "5"}]
    assert (await http.get(url, headers=headers)).json() == answer.json()
    assert sim.world.config_vars(sim.world.app("shop")) == {"ACME_POSTGRES_POOL": "5"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (config(OTHER="x"), "OTHER is not declared"),
        (config(OTHER=None), "OTHER is not declared"),
        (config(ACME_POSTGRES_URL=5), "not a string"),
        ({"config": {"ACME_POSTGRES_URL": "x"}}, "The body must be"),
        ({"config": [{"name": "ACME_POSTGRES_URL"}]}, "a name and a value"),
    ],
)
async def test_a_config_change_that_breaks_the_rules_changes_nothing(sim, http, bearer, installed, body, reason):
    before = dict(installed.config)
    answer = await http.patch(f"/addons/{installed.id}/config", json=body, headers=await bearer(installed))
    assert answer.status_code == 422
    assert reason in answer.json()["message"]
    assert installed.config == before


async def test_a_config_change_of_a_provisioned_addon_is_released_to_every_app(sim, http, bearer, installed):
    billing = sim.world.create_app("billing")
    share(sim.world, installed, billing, "SHOP_DB")
    versions = len(sim.world.app("shop").releases), len(billing.releases)
    body = config(ACME_POSTGRES_URL="postgres://new.example.com/d")
    headers = await bearer(installed)
    await http.patch(f"/addons/{installed.id}/config", json=body, headers=headers)
    await http.patch(f"/addons/{installed.id}/config", json=body, headers=headers)
    assert (len(sim.world.app("shop").releases), len(billing.releases)) == (versions[0] + 1, versions[1] + 1)
    assert billing.releases[-1].description == "Set SHOP_DB_URL config vars"


async def test_the_release_is_cut_only_when_provisioning_is_finished(sim, http, bearer, background):
    headers, shop = await bearer(background), sim.world.app("shop")
    body = config(ACME_POSTGRES_URL="postgres://h.example.com/d")
    assert (await http.patch(f"/addons/{background.id}/config", json=body, headers=headers)).status_code == 200
    assert (len(shop.releases), sim.world.config_vars(shop)) == (1, {})
    answer = await http.post(f"/addons/{background.id}/actions/provision", headers=headers)
    assert (answer.status_code, answer.json()["state"]) == (200, "provisioned")
    assert (len(shop.releases), len(sim.world.config_vars(shop))) == (2, 1)
    await http.post(f"/addons/{background.id}/actions/provision", headers=headers)
    assert len(shop.releases) == 2


async def test_an_addon_that_gives_up_is_gone_with_its_tokens(sim, addon, http, bearer, background):
    headers = await bearer(background)
    answer = await http.post(f"/addons/{background.id}/actions/deprovision", headers=headers)
    assert (answer.status_code, answer.json()["state"]) == (200, "deprovisioned")
    assert (await http.get(f"/addons/{background.id}", headers=headers)).status_code == 401
    assert addon.bodies("DELETE") == []


async def test_a_provisioned_addon_is_not_deprovisioned_by_its_partner(http, bearer, installed):
    answer = await http.post(f"/addons/{installed.id}/actions/deprovision", headers=await bearer(installed))
    assert answer.status_code == 422
    assert installed.state == "provisioned"


async def test_tokens_die_with_the_addon(sim, http, bearer, installed):
    headers = await bearer(installed)
    await sim.calls.deprovision(installed)
    assert (await http.get(f"/addons/{installed.id}/config", headers=headers)).status_code == 401


async def test_an_addon_learns_about_its_apps_and_their_people(sim, http, bearer, installed):
    headers = await bearer(installed)
    app = (await http.get("/apps/shop", headers=headers)).json()
    assert (app["name"], app["owner"]["email"], app["region"]["name"]) == ("shop", "ada@example.com", "us")
    people = (await http.get(f"/apps/{app['id']}/collaborators", headers=headers)).json()
    assert [one["role"] for one in people] == ["owner", "collaborator", "collaborator"]
    releases = (await http.get("/apps/shop/releases", headers=headers)).json()
    assert [(one["version"], one["current"]) for one in releases] == [(1, False), (2, True)]
    (attachment,) = (await http.get(f"/addons/{installed.id}/addon-attachments", headers=headers)).json()
    assert (attachment["name"], attachment["addon"]["app"]["name"]) == ("ACME_POSTGRES", "shop")
    assert (await http.get("/apps/shop/addon-attachments", headers=headers)).json() == [attachment]
    assert (await http.get("/addon-attachments", headers=headers)).json() == [attachment]
    assert [one["id"] for one in (await http.get("/apps/shop/addons", headers=headers)).json()] == [installed.id]
    assert (await http.get("/apps/shop/addons/my-db", headers=headers)).status_code == 200


async def test_the_apps_config_vars_are_for_customers(sim, http, bearer, installed):
    assert (await http.get("/apps/shop/config-vars", headers=await bearer(installed))).status_code == 403
    key = next(iter(sim.world.customers.values())).api_key
    basic = base64.b64encode(f":{key}".encode()).decode()
    for authorization in (f"Bearer {key}", f"Basic {basic}"):
        answer = await http.get("/apps/shop/config-vars", headers={"Authorization": authorization})
        assert list(answer.json()) == ["ACME_POSTGRES_URL"]


async def test_customers_do_not_do_the_partners_work(sim, http, installed):
    key = next(iter(sim.world.customers.values())).api_key
    headers = {"Authorization": f"Bearer {key}"}
    assert (await http.get("/addons/my-db", headers=headers)).status_code == 200
    assert (await http.patch("/addons/my-db/config", json=config(), headers=headers)).status_code == 403
    assert (await http.post("/addons/my-db/actions/provision", headers=headers)).status_code == 403


async def test_an_endpoint_that_is_not_there_says_so_and_is_recorded(http, bearer, installed, findings):
    answer = await http.get("/addons/my-db/builds", headers=await bearer(installed))
    assert (answer.status_code, answer.json()["id"]) == (404, "not_found")
    assert "no endpoint GET /addons/my-db/builds" in findings()


async def test_a_body_that_is_not_json_is_a_bad_request(http, bearer, installed):
    headers = await bearer(installed)
    answer = await http.patch("/addons/my-db/config", content=b"{", headers=headers)
    assert (answer.status_code, answer.json()["id"]) == (400, "bad_request")


async def test_calls_are_counted_and_come_back_with_time(sim, http, bearer, installed, clock):
    headers = await bearer(installed)
    sim.app.state.parts.rate_limit.most_calls = 2
    assert (await http.get("/addons", headers=headers)).headers["ratelimit-remaining"] == "1"
    await http.get("/addons", headers=headers)
    refused = await http.get("/addons", headers=headers)
    assert (refused.status_code, refused.json()["id"]) == (429, "rate_limit")
    clock.move(minutes=1)
    assert (await http.get("/addons", headers=headers)).status_code == 200
