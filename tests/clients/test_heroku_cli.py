"""The life of an add-on as a customer types it: the real Heroku CLI, the simulator, and a real Acme Postgres."""

import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx2
import psycopg
from sso_visit import visit_dashboard

from app.simulator.tool_environment import tool_environment


def test_a_database_is_chosen_bought_and_opened(cli, heroku):
    made = cli("apps:create demo")
    assert made.err == "Creating demo... done\n"
    assert [app.name for app in heroku.world.apps.values()] == ["demo"]

    plans = cli("addons:plans acme-postgres")
    assert plans.rows[2:] == [
        ["default", "acme-postgres:test", "Test", "free", "free"],
        ["acme-postgres:standard", "Standard", "~$0.069/hour", "$50/month"],
        ["acme-postgres:premium", "Premium", "~$0.278/hour", "$200/month"],
        ["acme-postgres:enormous", "Enormous", "~$1.715/hour", "$1234.56/month"],
    ]

    created = cli("addons:create acme-postgres:standard -a demo --name acme-one --wait")
    assert created.err.startswith("Creating acme-postgres:standard on demo... ~$0.069/hour (max $50/month)\n")
    assert created.err.endswith("Creating acme-one... done\n")
    assert "Created acme-one as ACME_POSTGRES_URL\n" in created.out
    (addon,) = heroku.world.installed()
    assert (addon.name, addon.plan, addon.state) == ("acme-one", "standard", "provisioned")
    assert heroku.calls("add-on") == ["POST /heroku/resources"]
    assert f"POST /addons/{addon.id}/actions/provision" in heroku.calls("platform")

    config = cli("config -a demo")
    name, url = config.rows[1]
    assert name == "ACME_POSTGRES_URL:"
    assert cli("config:get ACME_POSTGRES_URL -a demo").out == f"{url}\n"
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (f"addon_{addon.id.replace('-', '')}",)
    assert url not in "".join(one.answer_body for one in heroku.world.exchanges)


def test_options_and_an_attachments_name_reach_the_partner_and_the_app(cli, heroku, shop):
    created = cli("addons:create acme-postgres:test -a shop --name acme-one --as MAIN -- --foo=bar --flag --n 12")
    assert created.err == "Creating acme-postgres:test on shop... free\n"
    assert "Created acme-one as MAIN_URL\n" in created.out
    asked = json.loads(heroku.exchange("POST /heroku/resources").request_body)
    assert (asked["plan"], asked["options"]) == ("test", {"foo": "bar", "flag": True, "n": "12"})
    assert list(heroku.world.config_vars(shop)) == ["MAIN_URL"]


def test_a_service_without_a_plan_is_bought_on_its_default_plan(cli, heroku, shop):
    created = cli("addons:create acme-postgres -a shop")
    (addon,) = heroku.world.installed()
    assert addon.plan == "test"
    assert f"Created {addon.name} as ACME_POSTGRES_URL\n" in created.out


def test_what_is_installed_is_listed_with_plan_price_and_state(cli, heroku, shop):
    heroku.install(shop, "standard", name="acme-big")
    heroku.install(shop, "test", name="acme-small", attachment={"name": "TRIAL"})

    of_app = cli("addons -a shop").rows
    assert ["acme-postgres", "(acme-big)", "standard", "~$0.069/hour", "$50/month", "created"] in of_app
    assert ["└─", "as", "ACME_POSTGRES"] in of_app
    assert ["acme-postgres", "(acme-small)", "test", "free", "free", "created"] in of_app
    assert ["└─", "as", "TRIAL"] in of_app
    assert cli("addons").rows[2:] == [
        ["shop", "acme-big", "acme-postgres:standard", "~$0.069/hour", "$50/month", "created"],
        ["shop", "acme-small", "acme-postgres:test", "free", "free", "created"],
    ]
    told = dict(line.split(":", 1) for line in cli("addons:info acme-small").out.splitlines() if ":" in line)
    facts = {name: value.strip() for name, value in told.items()}
    assert "GMT" in facts.pop("Installed at")
    assert facts == {
        "Plan": "acme-postgres:test",
        "Price": "free",
        "Max Price": "free",
        "Attachments": "shop::TRIAL",
        "Owning app": "shop",
        "State": "created",
    }
    assert heroku.calls("add-on") == ["POST /heroku/resources"] * 2  # looking around costs the partner nothing


def test_the_dashboard_opens_signed_in(cli, heroku, shop):
    addon = heroku.install(shop, name="acme-one")
    opened = cli("addons:open acme-one -a shop")
    url = cli.opened_url()
    assert opened.out == f"Opening {url}...\n"
    assert url.startswith(f"{heroku.url}/")
    dashboard = visit_dashboard(httpx2.get(url, trust_env=False).text)
    assert (dashboard.status_code, dashboard.url.path) == (200, f"/dashboard/{addon.id}")
    assert "acme-one" in dashboard.text
    assert "ada@example.com" in dashboard.text


def test_with_sudo_the_cli_itself_brings_the_form_to_the_browser(cli, heroku, shop):
    addon = heroku.install(shop, name="acme-one")
    cli("addons:open acme-one -a shop", HEROKU_SUDO="1")
    page = Path(unquote(urlsplit(cli.opened_url()).path))
    assert heroku.calls()[-1] == "GET /apps/shop/addons/acme-one/sso"
    dashboard = visit_dashboard(page.read_text())
    assert (dashboard.status_code, dashboard.url.path) == (200, f"/dashboard/{addon.id}")


def test_a_plan_is_changed_and_the_partner_says_so(cli, heroku, shop):
    addon = heroku.install(shop, "test", name="acme-one")
    changed = cli("addons:upgrade acme-one acme-postgres:premium")
    assert changed.out == "Your add-on is on the premium plan now.\n"
    doing = "Changing acme-one on shop from acme-postgres:test to acme-postgres:premium... done"
    assert changed.err == f"{doing}, ~$0.278/hour (max $200/month)\n"
    assert addon.plan == "premium"
    assert heroku.calls("add-on")[-1] == f"PUT /heroku/resources/{addon.id}"
    assert json.loads(heroku.exchange(f"PUT /heroku/resources/{addon.id}").request_body) == {"plan": "premium"}


def test_a_plan_that_the_partner_refuses_stays_as_it_was_and_its_reason_is_read(cli, heroku, shop):
    addon = heroku.install(shop, "test", name="acme-one")
    refused = cli("addons:upgrade acme-one acme-postgres:enormous")
    assert refused.status != 0
    assert (
        "There is no room for a database with 10000 connections at the moment: choose a smaller plan," in refused.text
    )
    assert addon.plan == "test"
    assert heroku.exchange(f"PUT /heroku/resources/{addon.id}").status == 422


def test_what_cannot_be_made_in_the_background_ends_with_a_clear_failure(cli, heroku, shop):
    failed = cli("addons:create acme-postgres:enormous -a shop --name acme-one --wait")
    assert failed.status != 0
    assert "The add-on was unable to be created, with status deprovisioned" in failed.text
    assert list(heroku.world.installed()) == []
    assert heroku.calls("platform")[-1].endswith("/actions/deprovision")
    assert cli("addons -a shop").out == "No add-ons for app shop.\n"


def test_one_database_serves_two_apps_until_it_is_detached(cli, heroku, shop):
    addon = heroku.install(shop, name="acme-one")
    lab = heroku.create_app("lab")
    attached = cli("addons:attach acme-one -a lab --as PRIMARY_DB")
    assert attached.err == (
        "Attaching acme-one as PRIMARY_DB to lab... done\n"
        "Setting PRIMARY_DB config vars and restarting lab... done, v2\n"
    )
    assert [release.description for release in lab.releases][1:] == ["Attach PRIMARY_DB (@acme-one)"]
    url = cli("config:get PRIMARY_DB_URL -a lab").out.strip()
    assert url == addon.config["ACME_POSTGRES_URL"]
    assert ["└─", "as", "ACME_POSTGRES", "on", "shop", "app"] in cli("addons -a lab").rows

    detached = cli("addons:detach PRIMARY_DB -a lab")
    assert detached.err == (
        "Detaching PRIMARY_DB to acme-one from lab... done\n"
        "Unsetting PRIMARY_DB config vars and restarting lab... done, v3\n"
    )
    assert cli("config -a lab --json").out == "{}\n"
    assert [one.app_id for one in heroku.world.attachments_of(addon)] == [shop.id]
    with psycopg.connect(url):
        pass
    assert heroku.calls("add-on") == ["POST /heroku/resources"]


def test_a_new_name_changes_nothing_else(cli, heroku, shop):
    addon = heroku.install(shop, name="acme-one")
    before = dict(addon.config)
    assert cli("addons:rename acme-one acme-two").out == "acme-one successfully renamed to acme-two.\n"
    assert (addon.name, addon.config) == ("acme-two", before)
    assert cli("addons:info acme-two").out.startswith("=== acme-two\n")
    assert "Couldn't find that add-on." in cli("addons:info acme-one").err


def test_who_removes_an_addon_must_say_so_and_then_it_is_gone(cli, heroku, shop):
    addon = heroku.install(shop, name="acme-one")
    url = addon.config["ACME_POSTGRES_URL"]
    asked = cli("addons:destroy acme-one -a shop")
    assert "To proceed, type shop or re-run this command with --confirm shop" in asked.out
    assert addon.state == "provisioned"

    removed = cli("addons:destroy acme-one -a shop --confirm shop")
    assert removed.err == "Destroying acme-one on shop... done\n"
    assert addon.state == "deprovisioned"
    assert heroku.exchange(f"DELETE /heroku/resources/{addon.id}").status == 204
    assert cli("config -a shop --json").out == "{}\n"
    assert url not in str(heroku.world.config_vars(shop))


def test_the_colleague_sees_the_same_addon_with_a_key_of_their_own(cli, heroku, shop):
    heroku.install(shop, name="acme-one")
    as_ben = tool_environment(heroku.url, heroku.ben.api_key)
    assert cli("auth:whoami", **as_ben).out == "ben@example.com\n"
    assert "You do not have access to the app shop." in cli("addons -a shop", **as_ben).text
    assert "done" in cli("access:add ben@example.com -a shop").err
    assert "acme-one" in cli("addons -a shop", **as_ben).out
