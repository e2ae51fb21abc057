"""npm's heroku-client, the API client that many a tool in Node is built on."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from node_programs import run_node

SCRIPT = Path(__file__).with_name("heroku_client_calls.mjs")


@pytest.fixture
def client(heroku):
    """Make calls, each as method, path and perhaps a body, with somebody's token; returns their answers."""

    def make(*calls: tuple[Any, ...], token: str = heroku.ada.api_key) -> list[Any]:
        asked = json.dumps([dict(zip(("method", "path", "body"), call, strict=False)) for call in calls])
        said = run_node(str(SCRIPT), asked, environment={"HEROKU_HOST": heroku.url, "HEROKU_API_KEY": token})
        assert (said.err, said.status) == ("", 0)
        return json.loads(said.out)

    return make


def test_an_addon_is_installed_changed_and_removed(client, heroku):
    app, addon, config, listed, releases = client(
        ("POST", "/apps", {"name": "client-shop", "region": "eu"}),
        ("POST", "/apps/client-shop/addons", {"plan": "acme-postgres:test", "name": "acme-one"}),
        ("GET", "/apps/client-shop/config-vars"),
        ("GET", "/addons"),
        ("GET", "/apps/client-shop/releases"),
    )
    assert (app["name"], app["region"]["name"]) == ("client-shop", "eu")
    assert (addon["name"], addon["state"], addon["plan"]["name"]) == ("acme-one", "provisioned", "acme-postgres:test")
    assert [one["id"] for one in listed] == [addon["id"]]
    assert {one["version"]: one["description"] for one in releases} == {
        1: "Initial release",
        2: "Attach ACME_POSTGRES (@acme-one)",
    }
    with psycopg.connect(config["ACME_POSTGRES_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)

    changed, gone, after = client(
        ("PATCH", "/apps/client-shop/addons/acme-one", {"plan": {"name": "acme-postgres:standard"}}),
        ("DELETE", "/apps/client-shop/addons/acme-one"),
        ("GET", "/apps/client-shop/addons"),
    )
    assert (changed["plan"]["name"], changed["provision_message"]) == (
        "acme-postgres:standard",
        "Your add-on is on the standard plan now.",
    )
    assert (gone["state"], after) == ("deprovisioned", [])
    assert heroku.calls("add-on") == [
        "POST /heroku/resources",
        f"PUT /heroku/resources/{addon['id']}",
        f"DELETE /heroku/resources/{addon['id']}",
    ]


def test_it_pages_through_a_long_list_without_noticing(client, heroku, shop):
    """It asks for a thousand at a time, in the order of ids, and for more as long as there is more."""
    made = [("PATCH", "/apps/shop/config-vars", {"COUNTER": str(number)}) for number in range(1010)]
    client(*made)
    (releases,) = client(("GET", "/apps/shop/releases"))
    assert sorted(one["version"] for one in releases) == list(range(1, 1012))
    assert heroku.calls()[-2:] == ["GET /apps/shop/releases"] * 2


def test_a_partners_program_sets_its_config_with_its_own_token_and_nothing_else(client, heroku, shop):
    addon = heroku.install(shop, name="acme-one")
    heroku.wait_until(lambda: heroku.tokens_of(addon))  # The add-on exchanges its grant after it has answered.
    (token,) = heroku.tokens_of(addon)
    config, secret = client(
        (
            "PATCH",
            f"/addons/{addon.id}/config",
            {"config": [{"name": "ACME_POSTGRES_URL", "value": "postgres://u:p@db.example.com/one"}]},
        ),
        ("GET", "/apps/shop/config-vars"),
        token=token,
    )
    assert config == [{"name": "ACME_POSTGRES_URL", "value": "postgres://u:p@db.example.com/one"}]
    assert (secret["status"], secret["id"]) == (403, "forbidden")
    assert heroku.world.config_vars(shop) == {"ACME_POSTGRES_URL": "postgres://u:p@db.example.com/one"}
    # That refusal is what the test is about, and the one thing that the verdicts hold against this partner.
    assert [one.text.partition(":")[0] for one in heroku.problems()] == ["Answered 403"]
    heroku.world.exchanges.clear()


def test_errors_come_with_herokus_id_and_sentence(client, heroku, shop):
    missing, unknown, taken = client(
        ("GET", "/apps/nowhere"),
        ("POST", "/apps/shop/addons", {"plan": "acme-postgres:gigantic"}),
        ("POST", "/apps", {"name": "shop"}),
    )
    assert missing == {"status": 404, "id": "not_found", "message": "Couldn't find that app.", "resource": "app"}
    assert unknown["status"] == 422
    assert 'the add-on plan of "acme-postgres:gigantic"' in unknown["message"]
    assert (taken["status"], taken["message"]) == (422, "Name shop is already taken.")
