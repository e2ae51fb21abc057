"""What the Heroku CLI shows of an app around its add-on: webhooks, drains, logs, releases, dynos."""

import base64
import hashlib
import hmac


def test_webhooks_tell_what_happened_and_prove_who_tells_it(cli, heroku, shop, receiver):
    secret = "a-secret-of-the-receiver"
    added = cli(f"webhooks:add -a shop -i api:addon,api:release -l notify -u {receiver.url}/hook -s {secret}")
    assert "done" in added.err
    (row,) = cli("webhooks -a shop").rows[2:]
    assert row[1:] == [f"{receiver.url}/hook", "api:addon,api:release", "notify"]

    addon = heroku.install(shop, name="acme-one")
    events = {}
    while ("addon", "update") not in events or ("release", "create") not in events:
        received = receiver.next()
        signature = hmac.digest(secret.encode(), received.body, hashlib.sha256)
        assert received.headers["heroku-webhook-hmac-sha256"] == base64.b64encode(signature).decode()
        assert received.path == "/hook"
        events[received.json["resource"], received.json["action"]] = received.json
    assert events["addon", "update"]["data"]["id"] == addon.id
    assert events["addon", "update"]["data"]["state"] == "provisioned"
    assert secret not in str(events)

    deliveries = cli("webhooks:deliveries -a shop").rows[2:]
    assert {row[3] for row in deliveries} >= {"api:addon", "api:release"}
    assert {row[2] for row in deliveries} == {"succeeded"}


def test_drains_get_what_the_app_prints(cli, heroku, shop, receiver):
    added = cli(f"drains:add {receiver.url}/drain -a shop")
    assert added.out == f"Successfully added drain {receiver.url}/drain\n"
    (token,) = [drain["token"] for drain in heroku.api.get("/apps/shop/log-drains").json()]
    assert cli("drains -a shop").rows[1] == [f"{receiver.url}/drain", f"({token})"]

    cli("config:set GREETING=hello -a shop")
    frames = receiver.next()
    while b"Set GREETING config vars" not in frames.body:
        frames = receiver.next()
    assert frames.path == "/drain"
    assert frames.headers["content-type"] == "application/logplex-1"
    assert frames.headers["logplex-drain-token"] == token
    assert int(frames.headers["logplex-msg-count"]) == frames.body.count(b" app api - ") + frames.body.count(
        b" heroku "
    )
    assert b"hello" not in frames.body

    printed = cli("logs -a shop").out
    assert "app[api]: Set GREETING config vars by user ada@example.com" in printed
    removed = cli(f"drains:remove {receiver.url}/drain -a shop")
    assert removed.out == f"Successfully removed drain {receiver.url}/drain\n"
    assert heroku.api.get("/apps/shop/log-drains").json() == []


def test_releases_are_told_and_taken_back_without_touching_the_addon(cli, heroku, shop):
    addon = heroku.install(shop, name="acme-one")
    assert cli("config:set COLOUR=red -a shop").err == "Setting COLOUR and restarting shop... done, v3\n"
    lines = cli("releases -a shop").out.splitlines()
    assert lines[0] == "=== shop Releases - Current: v3"
    rows = [line.split("  ") for line in lines[4:] if line.strip()]
    told = [[word.strip() for word in row if word.strip()][:3] for row in rows]
    assert told == [
        ["v3", "Set COLOUR config vars", "ada@example.com"],
        ["v2", "Attach ACME_POSTGRES (@acme-one)", "ada@example.com"],
        ["v1", "Initial release", "ada@example.com"],
    ]
    back = cli("releases:rollback v2 -a shop")
    assert back.err.startswith("Rolling back shop to v2... done, v4\n")
    assert shop.releases[-1].description == "Rollback to v2"
    assert heroku.world.config_vars(shop) == {"ACME_POSTGRES_URL": addon.config["ACME_POSTGRES_URL"]}
    assert "undefined" not in cli("releases:info v4 -a shop").out


def test_dynos_run_with_the_newest_release(cli, heroku, shop):
    lines = cli("ps -a shop").out.splitlines()
    assert lines[0] == "=== web (Standard-1X): bin/start (1)"
    assert lines[2].startswith("web.1: ")
    assert cli("ps:scale web=2 -a shop").err == "Scaling dynos... done, now running web at 2:Standard-1X\n"
    assert [line.split(":")[0] for line in cli("ps -a shop").out.splitlines() if line.startswith("web.")] == [
        "web.1",
        "web.2",
    ]
    assert "PATCH /apps/shop/formation" in heroku.calls()


def test_apps_are_described_without_a_gap(cli, heroku, shop):
    heroku.install(shop, name="acme-one")
    told = cli("apps:info -a shop").out
    assert "Addons:         acme-postgres:test\n" in told
    assert "Owner:          ada@example.com\n" in told
    assert not {"undefined", "NaN", "null"} & set(told.replace(":", " ").split())
    assert "shop" in cli("apps").out
