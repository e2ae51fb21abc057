"""What the Heroku CLI prints when the answer is no."""

from app.simulator.tool_environment import tool_environment


def test_a_config_var_that_is_there_already_is_only_overwritten_on_request(cli, heroku, shop):
    cli("config:set ACME_POSTGRES_URL=mine -a shop")
    asked = cli("addons:create acme-postgres:test -a shop")
    assert "ACME_POSTGRES_URL" in asked.text
    assert "--confirm shop" in asked.text
    assert list(heroku.world.installed()) == []
    assert heroku.calls("add-on") == []

    created = cli("addons:create acme-postgres:test -a shop --confirm shop")
    (addon,) = heroku.world.installed()
    assert f"Created {addon.name} as ACME_POSTGRES_URL\n" in created.out
    assert heroku.world.config_vars(shop) == {"ACME_POSTGRES_URL": addon.config["ACME_POSTGRES_URL"]}

    overwritten = cli("config:set ACME_POSTGRES_URL=mine -a shop")
    assert overwritten.status != 0
    assert "Cannot overwrite attachment values ACME_POSTGRES_URL." in overwritten.text


def test_attaching_over_a_config_var_asks_first(cli, heroku, shop):
    heroku.install(shop, name="acme-one")
    lab = heroku.create_app("lab")
    cli("config:set DATA_URL=mine -a lab")
    assert "--confirm lab" in cli("addons:attach acme-one -a lab --as DATA").text
    assert heroku.world.attachments_on(lab) == []
    assert "done" in cli("addons:attach acme-one -a lab --as DATA --confirm lab").err
    assert list(heroku.world.config_vars(lab)) == ["DATA_URL"]


def test_an_unknown_key_opens_nothing(cli, heroku, shop):
    refused = cli("addons -a shop", **tool_environment(heroku.url, "HRKU-unknown"))
    assert refused.status != 0
    assert "The token provided to HEROKU_API_KEY is invalid." in refused.text
    assert "shop" not in refused.out
    last = heroku.world.exchanges[-1]
    assert (last.direction, last.status, [one.level for one in last.findings]) == ("customer", 401, ["note"])


def test_an_app_or_addon_that_is_not_there_is_not_found(cli, heroku, shop):
    assert "Couldn't find that app." in cli("config -a nowhere").text
    assert "Couldn't find that add-on." in cli("addons:info acme-nowhere").text
    assert "Couldn't find that app." in cli("addons:create acme-postgres:test -a nowhere").text
    assert list(heroku.world.installed()) == []


def test_a_plan_or_service_that_nobody_sells_cannot_be_bought(cli, heroku, shop):
    for what in ("acme-postgres:gigantic", "other-service:test"):
        refused = cli(f"addons:create {what} -a shop")
        assert refused.status != 0
        assert f'Couldn\'t find either the add-on service or the add-on plan of "{what}".' in refused.text
    assert heroku.calls("add-on") == []


def test_of_two_addons_of_a_service_the_one_that_is_meant_must_be_named(cli, heroku, shop):
    for name in ("acme-one", "acme-two"):
        heroku.install(shop, name=name)
    asked = cli("addons:destroy acme-postgres -a shop --confirm shop")
    assert asked.status != 0
    assert "Ambiguous identifier; multiple matching add-ons found: acme-one, acme-two." in asked.text
    assert len(list(heroku.world.installed())) == 2


def test_the_owners_last_attachment_stays_and_another_apps_name_confirms_nothing(cli, heroku, shop):
    addon = heroku.install(shop, name="acme-one")
    assert "ACME_POSTGRES is the only attachment of acme-one on shop" in cli("addons:detach ACME_POSTGRES -a shop").text
    wrong = cli("addons:destroy acme-one -a shop --confirm lab")
    assert "Confirmation lab did not match shop. Aborted." in wrong.text
    assert addon.state == "provisioned"


def test_a_partner_that_does_not_answer_leaves_nothing_behind(cli, heroku, shop):
    heroku.simulator.faults.add(kind="error", direction="add-on", status=503)
    failed = cli("addons:create acme-postgres:test -a shop --name acme-one")
    assert failed.status != 0
    assert "Could not communicate with vendor, please try again later" in failed.text
    assert list(heroku.world.installed()) == []
    assert "Created acme-one" in cli("addons:create acme-postgres:test -a shop --name acme-one").out


def test_a_name_that_is_taken_is_refused(cli, heroku, shop):
    heroku.install(shop, name="acme-one")
    refused = cli("addons:create acme-postgres:test -a shop --name acme-one")
    assert refused.status != 0
    assert "Name acme-one is already taken." in refused.text
    assert "Name shop is already taken." in cli("apps:create shop").text
