"""PyPI's heroku3, the API client that scripts in Python use."""

from collections.abc import Iterator

import heroku3
import heroku3.api
import psycopg
import pytest
import requests


@pytest.fixture
def account(heroku, monkeypatch: pytest.MonkeyPatch) -> Iterator[heroku3.api.Heroku]:
    """What `heroku3.from_key` gives Ada; it has no setting for another Heroku than the real one."""
    monkeypatch.setattr(heroku3.api, "HEROKU_URL", heroku.url)
    with requests.Session() as session:
        session.trust_env = False
        yield heroku3.from_key(heroku.ada.api_key, session=session)


def test_an_addon_is_installed_upgraded_and_removed(account, heroku):
    app = account.create_app(name="scripted", region_id_or_name="us")
    addon = app.install_addon(plan_id_or_name="acme-postgres:test", config={"note": "from Python"})
    assert addon.plan.name == "acme-postgres:test"
    (known,) = heroku.world.installed()
    assert (known.id, known.state, known.options) == (addon.id, "provisioned", {"note": "from Python"})
    with psycopg.connect(app.config()["ACME_POSTGRES_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)

    addon.upgrade(plan_id_or_name="acme-postgres:standard")
    assert [one.plan.name for one in app.addons()] == ["acme-postgres:standard"]
    addon.delete()
    assert list(app.addons()) == []
    assert heroku.calls("add-on") == [
        "POST /heroku/resources",
        f"PUT /heroku/resources/{known.id}",
        f"DELETE /heroku/resources/{known.id}",
    ]


def test_config_releases_and_dynos_are_an_apps_own(account, heroku, shop):
    app = account.app("shop")
    config = app.config()
    config["COLOUR"] = "red"
    config["SIZE"] = "large"
    del config["COLOUR"]
    assert app.config().to_dict() == {"SIZE": "large"}
    assert [release.description for release in app.releases()][1:] == [
        "Set COLOUR config vars",
        "Set SIZE config vars",
        "Remove COLOUR config vars",
    ]
    app.rollback("v2")
    assert heroku.world.config_vars(shop) == {"COLOUR": "red"}
    assert shop.releases[-1].description == "Rollback to v2"

    assert [dyno.name for dyno in app.dynos()] == ["web.1"]
    app.process_formation()["web"].scale(2)
    assert {dyno.name for dyno in app.dynos()} == {"web.1", "web.2"}


def test_what_is_for_sale_and_who_asks_are_known(account, heroku, shop):
    assert account.account().email == "ada@example.com"
    assert 0 < account.ratelimit_remaining() <= 4500
    assert [service.name for service in account.addon_services()] == ["acme-postgres"]
    assert [one.name for one in account.apps()] == ["shop"]
    assert [one.user.email for one in account.app("shop").collaborators()] == ["ada@example.com"]


def test_drains_are_added_and_removed(account, heroku, shop):
    app = account.app("shop")
    drain = app.create_logdrain("http://127.0.0.1:9/drain")
    assert [one.url for one in app.logdrains()] == ["http://127.0.0.1:9/drain"]
    app.remove_logdrain(drain.id)
    assert list(app.logdrains()) == []
