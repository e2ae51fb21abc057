import base64
import re
from datetime import datetime

import pytest

from app.simulator import AddOnFailed, HerokuError

DATABASE_URL = "postgres://user:hunter2hunter2@db.example.com/one"


async def test_a_provision_request_is_herokus(sim, addon):
    installed = await sim.calls.provision("shop", "acme-postgres:basic", options={"version": "17", "fast": True})
    ((method, path, headers, body),) = addon.requests
    assert (method, path) == ("POST", "/base")
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")) == b"acme-postgres:manifest-password"
    assert headers["accept"] == "application/vnd.heroku-addons+json; version=3"
    assert headers["content-type"] == "application/json"
    grant = body.pop("oauth_grant")
    assert re.fullmatch(r"acme-postgres-[a-z]+-[1-9]\d{4}", body.pop("name"))
    assert body == {
        "uuid": installed.id,
        "plan": "basic",
        "region": "amazon-web-services::us-east-1",
        "callback_url": f"http://heroku.test/addons/{installed.id}",
        "options": {"version": "17", "fast": True},
    }
    assert grant["type"] == "authorization_code"
    expires_at = datetime.strptime(grant["expires_at"], "%Y-%m-%dT%H:%M:%S%z")
    assert (expires_at - sim.world.now()).total_seconds() == 300


async def test_heroku_keeps_no_cookie_of_an_add_on(sim, addon):
    addon.headers["Set-Cookie"] = "session=1; Path=/"
    installed = await sim.calls.provision("shop", "basic")
    await sim.calls.deprovision(installed)
    assert [(method, headers.get("cookie")) for method, _, headers, _ in addon.requests] == [
        ("POST", None),
        ("DELETE", None),
    ]


async def test_log_fields_are_sent_only_when_the_manifest_requires_them(make, addon):
    sim = make(api={"requires": ["log_input", "syslog_drain"]})
    addon.answers["POST"] = (201, {"id": "x", "log_drain_url": "https://logs.example.com/"})
    installed = await sim.calls.provision("shop", "basic")
    (body,) = addon.bodies("POST")
    assert body["log_drain_token"].startswith("d.")
    assert body["log_input_url"].startswith("http://token:t.")
    assert body["log_input_url"].endswith("@heroku.test/logs")
    (drain,) = sim.world.log_drains.values()
    assert (drain.url, drain.token, drain.addon_id) == (
        "https://logs.example.com/",
        body["log_drain_token"],
        installed.id,
    )


async def test_a_required_log_drain_url_that_is_missing_fails_the_provision(make, addon):
    sim = make(api={"requires": ["syslog_drain"]})
    with pytest.raises(AddOnFailed, match="log_drain_url"):
        await sim.calls.provision("shop", "basic")


async def test_a_synchronous_answer_releases_the_config_vars_to_the_app(sim):
    installed = await sim.calls.provision("shop", "basic")
    shop = sim.world.app("shop")
    assert installed.state == "provisioned"
    assert sim.world.config_vars(shop) == {"ACME_POSTGRES_URL": DATABASE_URL}
    assert [release.description for release in shop.releases] == [
        "Initial release",
        f"Attach ACME_POSTGRES (@{installed.name})",
    ]


async def test_a_second_addon_on_the_app_gets_a_colour(sim):
    await sim.calls.provision("shop", "basic")
    await sim.calls.provision("shop", "basic")
    _, second = sim.world.config_vars(sim.world.app("shop"))
    assert re.fullmatch(r"ACME_POSTGRES_[A-Z]+_URL", second)


async def test_a_chosen_attachment_name_replaces_the_prefix(sim):
    await sim.calls.provision("shop", "basic", attachment="PRIMARY_DB")
    assert set(sim.world.config_vars(sim.world.app("shop"))) == {"PRIMARY_DB_URL"}


async def test_an_asynchronous_answer_leaves_the_addon_provisioning(sim, addon):
    addon.answers["POST"] = (202, {"id": "mine", "message": "Soon."})
    installed = await sim.calls.provision("shop", "basic")
    assert (installed.state, installed.provider_id, installed.provision_message) == ("provisioning", "mine", "Soon.")
    assert sim.world.config_vars(sim.world.app("shop")) == {}
    assert len(sim.world.app("shop").releases) == 1


async def test_a_fast_addon_may_finish_before_its_202_arrives(sim, addon, http, bearer):
    addon.answers["POST"] = (202, {"id": "mine"})

    async def finish(body):
        headers = await bearer(sim.world.addon(body["uuid"]))
        config = {"config": [{"name": "ACME_POSTGRES_URL", "value": DATABASE_URL}]}
        await http.patch(f"/addons/{body['uuid']}/config", json=config, headers=headers)
        await http.post(f"/addons/{body['uuid']}/actions/provision", headers=headers)

    addon.before_answer = finish
    installed = await sim.calls.provision("shop", "basic")
    assert installed.state == "provisioned"
    assert sim.world.config_vars(sim.world.app("shop")) == {"ACME_POSTGRES_URL": DATABASE_URL}


async def test_a_refusal_shows_the_partners_words_and_installs_nothing(sim, addon):
    addon.answers["POST"] = (422, {"message": "Sold out."})
    with pytest.raises(AddOnFailed) as refusal:
        await sim.calls.provision("shop", "basic")
    assert refusal.value.partner_status == 422
    assert refusal.value.partner_message == "Sold out."
    assert str(refusal.value) == (
        "An error was encountered when contacting the add-on partner to create acme-postgres:basic: Sold out."
    )
    assert (sim.world.addons, sim.world.attachments, sim.world.grants) == ({}, {}, {})
    assert "Sold out." in sim.world.activity[-1].text


@pytest.mark.parametrize("status", [410, 500, 503, 401, 404])
async def test_any_other_failure_reads_as_a_vendor_who_cannot_be_reached(sim, addon, status):
    addon.answers["POST"] = (status, {"message": "Traceback: secret"})
    with pytest.raises(AddOnFailed) as failure:
        await sim.calls.provision("shop", "basic")
    assert str(failure.value) == "Could not communicate with vendor, please try again later"
    assert (failure.value.partner_status, failure.value.partner_message) == (status, None)
    assert sim.world.addons == {}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"id": "x", "config": {"OTHER_URL": "postgres://h/d"}}, "OTHER_URL is not declared"),
        ({"id": "x", "config": {"ACME_POSTGRES_URL": 5}}, "not a string"),
        ({"id": "x", "config": ["ACME_POSTGRES_URL"]}, "not a JSON object"),
        ({"config": {}}, "lacks an id"),
        ({"id": 7}, "lacks an id"),
        (["x"], "not a JSON object"),
    ],
)
async def test_an_answer_that_breaks_the_protocol_fails_the_whole_provision(sim, addon, findings, answer, reason):
    addon.answers["POST"] = (200, answer)
    with pytest.raises(AddOnFailed, match=reason):
        await sim.calls.provision("shop", "basic")
    assert reason in findings()
    assert sim.world.addons == {}


async def test_an_unknown_app_or_plan_never_reaches_the_addon(make, addon):
    sim = make(plans=[{"name": "basic"}])
    with pytest.raises(HerokuError, match="Couldn't find that app"):
        await sim.calls.provision("nowhere", "basic")
    with pytest.raises(HerokuError, match="Couldn't find either"):
        await sim.calls.provision("shop", "gold")
    assert addon.requests == []


async def test_an_app_in_a_region_the_manifest_lacks_is_refused(make, addon):
    sim = make(api={"regions": ["us"]})
    sim.world.create_app("tokyo-shop", region="tokyo")
    with pytest.raises(HerokuError, match="not available in the region tokyo"):
        await sim.calls.provision("tokyo-shop", "basic")
    assert addon.requests == []


async def test_one_app_holds_one_addon_unless_the_manifest_says_many_per_app(make):
    sim = make(api={"requires": []})
    await sim.calls.provision("shop", "basic")
    with pytest.raises(HerokuError, match="already installed"):
        await sim.calls.provision("shop", "basic")


async def test_a_bad_attachment_name_leaves_nothing_behind(sim, addon):
    with pytest.raises(HerokuError, match="capital letters"):
        await sim.calls.provision("shop", "basic", attachment="lower")
    assert (sim.world.addons, addon.requests) == ({}, [])


async def test_a_name_of_ones_own_is_used_once(sim, addon):
    await sim.calls.provision("shop", "basic", name="my-db")
    assert addon.bodies("POST")[0]["name"] == "my-db"
    with pytest.raises(HerokuError, match="already taken"):
        await sim.calls.provision("shop", "basic", name="my-db")
