"""Attachments: made, found, overwritten only when confirmed, and taken off again; and the resolvers."""

import pytest

from app.simulator import HerokuError, attaching


@pytest.fixture
def sim(make):
    sim = make()
    sim.world.create_app("billing")
    return sim


@pytest.fixture
async def my_db(sim):
    return await sim.calls.provision("shop", "basic", name="my-db")


@pytest.fixture
def ask(sim, http):
    person = next(iter(sim.world.customers.values()))
    headers = {
        "Authorization": f"Bearer {person.api_key}",
        "Accept": "application/vnd.heroku+json; version=3",
        "Accept-Inclusion": "addon:plan,config_vars",
        "Accept-Expansion": "addon_service,plan",
    }

    async def do(method, path, body=None):
        return await http.request(method, path, headers=headers, json=body)

    return do


def names(world, app):
    return sorted(world.config_vars(world.app(app)))


@pytest.mark.parametrize("form", ["name", "id", "object"])
async def test_an_addon_is_attached_to_another_app_under_a_name_of_its_own(sim, ask, my_db, form):
    billing = sim.world.app("billing")
    addon, app = {
        "name": ("my-db", "billing"),
        "id": (my_db.id, billing.id),
        "object": ({"name": "my-db"}, {"id": billing.id}),
    }[form]
    answer = await ask("POST", "/addon-attachments", {"addon": addon, "app": app, "name": "SHARED", "namespace": None})
    body = answer.json()
    assert (answer.status_code, body["name"], body["app"]["name"]) == (201, "SHARED", "billing")
    assert body["addon"]["app"]["name"] == "shop"
    assert body["web_url"] == f"http://heroku.test/sso/apps/{billing.id}/addons/{my_db.id}"
    assert names(sim.world, "billing") == ["SHARED_URL"]
    release = billing.releases[-1]
    assert (release.description, release.user_email) == ("Attach SHARED (@my-db)", "ada@example.com")
    assert len(sim.world.app("shop").releases) == 2


async def test_an_attachment_is_described_as_heroku_does(http, sim, ask, my_db):
    (attachment,) = sim.world.attachments_of(my_db)
    body = (await ask("GET", f"/addon-attachments/{attachment.id}")).json()
    assert (body["config_vars"], body["addon"]["plan"]["name"]) == (["ACME_POSTGRES_URL"], "acme-postgres:basic")
    person = next(iter(sim.world.customers.values()))
    plain = await http.get(f"/addon-attachments/{attachment.id}", headers={"Authorization": f"Bearer {person.api_key}"})
    assert set(plain.json()) == {
        "addon",
        "app",
        "created_at",
        "id",
        "log_input_url",
        "name",
        "namespace",
        "updated_at",
        "web_url",
    }
    assert set(plain.json()["addon"]) == {"id", "name", "app"}
    for ref in (attachment.id, attachment.name):
        assert (await ask("GET", f"/apps/shop/addon-attachments/{ref}")).json() == body
    missing = await ask("GET", "/apps/billing/addon-attachments/ACME_POSTGRES")
    assert (missing.status_code, missing.json()["message"]) == (404, "Couldn't find that add-on attachment.")


async def test_one_app_may_see_an_addon_under_two_names_but_not_twice_under_one(sim, ask, my_db):
    body = {"addon": "my-db", "app": "shop", "name": "SECOND"}
    assert (await ask("POST", "/addon-attachments", body)).status_code == 201
    assert names(sim.world, "shop") == ["ACME_POSTGRES_URL", "SECOND_URL"]
    again = await ask("POST", "/addon-attachments", {**body, "confirm": "shop"})
    assert again.status_code == 422
    assert again.json()["message"] == "my-db is attached to shop as SECOND already."


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"app": "billing"}, 422, "The parameter addon is missing."),
        ({"addon": "my-db"}, 422, "The parameter app is missing."),
        ({"addon": "nope", "app": "billing"}, 404, "Couldn't find that add-on."),
        ({"addon": "my-db", "app": "nope"}, 404, "Couldn't find that app."),
        ({"addon": "my-db", "app": "billing", "name": "lower"}, 422, "An attachment's name has only capital letters"),
        ({"addon": "my-db", "app": "billing", "namespace": "credential:x"}, 422, "Acme Postgres has no credentials"),
    ],
)
async def test_an_attachment_that_cannot_be_is_refused(sim, ask, my_db, body, status, message):
    answer = await ask("POST", "/addon-attachments", body)
    assert answer.status_code == status
    assert answer.json()["message"].startswith(message)
    assert len(sim.world.attachments) == 1


async def test_a_services_credentials_are_none(ask, my_db):
    answer = await ask("GET", "/addons/my-db/config/credential:readonly")
    assert (answer.status_code, answer.json()) == (200, [])


async def test_the_apps_own_config_var_is_overwritten_only_when_confirmed(sim, ask, my_db):
    billing = sim.world.app("billing")
    billing.config["SHARED_URL"] = "mine"
    body = {"addon": "my-db", "app": "billing", "name": "SHARED"}
    for confirm in ({}, {"confirm": "shop"}):
        answer = await ask("POST", "/addon-attachments", body | confirm)
        assert answer.status_code == 423
        assert answer.json() == {
            "id": "confirmation_required",
            "message": "Attaching my-db to billing as SHARED would overwrite the config var SHARED_URL.",
            "app": {"name": "billing"},
        }
    assert sim.world.config_vars(billing)["SHARED_URL"] == "mine"
    assert (await ask("POST", "/addon-attachments", body | {"confirm": "billing"})).status_code == 201
    assert sim.world.config_vars(billing)["SHARED_URL"] == my_db.config["ACME_POSTGRES_URL"]


async def test_a_config_var_of_another_attachment_is_overwritten_only_when_confirmed(make, addon):
    sim = make(api={"config_vars": ["ACME_POSTGRES_URL", "ACME_POSTGRES_POOL_URL"]})
    config = {
        "ACME_POSTGRES_URL": "postgres://h.example.com/one",
        "ACME_POSTGRES_POOL_URL": "postgres://pool.example.com/",
    }
    addon.answers["POST"] = (200, {"id": "one", "config": config})
    shop = sim.world.app("shop")
    installed = await sim.calls.provision("shop", "basic", attachment="DB", name="one")
    with pytest.raises(HerokuError, match="would overwrite the config var DB_POOL_URL") as refusal:
        attaching.share(sim.world, installed, shop, "DB_POOL")
    assert refusal.value.status == 423
    assert sim.world.config_vars(shop)["DB_POOL_URL"] == "postgres://pool.example.com/"
    attaching.share(sim.world, installed, shop, "DB_POOL", confirm="shop")
    assert sim.world.config_vars(shop)["DB_POOL_URL"] == "postgres://h.example.com/one"


async def test_creating_an_addon_asks_before_it_overwrites_and_before_it_calls_the_partner(sim, addon, ask):
    sim.world.app("shop").config["ACME_POSTGRES_POOL"] = "mine"
    answer = await ask("POST", "/apps/shop/addons", {"plan": "basic"})
    assert (answer.status_code, answer.json()["app"]) == (423, {"name": "shop"})
    assert (addon.requests, sim.world.addons) == ([], {})
    confirmed = await ask("POST", "/apps/shop/addons", {"plan": "basic", "confirm": "shop"})
    assert (confirmed.status_code, confirmed.json()["state"]) == (201, "provisioned")


async def test_a_confirmed_name_is_taken_from_the_addon_that_had_it(sim, ask, my_db):
    theirs = await sim.calls.provision("billing", "basic", name="their-db")
    await ask("POST", "/addon-attachments", {"addon": "my-db", "app": "billing", "name": "MAIN"})
    body = {"addon": "their-db", "app": "billing", "name": "MAIN"}
    asked = await ask("POST", "/addon-attachments", body)
    assert (asked.status_code, asked.json()["id"]) == (423, "confirmation_required")
    assert "the attachment MAIN of my-db" in asked.json()["message"]
    assert (await ask("POST", "/addon-attachments", body | {"confirm": "billing"})).status_code == 201
    (main,) = [one for one in sim.world.attachments_on(sim.world.app("billing")) if one.name == "MAIN"]
    assert main.addon_id == theirs.id


async def test_a_name_is_given_back_when_the_addon_that_took_it_could_not_be_created(sim, addon, ask, my_db):
    await ask("POST", "/addon-attachments", {"addon": "my-db", "app": "billing", "name": "MAIN"})
    addon.answers["POST"] = (422, {"message": "Sold out."})
    body = {"plan": "basic", "attachment": {"name": "MAIN"}, "confirm": "billing"}
    assert (await ask("POST", "/apps/billing/addons", body)).status_code == 422
    (main,) = sim.world.attachments_on(sim.world.app("billing"))
    assert (main.name, main.addon_id) == ("MAIN", my_db.id)


async def test_an_owners_only_attachment_is_not_overwritten_even_when_confirmed(sim, ask, my_db):
    body = {"plan": "basic", "attachment": {"name": "ACME_POSTGRES"}, "confirm": "shop"}
    answer = await ask("POST", "/apps/shop/addons", body)
    assert answer.status_code == 422
    assert "the only attachment of my-db on shop" in answer.json()["message"]


async def test_detaching_answers_what_was_and_releases_that_app_alone(sim, ask, my_db):
    made = (await ask("POST", "/addon-attachments", {"addon": "my-db", "app": "billing", "name": "SHARED"})).json()
    before = len(sim.world.app("shop").releases)
    answer = await ask("DELETE", f"/addon-attachments/{made['id']}")
    assert (answer.status_code, answer.json()) == (200, made)
    assert names(sim.world, "billing") == []
    assert sim.world.app("billing").releases[-1].description == "Detach SHARED (@my-db)"
    assert len(sim.world.app("shop").releases) == before
    assert (await ask("DELETE", f"/addon-attachments/{made['id']}")).status_code == 404


async def test_the_owning_apps_last_attachment_stays_though_others_have_one(sim, ask, my_db):
    (attachment,) = sim.world.attachments_of(my_db)
    await ask("POST", "/addon-attachments", {"addon": "my-db", "app": "billing"})
    refused = await ask("DELETE", f"/addon-attachments/{attachment.id}")
    assert refused.status_code == 422
    assert "only attachment" in refused.json()["message"]
    await ask("POST", "/addon-attachments", {"addon": "my-db", "app": "shop", "name": "SECOND"})
    assert (await ask("DELETE", f"/addon-attachments/{attachment.id}")).status_code == 200
    assert names(sim.world, "shop") == ["SECOND_URL"]


async def test_attaching_and_detaching_call_nobody_but_are_told_to_listeners(sim, addon, ask, my_db):
    told = []
    sim.world.listeners.append(lambda event: told.append((event.kind, event.action, event.by_email)))
    made = (await ask("POST", "/addon-attachments", {"addon": "my-db", "app": "billing"})).json()
    await ask("DELETE", f"/addon-attachments/{made['id']}")
    mine = [one for one in told if one[0] == "addon-attachment"]
    assert mine == [
        ("addon-attachment", "create", "ada@example.com"),
        ("addon-attachment", "destroy", "ada@example.com"),
    ]
    assert len(addon.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"addon": "my-db"},
        {"addon": "my-db", "app": None},
        {"addon": "id", "app": "shop"},
        {"addon": "ACME_POSTGRES", "app": "shop"},
        {"addon": "shop::ACME_POSTGRES", "app": None},
        {"addon": "acme-postgres", "app": "shop"},
        {"addon": "my-db", "app": "billing"},
        {"addon": "SHARED", "addon_service": "acme-postgres"},
    ],
)
async def test_an_addon_is_resolved_by_whatever_its_customers_call_it(ask, my_db, body):
    await ask("POST", "/addon-attachments", {"addon": "my-db", "app": "billing", "name": "SHARED"})
    body = {**body, "addon": my_db.id} if body["addon"] == "id" else body
    answer = await ask("POST", "/actions/addons/resolve", body)
    (found,) = answer.json()
    assert (answer.status_code, found["id"]) == (200, my_db.id)
    assert (found["plan"]["price"]["unit"], found["addon_service"]["human_name"]) == ("month", "Acme Postgres")


@pytest.mark.parametrize(
    ("body", "app"),
    [
        ({"addon_attachment": "SHARED"}, "billing"),
        ({"addon_attachment": "my-db", "app": "billing"}, "billing"),
        ({"addon_attachment": "acme-postgres", "app": "shop"}, "shop"),
        ({"addon_attachment": "billing::SHARED", "app": None}, "billing"),
    ],
)
async def test_an_attachment_is_resolved_by_whatever_its_customers_call_it(ask, my_db, body, app):
    await ask("POST", "/addon-attachments", {"addon": "my-db", "app": "billing", "name": "SHARED"})
    answer = await ask("POST", "/actions/addon-attachments/resolve", body)
    (found,) = answer.json()
    assert (found["addon"]["name"], found["app"]["name"], found["namespace"]) == ("my-db", app, None)


@pytest.mark.parametrize(
    ("path", "body", "resource"),
    [
        ("addons", {"addon": "nope", "app": None}, "add_on"),
        ("addons", {"addon": "my-db", "app": "billing"}, "add_on"),
        ("addons", {"addon": "my-db", "addon_service": "other"}, "add_on"),
        ("addons", {"addon": "my-db", "app": "nope"}, "app"),
        ("addon-attachments", {"addon_attachment": "SHARED", "app": "shop"}, "add_on_attachment"),
        ("addon-attachments", {"addon_attachment": "ACME_POSTGRES", "addon_service": "x"}, "add_on_attachment"),
    ],
)
async def test_what_cannot_be_resolved_says_what_is_missing(ask, my_db, path, body, resource):
    answer = await ask("POST", f"/actions/{path}/resolve", body)
    assert (answer.status_code, answer.json()["id"], answer.json()["resource"]) == (404, "not_found", resource)


async def test_a_word_that_means_several_things_is_refused_with_their_names(sim, ask, my_db):
    await sim.calls.provision("billing", "basic", name="their-db")
    addon = await ask("POST", "/actions/addons/resolve", {"addon": "acme-postgres", "app": None})
    assert (addon.status_code, addon.json()["id"]) == (422, "multiple_matches")
    assert addon.json()["message"] == "Ambiguous identifier; multiple matching add-ons found: my-db, their-db."
    attachment = await ask("POST", "/actions/addon-attachments/resolve", {"addon_attachment": "ACME_POSTGRES"})
    assert attachment.json()["message"].endswith("found: shop::ACME_POSTGRES, billing::ACME_POSTGRES.")


async def test_an_addon_is_read_by_its_place_on_an_app(ask, my_db):
    assert (await ask("GET", "/addons/shop::ACME_POSTGRES")).json()["id"] == my_db.id
    assert (await ask("GET", "/addons/billing::ACME_POSTGRES")).status_code == 404
