import re
from html import unescape

import httpx2
import pytest

from app.simulator import app_config
from app.simulator.curl import curl_command
from app.simulator.pages.addons import read_options
from app.simulator.pages.progress import steps


@pytest.fixture
async def installed(sim):
    return await sim.calls.provision("shop", "basic", name="my-db")


def client_of(sim):
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(sim.app), base_url="http://heroku.test")


PAGES = [
    "/marketplace",
    "/marketplace/apps/shop",
    "/marketplace/apps/shop/install",
    "/marketplace/apps/shop/settings",
    "/marketplace/apps/shop/addons/my-db",
    "/marketplace/catalog",
    "/marketplace/exchanges",
    "/marketplace/exchanges?only=problems&direction=tokens",
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
    for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', (await http.get("/marketplace")).text):
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


async def test_an_install_that_fails_leads_to_what_the_add_on_did(http, addon):
    addon.answers["POST"] = (500, {})
    answer = await http.post("/marketplace/apps/shop/addons", data={"plan": "basic"})
    assert "Could not communicate with vendor" in answer.text
    (link,) = re.findall(r'href="(/marketplace/exchanges\?[^"]+)"', answer.text)
    assert 'href="/marketplace/exchanges/' in (await http.get(link)).text


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


async def test_an_apps_own_config_vars_are_set_unset_and_rolled_back(sim, http, installed):
    page, app = "/marketplace/apps/shop", sim.world.app("shop")
    answer = await http.post(f"{page}/config-vars", data={"name": "LOG_LEVEL", "value": "de<bug"})
    assert (answer.status_code, answer.headers["location"]) == (303, page)
    assert app.config == {"LOG_LEVEL": "de<bug"}
    shown = (await http.get(page)).text
    assert "de&lt;bug" in shown
    assert 'Unset<span class="unseen"> LOG_LEVEL' in shown
    assert 'Unset<span class="unseen"> ACME_POSTGRES_URL' not in shown
    before = app.releases[-2].id
    await http.post(f"{page}/config-vars", data={"unset": "LOG_LEVEL"})
    assert app.config == {}
    with_it = app.releases[-2].id
    await http.post(f"{page}/rollback", data={"release": with_it})
    assert app.config == {"LOG_LEVEL": "de<bug"}
    await http.post(f"{page}/rollback", data={"release": before})
    assert app.config == {}
    for refused in ({"name": "ACME_POSTGRES_URL", "value": "x"}, {"name": "", "value": "x"}):
        assert (await http.post(f"{page}/config-vars", data=refused)).status_code == 422


async def test_an_app_page_adds_up_what_its_owner_pays(make, addon):
    sim = make(plans=[{"name": "basic", "price_cents": 700}, {"name": "gold", "price_cents": 1250}])
    await sim.calls.provision("shop", "basic")
    gold = await sim.calls.provision("shop", "gold")
    async with client_of(sim) as http:
        assert "$19.50/month" in (await http.get("/marketplace/apps/shop")).text
        catalog = (await http.get("/marketplace/catalog")).text
        assert "$12.50<small> a month</small>" in catalog
        answer = await http.get("/marketplace/catalog/install?app=shop&plan=gold")
        assert answer.headers["location"] == "/marketplace/apps/shop/install?plan=gold"
        chosen = (await http.get(answer.headers["location"])).text
    assert re.search(r'value="gold" required checked', chosen)
    assert gold.plan == "gold"


async def test_what_would_be_overwritten_is_asked_about_and_done_when_confirmed(sim, http, installed):
    other = sim.world.create_app("other")
    app_config.change(sim.world, other, {"SHOP_DB_URL": "mine"}, by_email="ada@example.com")
    page = "/marketplace/apps/shop/addons/my-db/attach"
    asked = await http.post(page, data={"app": "other", "name": "SHOP_DB"})
    assert asked.status_code == 423
    assert "would overwrite" in asked.text
    assert sim.world.attachments_on(other) == []
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', asked.text))
    assert fields == {"app": "other", "name": "SHOP_DB", "confirm": "other"}
    assert (await http.post(page, data=fields)).status_code == 303
    assert sim.world.config_vars(other)["SHOP_DB_URL"] == installed.config["ACME_POSTGRES_URL"]


async def test_an_install_that_would_overwrite_asks_first(sim, http):
    shop = sim.world.app("shop")
    app_config.change(sim.world, shop, {"ACME_POSTGRES_URL": "mine"}, by_email="ada@example.com")
    asked = await http.post("/marketplace/apps/shop/addons", data={"plan": "basic", "options": "a=1\nfast"})
    assert (asked.status_code, list(sim.world.installed())) == (423, [])
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', asked.text))
    assert (await http.post("/marketplace/apps/shop/addons", data=fields)).status_code == 303
    (addon,) = sim.world.installed()
    assert addon.options == {"a": "1", "fast": True}


async def test_an_add_on_of_one_app_is_attached_from_the_other_apps_page(sim, http, installed):
    other = sim.world.create_app("other")
    assert "my-db · shop" in (await http.get("/marketplace/apps/other")).text
    answer = await http.post("/marketplace/apps/other/attach", data={"addon": installed.id, "name": ""})
    assert answer.headers["location"] == "/marketplace/apps/other"
    (attachment,) = sim.world.attachments_on(other)
    leave = {"attachment": attachment.id, "back": "/marketplace/apps/other"}
    answer = await http.post("/marketplace/apps/other/addons/my-db/detach", data=leave)
    assert (answer.headers["location"], sim.world.attachments_on(other)) == ("/marketplace/apps/other", [])


async def test_a_renamed_add_on_is_found_under_its_new_name(sim, http, installed):
    answer = await http.post("/marketplace/apps/shop/addons/my-db/rename", data={"name": "their-db"})
    assert answer.headers["location"] == "/marketplace/apps/shop/addons/their-db"
    assert (await http.get("/marketplace/apps/shop/addons/their-db")).status_code == 200
    assert (await http.post("/marketplace/apps/shop/addons/their-db/rename", data={"name": "!"})).status_code == 422


async def test_an_app_is_renamed_shared_scaled_and_deleted(sim, http, installed, addon):
    app = sim.world.app("shop")
    answer = await http.post("/marketplace/apps/shop/rename", data={"name": "store"})
    assert (answer.headers["location"], app.name) == ("/marketplace/apps/store/settings", "store")
    page = "/marketplace/apps/store"
    await http.post(f"{page}/maintenance", data={"maintenance": "on"})
    assert app.is_in_maintenance
    ben = next(one for one in sim.world.customers.values() if one.email == "ben@example.com")
    await http.post(f"{page}/people", data={"remove": ben.email})
    assert ben not in sim.world.people_of(app)
    await http.post(f"{page}/people", data={"add": ben.email})
    assert ben in sim.world.people_of(app)
    await http.post(f"{page}/scale", data={"type": "web", "quantity": "2"})
    names = {dyno.name: dyno.id for dyno in app.dynos}
    assert set(names) == {"web.1", "web.2"}
    await http.post(f"{page}/restart")
    assert {dyno.id for dyno in app.dynos}.isdisjoint(names.values())
    assert (await http.post(f"{page}/scale", data={"type": "web", "quantity": "lots"})).status_code == 422
    assert (await http.post(f"{page}/delete", data={"confirm": "shop"})).status_code == 423
    assert (await http.post(f"{page}/delete", data={"confirm": "store"})).headers["location"] == "/marketplace"
    assert app.id not in sim.world.apps
    assert [method for method, *_ in addon.requests][-1] == "DELETE"


async def test_the_steps_of_an_add_on_say_what_is_still_missing(sim, http, addon, clock, bearer):
    addon.answers["POST"] = (202, {"id": "x"})
    slow = await sim.calls.provision("shop", "basic", name="slow-db")

    def said() -> list[tuple[str, str]]:
        return [(step.kind, step.text) for step in steps(sim.world, slow)]

    waiting = ("now", "until 2 May, 00:00 at the latest")
    assert said() == [("done", ""), ("now", "it waits until 12:05:00"), ("later", "0 of 2"), waiting]
    clock.move(minutes=6)
    assert said()[1] == ("failed", "it was not, until 12:05:00")
    clock.move(minutes=-6)
    headers = await bearer(slow)
    changes = {"config": [{"name": "ACME_POSTGRES_URL", "value": "postgres://db.example.com/one"}]}
    await http.patch(f"/addons/{slow.id}/config", headers=headers, json=changes)
    assert said() == [("done", ""), ("done", ""), ("now", "1 of 2"), waiting]
    await http.post(f"/addons/{slow.id}/actions/provision", headers=headers)
    assert said() == [("done", ""), ("done", ""), ("done", "1 of 2"), ("done", "")]
    assert (await http.get("/marketplace/apps/shop/addons/slow-db")).text.count('<li class="done">') == 4


async def test_exchanges_are_filtered_by_verdict_direction_and_add_on(sim, http, installed, addon, token_for):
    await token_for(installed)
    addon.answers["POST"] = (500, {})
    with pytest.raises(Exception, match="Could not communicate"):
        await sim.calls.provision("shop", "basic", name="broken-db")

    async def shown(query: str) -> list[str]:
        page = (await http.get(f"/marketplace/exchanges?{query}")).text
        return re.findall(r'<span class="status [a-z]+">(\w+)</span>', page)

    assert await shown("") == ["500", "200", "200"]
    assert await shown("only=problems") == ["500"]
    assert len(await shown("only=hints")) == 2
    assert await shown("direction=tokens") == ["200"]
    assert await shown(f"addon={installed.id}") == ["200", "200"]
    assert await shown(f"addon={installed.id}&only=problems") == []
    nothing = (await http.get("/marketplace/exchanges?direction=platform")).text
    assert "None of the latest exchanges is like that." in nothing
    live = re.search(r'data-live="([^"]+)"', nothing)[1]
    assert unescape(live) == "/marketplace/exchanges?direction=platform&live="
    assert "<html" not in (await http.get(unescape(live))).text


async def test_an_exchange_can_be_asked_again_without_its_secrets(sim, http, installed, token_for):
    await token_for(installed)
    provision, tokens = sim.world.exchanges
    command = curl_command(provision, "acme-postgres")
    assert command.startswith('curl --include \\\n  --request POST \\\n  --user acme-postgres:"$PASSWORD" \\\n')
    assert command.endswith(" \\\n  http://addon.test/base")
    assert f'"uuid": "{installed.id}"' in command
    assert "--data-urlencode grant_type=authorization_code" in curl_command(tokens, "acme-postgres")
    for exchange in (provision, tokens):
        page = unescape((await http.get(f"/marketplace/exchanges/{exchange.id}")).text)
        assert curl_command(exchange, "acme-postgres") in page
        for secret in ("manifest-password", "oauth-client-secret", next(iter(sim.world.grants))):
            assert secret not in page
    assert (
        f'/marketplace/exchanges/{tokens.id}">Later' in (await http.get(f"/marketplace/exchanges/{provision.id}")).text
    )
    assert (await http.get("/marketplace/exchanges/none")).status_code == 404


async def test_a_curl_command_holds_nothing_that_commands_a_terminal(sim, http):
    await http.get("/addons/x'y%1b%5d", headers={"Authorization": "Bearer secret", "X-Odd": "a\x1b]b'c"})
    command = curl_command(sim.world.exchanges[-1], "acme-postgres")
    assert "\x1b" not in command
    assert "'\"'\"'" in command
    assert '--header "Authorization: Bearer $TOKEN"' in command
    assert "secret" not in command


async def test_the_first_page_connects_the_heroku_cli_and_begins_with_what_to_do(sim, http):
    page = unescape((await http.get("/marketplace")).text)
    assert 'eval "$(curl -fsS http://heroku.test/simulator/env)"' in page
    assert "export HEROKU_HOST=http://heroku.test\n" in page
    assert "Install Acme Postgres on example-shop" in page
    await sim.calls.provision("shop", "basic")
    assert "Start here" not in (await http.get("/marketplace")).text
    sim.world.apps.clear()
    for path in ("/marketplace", "/marketplace/catalog"):
        assert "There" in (await http.get(path)).text


async def test_a_live_part_brings_the_numbers_of_the_navigation(sim, http, installed):
    sim.faults.add("slow", count=3)
    live = (await http.get("/marketplace?live")).text
    assert re.search(r'<template data-for="sections">.*3<span class="unseen"> waiting', live, re.DOTALL)


async def test_an_add_on_that_was_removed_while_it_was_made_leads_back_to_its_app(sim, http, addon):
    async def remove(body):
        addon.before_answer = None
        await sim.calls.deprovision(sim.world.addons[body["uuid"]])

    addon.before_answer = remove
    answer = await http.post("/marketplace/apps/shop/addons", data={"plan": "basic"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/marketplace/apps/shop")


@pytest.mark.parametrize("path", ["/marketplace/people", "/marketplace/login/any/done", "/marketplace/faults"])
async def test_a_page_that_does_not_refresh_itself_may_be_asked_to(http, path):
    answer = await http.get(path, params={"live": ""})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
