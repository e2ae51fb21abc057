"""What customers do with add-ons through the platform API, as their tools ask for it."""

import json

import pytest

PRICES = [{"name": "basic"}, {"name": "gold", "human_name": "Gold", "price_cents": 5000}]


@pytest.fixture
def sim(make):
    return make(plans=PRICES)


@pytest.fixture
def ada(sim):
    """The headers of a person who works on every app."""
    person = next(iter(sim.world.customers.values()))
    accept = "application/vnd.heroku+json; version=3"
    return {"Authorization": f"Bearer {person.api_key}", "Accept": accept, "Accept-Expansion": "plan"}


@pytest.fixture
async def my_db(sim):
    return await sim.calls.provision("shop", "basic", name="my-db")


def send(http, headers):
    async def do(method, path, body=None):
        return await http.request(method, path, headers=headers, json=body)

    return do


@pytest.fixture
def ask(http, ada):
    return send(http, ada)


@pytest.mark.parametrize("plan", ["acme-postgres:gold", {"name": "acme-postgres:gold"}, {"name": "gold"}, "id"])
async def test_an_addon_is_created_whatever_way_its_plan_is_named(sim, addon, ask, plan):
    if plan == "id":
        plan = {"id": (await ask("GET", "/plans/acme-postgres:gold")).json()["id"]}
    answer = await ask("POST", "/apps/shop/addons", {"plan": plan, "attachment": {}, "config": {}})
    body = answer.json()
    assert (answer.status_code, body["state"], body["config_vars"]) == (201, "provisioned", ["ACME_POSTGRES_URL"])
    assert body["plan"]["name"] == "acme-postgres:gold"
    assert body["plan"]["price"] == body["billed_price"] == {"cents": 5000, "contract": False, "unit": "month"}
    assert addon.bodies("POST")[0]["plan"] == "gold"
    assert sim.world.addon(body["id"]).name == body["name"]


async def test_names_and_options_reach_the_addon_and_the_app(sim, addon, ask):
    body = {
        "plan": {"name": "acme-postgres:basic"},
        "attachment": {"name": "PRIMARY"},
        "config": {"foo": "bar", "flag": True},
        "name": "my-db",
    }
    created = (await ask("POST", "/apps/shop/addons", body)).json()
    assert (created["name"], created["config_vars"]) == ("my-db", ["PRIMARY_URL"])
    assert addon.bodies("POST")[0]["options"] == {"foo": "bar", "flag": True}
    release = sim.world.app("shop").releases[-1]
    assert (release.description, release.user_email) == ("Attach PRIMARY (@my-db)", "ada@example.com")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"plan": "acme-postgres:nope"},
            'Couldn\'t find either the add-on service or the add-on plan of "acme-postgres:nope".',
        ),
        (
            {"plan": {"name": "other:gold"}},
            'Couldn\'t find either the add-on service or the add-on plan of "other:gold".',
        ),
        ({}, "The parameter plan is missing."),
        ({"plan": 7}, "plan must be a string."),
        ({"plan": "gold", "name": "9lives"}, "Name must start with a letter"),
        ({"plan": "gold", "name": "my-db"}, "Name my-db is already taken."),
        ({"plan": "gold", "attachment": "DB"}, "attachment must be an object"),
        ({"plan": "gold", "attachment": {"name": "db"}}, "An attachment's name has only capital letters"),
        ({"plan": "gold", "config": {"a": 1}}, "config must be an object"),
        ({"plan": "gold", "config": ["a"]}, "config must be an object"),
    ],
)
async def test_what_cannot_be_created_never_reaches_the_addon(sim, addon, ask, my_db, body, message):
    answer = await ask("POST", "/apps/shop/addons", body)
    assert (answer.status_code, answer.json()["id"]) == (422, "invalid_params")
    assert answer.json()["message"].startswith(message)
    assert list(sim.world.addons) == [my_db.id]
    assert len(addon.bodies("POST")) == 1


async def test_the_partners_refusal_is_shown_in_its_own_words_and_leaves_nothing(sim, addon, ask):
    addon.answers["POST"] = (422, {"message": "Sold out until <Monday>."})
    answer = await ask("POST", "/apps/shop/addons", {"plan": "gold"})
    assert answer.status_code == 422
    assert answer.json()["message"] == (
        "An error was encountered when contacting the add-on partner to create acme-postgres:gold: "
        "Sold out until <Monday>."
    )
    assert (sim.world.addons, sim.world.attachments, sim.world.grants) == ({}, {}, {})


async def test_an_addon_that_fails_is_a_vendor_who_cannot_be_reached(addon, ask):
    addon.answers["POST"] = (500, {})
    answer = await ask("POST", "/apps/shop/addons", {"plan": "gold"})
    assert (answer.status_code, answer.json()["id"]) == (503, "vendor_failure")
    assert answer.json()["message"] == "Could not communicate with vendor, please try again later"


async def test_the_list_of_an_app_has_its_own_addons_and_those_attached_to_it(sim, ask, my_db):
    other = sim.world.create_app("billing")
    await sim.calls.provision(other.name, "gold", name="their-db")
    await ask("POST", "/addon-attachments", {"addon": "their-db", "app": "shop"})
    assert [one["name"] for one in (await ask("GET", "/apps/shop/addons")).json()] == ["my-db", "their-db"]
    assert [one["name"] for one in (await ask("GET", "/apps/billing/addons")).json()] == ["their-db"]
    everything = (await ask("GET", "/addons")).json()
    assert [(one["name"], one["app"]["name"]) for one in everything] == [("my-db", "shop"), ("their-db", "billing")]
    for who in ("~", "ada@example.com", next(iter(sim.world.customers))):
        assert (await ask("GET", f"/users/{who}/addons")).json() == everything
    assert (await ask("GET", "/users/ben@example.com/addons")).status_code == 403


async def test_config_vars_are_those_the_owning_app_sees(sim, ask, my_db):
    sim.world.create_app("billing")
    await ask("POST", "/addon-attachments", {"addon": "my-db", "app": "billing", "name": "SHARED"})
    assert (await ask("GET", "/addons/my-db")).json()["config_vars"] == ["ACME_POSTGRES_URL"]


async def test_a_plan_change_tells_what_the_addon_said(sim, addon, ask, my_db):
    addon.answers["PUT"] = (200, {"message": "Bigger.", "config": {"ACME_POSTGRES_URL": "postgres://b.example.com/d"}})
    sim.world.create_app("billing")
    await ask("POST", "/addon-attachments", {"addon": "my-db", "app": "billing", "name": "SHARED"})
    answer = await ask("PATCH", "/apps/shop/addons/my-db", {"plan": {"name": "acme-postgres:gold"}})
    body = answer.json()
    assert (answer.status_code, body["provision_message"], body["plan"]["name"]) == (
        200,
        "Bigger.",
        "acme-postgres:gold",
    )
    assert body["billed_price"]["cents"] == 5000
    described = [sim.world.app(name).releases[-1].description for name in ("shop", "billing")]
    assert described == ["Set ACME_POSTGRES_URL config vars", "Set SHARED_URL config vars"]


async def test_a_change_to_the_same_plan_reaches_the_addon(addon, ask, my_db):
    answer = await ask("PATCH", "/apps/shop/addons/my-db", {"plan": "acme-postgres:basic"})
    assert (answer.status_code, answer.json()["plan"]["name"]) == (200, "acme-postgres:basic")
    assert addon.bodies("PUT") == [{"plan": "basic"}]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"plan": {"name": "acme-postgres:nope"}}, "Couldn't find either the add-on service or the add-on plan of"),
        ({"plan": "gold", "name": "no spaces"}, "Name must start with a letter"),
        ({"name": "their-db"}, "Name their-db is already taken."),
        ({}, "Nothing to change"),
    ],
)
async def test_a_change_that_cannot_be_never_reaches_the_addon(sim, addon, ask, my_db, body, message):
    await sim.calls.provision("shop", "gold", name="their-db")
    answer = await ask("PATCH", "/apps/shop/addons/my-db", body)
    assert answer.status_code == 422
    assert answer.json()["message"].startswith(message)
    assert addon.bodies("PUT") == []
    assert (my_db.plan, my_db.name) == ("basic", "my-db")


async def test_a_refused_plan_change_says_why_and_keeps_the_name_too(addon, ask, my_db):
    addon.answers["PUT"] = (422, {"message": "Too much data."})
    answer = await ask("PATCH", "/apps/shop/addons/my-db", {"plan": "gold", "name": "our-db"})
    assert answer.json()["message"].endswith("to change my-db to acme-postgres:gold: Too much data.")
    assert (my_db.plan, my_db.name) == ("basic", "my-db")


async def test_a_renamed_addon_keeps_its_address_its_config_vars_and_its_peace(sim, addon, ask, my_db):
    before = (await ask("GET", "/addons/my-db")).json()
    answer = await ask("PATCH", f"/apps/{my_db.app_id}/addons/{my_db.id}", {"name": "our-db"})
    assert (answer.status_code, answer.json()["name"]) == (200, "our-db")
    assert answer.json()["web_url"] == before["web_url"]
    assert answer.json()["config_vars"] == before["config_vars"]
    assert (await ask("GET", "/addons/my-db")).status_code == 404
    assert (await ask("GET", "/addons/our-db")).json()["id"] == my_db.id
    assert [method for method, *_ in addon.requests] == ["POST"]
    assert (await ask("PATCH", "/apps/shop/addons/our-db", {"name": "our-db"})).status_code == 200


async def test_a_removed_addon_is_answered_as_deprovisioned_and_then_not_found(sim, addon, ask, my_db):
    answer = await ask("DELETE", "/apps/shop/addons/my-db", {"force": False})
    body = answer.json()
    assert (answer.status_code, body["state"], body["web_url"], body["config_vars"]) == (200, "deprovisioned", None, [])
    assert body["plan"]["price"]["unit"] == "month"
    assert addon.requests[-1][:2] == ("DELETE", f"/base/{my_db.id}")
    release = sim.world.app("shop").releases[-1]
    assert (release.description, release.user_email) == ("Detach ACME_POSTGRES (@my-db)", "ada@example.com")
    missing = await ask("GET", "/apps/shop/addons/my-db")
    assert missing.status_code == 404
    assert missing.json() == {"id": "not_found", "message": "Couldn't find that add-on.", "resource": "add_on"}


async def test_an_addon_that_other_apps_use_is_removed_only_by_force(sim, ask, my_db):
    sim.world.create_app("billing")
    await ask("POST", "/addon-attachments", {"addon": "my-db", "app": "billing"})
    refused = await ask("DELETE", "/apps/shop/addons/my-db", {"force": False})
    assert refused.status_code == 422
    assert refused.json()["message"].startswith("my-db is attached to other apps too: billing.")
    assert not refused.json()["message"].endswith("."), "the CLI adds a full stop"
    assert (await ask("DELETE", "/apps/shop/addons/my-db", {"force": True})).json()["state"] == "deprovisioned"
    assert sim.world.config_vars(sim.world.app("billing")) == {}


async def test_an_app_that_only_has_it_attached_may_not_change_or_remove_an_addon(sim, addon, ask, my_db):
    sim.world.create_app("billing")
    await ask("POST", "/addon-attachments", {"addon": "my-db", "app": "billing"})
    for method, body in (("PATCH", {"plan": "gold"}), ("PATCH", {"name": "x-db"}), ("DELETE", {"force": True})):
        answer = await ask(method, "/apps/billing/addons/my-db", body)
        assert answer.status_code == 403
        assert answer.json()["message"] == "my-db is billed to the app shop: only there it can be changed."
    assert len(addon.requests) == 1


async def test_an_addons_token_may_do_nothing_of_a_customers(sim, http, bearer, my_db):
    sim.world.create_app("billing")
    (attachment,) = sim.world.attachments_of(my_db)
    ask = send(http, await bearer(my_db))
    for method, path, body in (
        ("POST", "/apps/shop/addons", {"plan": "gold"}),
        ("PATCH", "/apps/shop/addons/my-db", {"plan": "gold"}),
        ("DELETE", "/apps/shop/addons/my-db", None),
        ("POST", "/addon-attachments", {"addon": "my-db", "app": "shop", "name": "X"}),
        ("DELETE", f"/addon-attachments/{attachment.id}", None),
        ("GET", "/apps/shop/addons/my-db/sso", None),
        ("GET", "/addons/my-db/sso", None),
    ):
        answer = await ask(method, path, body)
        assert (answer.status_code, answer.json()["id"]) == (403, "forbidden"), path
    assert (my_db.state, len(sim.world.addons), len(sim.world.attachments)) == ("provisioned", 1, 1)


async def test_an_addons_token_sees_nothing_of_another_resource(sim, http, bearer, my_db):
    other = await sim.calls.provision("shop", "gold", name="their-db")
    (attachment,) = sim.world.attachments_of(other)
    ask = send(http, await bearer(my_db))
    for path in ("/addons/their-db", f"/addons/{other.id}/addon-attachments", "/apps/shop/addons/their-db"):
        assert (await ask("GET", path)).status_code == 403
    for path in (f"/addon-attachments/{attachment.id}", f"/apps/shop/addon-attachments/{attachment.name}"):
        assert (await ask("GET", path)).status_code == 404
    for path, body in (
        ("/actions/addons/resolve", {"addon": "their-db"}),
        ("/actions/addon-attachments/resolve", {"addon_attachment": attachment.name, "app": "shop"}),
    ):
        assert (await ask("POST", path, body)).status_code == 404
    for path in ("/addons", "/apps/shop/addons", "/users/~/addons"):
        assert [one["id"] for one in (await ask("GET", path)).json()] == [my_db.id]
    seen = (await ask("GET", "/apps/shop/addon-attachments")).json() + (await ask("GET", "/addon-attachments")).json()
    assert {one["addon"]["id"] for one in seen} == {my_db.id}


async def test_somebody_elses_app_and_its_addons_are_out_of_reach(sim, http):
    ada, ben, *_ = sim.world.customers.values()
    sim.world.create_app("private", owner=ada)
    await sim.calls.provision("private", "basic", name="her-db")
    ask = send(http, {"Authorization": f"Bearer {ben.api_key}"})
    assert (await ask("POST", "/apps/private/addons", {"plan": "gold"})).status_code == 403
    assert (await ask("GET", "/addons/her-db")).status_code == 403
    assert (await ask("DELETE", "/apps/private/addons/her-db")).status_code == 403
    assert (await ask("POST", "/addon-attachments", {"addon": "her-db", "app": "shop"})).status_code == 404
    assert (await ask("POST", "/actions/addons/resolve", {"addon": "her-db"})).status_code == 404
    assert (await ask("GET", "/addons")).json() == []


async def test_the_sso_form_signs_in_the_person_who_asks(sim, ask, my_db):
    sim.world.create_app("billing")
    await ask("POST", "/addon-attachments", {"addon": "my-db", "app": "billing", "name": "SHARED"})
    answer = (await ask("GET", "/apps/billing/addons/SHARED/sso")).json()
    assert (answer["method"], answer["action"]) == ("post", "http://addon.test/sso/login")
    params = answer["params"]
    assert (params["resource_id"], params["email"]) == (my_db.id, "ada@example.com")
    assert (params["app"], params["context_app"]) == ("shop", "billing")
    assert (await ask("GET", "/addons/my-db/sso")).json()["params"]["context_app"] == "shop"
    (exchange,) = [one for one in sim.world.exchanges if "/billing/addons/SHARED/sso" in one.url]
    shown = json.loads(exchange.answer_body)["params"]
    assert not set(shown.values()) & {
        params[name] for name in ("token", "resource_token", "user_scoped_resource_token")
    }
