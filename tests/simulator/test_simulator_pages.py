import pytest

from app.simulator.pages.addons import read_options


@pytest.fixture
async def installed(sim):
    return await sim.calls.provision("shop", "basic", name="my-db")


PAGES = [
    "/marketplace",
    "/marketplace/apps/shop",
    "/marketplace/apps/shop/install",
    "/marketplace/apps/shop/addons/my-db",
    "/marketplace/exchanges",
    "/marketplace/faults",
    "/marketplace/clock",
    "/marketplace/people",
    "/sso/apps/shop/addons/my-db",
]


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_complete_without_scripts_or_foreign_hosts(http, installed, path):
    answer = await http.get(path)
    assert answer.status_code == 200
    page = answer.text
    assert page.startswith("<!doctype html>")
    for part in ("<main", "<h1", '<html lang="en">'):
        assert part in page
    for inline in ("style=", "onclick", "<script>"):
        assert inline not in page
    assert "https://" not in page.replace("http://heroku.test", "")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_the_start_leads_to_the_marketplace(http):
    answer = await http.get("/")
    assert (answer.status_code, answer.headers["location"]) == (302, "/marketplace")
    for path in ("/static/simulator.css", "/static/simulator.js", "/static/icon.svg"):
        assert (await http.get(path)).status_code == 200


async def test_a_customer_installs_changes_attaches_and_removes(sim, http):
    answer = await http.post("/marketplace/apps", data={"name": "billing", "region": "eu"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/marketplace/apps/billing")
    answer = await http.post(
        "/marketplace/apps/shop/addons", data={"plan": "basic", "name": "my-db", "options": "version=17\nfast\n"}
    )
    page = answer.headers["location"]
    assert page == "/marketplace/apps/shop/addons/my-db"
    addon = sim.world.addon("my-db")
    assert addon.options == {"version": "17", "fast": True}
    await http.post(f"{page}/plan", data={"plan": "premium"})
    assert addon.plan == "premium"
    await http.post(f"{page}/attach", data={"app": "billing", "name": "SHOP_DB"})
    (attachment,) = sim.world.attachments_on(sim.world.app("billing"))
    assert "SHOP_DB_URL" in (await http.get("/marketplace/apps/billing")).text
    await http.post(f"{page}/detach", data={"attachment": attachment.id})
    assert sim.world.attachments_on(sim.world.app("billing")) == []
    refused = await http.post(f"{page}/remove", data={"confirm": "wrong"})
    assert (refused.status_code, addon.state) == (423, "provisioned")
    assert "type the app&#39;s name: shop" in refused.text
    answer = await http.post(f"{page}/remove", data={"confirm": "shop"})
    assert (answer.headers["location"], addon.state) == ("/marketplace/apps/shop", "deprovisioned")
    assert (await http.get(page)).status_code == 404


async def test_a_refused_install_keeps_what_was_typed(http, addon):
    addon.answers["POST"] = (422, {"message": "Sold <out>."})
    answer = await http.post("/marketplace/apps/shop/addons", data={"plan": "gold", "options": "a=1", "name": "db-1"})
    assert answer.status_code == 422
    assert "Sold &lt;out&gt;." in answer.text
    for typed in ('value="gold"', ">a=1</textarea>", 'value="db-1"'):
        assert typed in answer.text


async def test_plans_come_from_the_price_list_when_there_is_one(make):
    sim = make(
        plans=[{"name": "basic", "human_name": "Small", "price_cents": 0}, {"name": "gold", "price_cents": 1250}]
    )
    assert [(plan.human_name, plan.price) for plan in sim.world.offer.plans] == [
        ("Small", "Free"),
        ("gold", "$12.50/month"),
    ]


def test_options_are_read_like_the_command_lines():
    assert read_options("--version=17\n fast \n\nurl=a=b") == {"version": "17", "fast": True, "url": "a=b"}


async def test_a_live_part_is_sent_again_only_when_it_changed(sim, http, installed):
    first = await http.get("/marketplace/apps/shop?live")
    assert "<html" not in first.text
    assert "my-db" in first.text
    same = {"If-None-Match": first.headers["etag"]}
    assert (await http.get("/marketplace/apps/shop?live", headers=same)).status_code == 304
    await sim.calls.provision("shop", "basic")
    assert (await http.get("/marketplace/apps/shop?live", headers=same)).status_code == 200


async def test_the_clock_moves_and_brings_what_is_due(sim, http, addon, clock):
    addon.answers["POST"] = (202, {"id": "x"})
    slow = await sim.calls.provision("shop", "basic")
    answer = await http.post("/marketplace/clock", data={"minutes": "720"})
    assert answer.status_code == 303
    assert (sim.world.now() - clock()).total_seconds() == 12 * 3600
    assert slow.state == "deprovisioned"
    assert "12 hours ahead" in (await http.get("/marketplace/clock")).text
    for minutes in ("-5", "soon", "99999999999999"):
        assert (await http.post("/marketplace/clock", data={"minutes": minutes})).status_code == 422


async def test_faults_and_rotation_are_set_on_pages(sim, http, installed):
    order = {
        "kind": "slow",
        "direction": "add-on",
        "count": "2",
        "seconds": "1.5",
        "status": "",
        "method": "",
        "path": "",
    }
    assert (await http.post("/marketplace/faults", data=order)).status_code == 303
    assert "1.5 s slower" in (await http.get("/marketplace/faults")).text
    await http.post("/marketplace/faults/clear")
    assert sim.faults.pending == []
    await http.post("/marketplace/people/rotation", data={"rotates": "yes"})
    assert sim.world.rotates_refresh_tokens is True
    assert (await http.post("/marketplace/faults", data={"kind": "none"})).status_code == 422


async def test_access_tokens_are_ended_from_the_page(sim, http, installed, bearer):
    headers = await bearer(installed)
    await http.post("/marketplace/apps/shop/addons/my-db/end-tokens")
    assert (await http.get("/addons/my-db", headers=headers)).status_code == 401


@pytest.mark.parametrize("name", ["", "ab", "Shop", "1shop", "shop-", "shop", "a" * 31])
async def test_an_app_needs_a_good_name_of_its_own(sim, http, name):
    apps = len(sim.world.apps)
    assert (await http.post("/marketplace/apps", data={"name": name})).status_code == 422
    assert len(sim.world.apps) == apps


@pytest.mark.parametrize(
    "path",
    ["/marketplace/apps/nowhere", "/marketplace/apps/shop/addons/none", "/marketplace/what", "/sso/apps/a/addons/b"],
)
async def test_a_page_that_is_not_there_is_a_page(http, path):
    answer = await http.get(path)
    assert answer.status_code == 404
    assert "<h1>Not found</h1>" in answer.text


@pytest.mark.parametrize("path", ["/marketplace/apps/shop/addons/my-db/remove", "/marketplace/faults/clear"])
async def test_nothing_changes_on_a_get(http, installed, path):
    assert (await http.get(path)).status_code == 405
    assert installed.state == "provisioned"
