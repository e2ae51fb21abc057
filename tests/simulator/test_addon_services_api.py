"""What is for sale is told to everybody, with its prices exactly as in the price list."""

import httpx2
import pytest

from app.simulator import HerokuError

PRICES = [
    {"name": "basic", "human_name": "Basic", "price_cents": 0},
    {"name": "gold", "human_name": "Gold", "price_cents": 20050},
]


@pytest.fixture
def sim(make):
    return make(plans=PRICES)


async def test_anybody_may_read_the_service(http):
    (service,) = (await http.get("/addon-services")).json()
    assert set(service) == {
        "cli_plugin_name",
        "created_at",
        "human_name",
        "id",
        "name",
        "state",
        "supported_generations",
        "supports_multiple_installations",
        "supports_sharing",
        "updated_at",
    }
    assert (service["name"], service["human_name"], service["state"]) == ("acme-postgres", "Acme Postgres", "ga")
    for ref in (service["name"], service["id"]):
        assert (await http.get(f"/addon-services/{ref}")).json() == service


async def test_plans_have_their_prices_and_the_first_is_the_default(http):
    basic, gold = (await http.get("/addon-services/acme-postgres/plans")).json()
    assert basic["price"] == {"cents": 0, "contract": False, "unit": "month"}
    assert gold["price"] == {"cents": 20050, "contract": False, "unit": "month"}
    assert (basic["default"], gold["default"]) == (True, False)
    assert (gold["name"], gold["human_name"], gold["visible"]) == ("acme-postgres:gold", "Gold", True)
    assert set(gold) == {
        "addon_service",
        "compliance",
        "created_at",
        "default",
        "description",
        "human_name",
        "id",
        "installable_inside_private_network",
        "installable_outside_private_network",
        "name",
        "price",
        "space_default",
        "state",
        "updated_at",
        "visible",
    }


@pytest.mark.parametrize("ref", ["acme-postgres:gold", "gold", "id"])
async def test_a_plan_is_found_by_name_and_by_id(http, ref):
    _, gold = (await http.get("/addon-services/acme-postgres/plans")).json()
    ref = gold["id"] if ref == "id" else ref
    assert (await http.get(f"/plans/{ref}")).json() == gold
    assert (await http.get(f"/addon-services/acme-postgres/plans/{ref}")).json() == gold


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/addon-services/other", "add-on service"),
        ("/addon-services/other/plans", "add-on service"),
        ("/addon-services/other/plans/gold", "add-on service"),
        ("/addon-services/acme-postgres/plans/silver", "plan"),
        ("/plans/other:gold", "plan"),
        ("/plans/acme-postgres", "plan"),
        ("/regions/mars/addon-region-capabilities", "region"),
    ],
)
async def test_what_is_not_sold_is_not_found(http, path, what):
    answer = await http.get(path)
    assert answer.status_code == 404
    assert (answer.json()["id"], answer.json()["message"]) == ("not_found", f"Couldn't find that {what}.")
    assert answer.json()["resource"] == what.replace("-", "_").replace(" ", "_")


async def test_the_manifests_regions_are_the_services_capabilities(http):
    found = (await http.get("/addon-region-capabilities")).json()
    assert {one["region"]["name"] for one in found} == {"us", "eu"}
    assert set(found[0]) == {"addon_service", "id", "region", "supports_private_networking"}
    by_id = {one["id"]: one for one in found}
    assert {one["id"] for one in (await http.get("/addon-services/acme-postgres/region-capabilities")).json()} == set(
        by_id
    )
    (eu,) = (await http.get("/regions/eu/addon-region-capabilities")).json()
    assert eu == by_id[eu["id"]]
    assert (await http.get("/regions/tokyo/addon-region-capabilities")).json() == []


async def test_without_a_price_list_every_name_is_a_plan_but_none_is_the_default(make):
    sim = make(plans=None)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(sim.app), base_url="http://heroku.test") as client:
        assert (await client.get("/addon-services/acme-postgres/plans")).json() == []
        assert (await client.get("/plans/acme-postgres:anything")).json()["name"] == "acme-postgres:anything"
    with pytest.raises(HerokuError, match="Couldn't find either"):
        await sim.calls.provision("shop", "acme-postgres")
    assert (await sim.calls.provision("shop", "anything")).plan == "anything"


async def test_a_customer_who_names_no_plan_gets_the_default(sim):
    assert (await sim.calls.provision("shop", "acme-postgres")).plan == "basic"
