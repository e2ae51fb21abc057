import base64
import json
import re

import pytest

from app.simulator.exchanges import Message, record_exchange

DATABASE_URL = "postgres://user:hunter2hunter2@db.example.com/one"


async def test_a_good_exchange_has_nothing_to_say(sim, findings, addon):
    addon.answers["POST"] = (200, {"id": "x", "config": {"ACME_POSTGRES_URL": DATABASE_URL, "ACME_POSTGRES_POOL": "1"}})
    await sim.calls.provision("shop", "basic")
    assert findings() == ""


@pytest.mark.parametrize(
    ("status", "answer", "remark"),
    [
        (200, {"id": "x", "config": {"ACME_POSTGRES_URL": "no url"}}, "problem: The value of ACME_POSTGRES_URL"),
        (200, {"id": "x", "config": {}}, "hint: Config vars of the manifest were not sent"),
        (202, {"id": "x", "config": {"ACME_POSTGRES_URL": "postgres://h/d"}}, "hint: A 202 carries no config"),
        (204, None, "problem: Answered 204"),
        (302, {}, "problem: Answered 302: Heroku follows no redirects"),
        (400, {"message": "no"}, "hint: Answered 400; 422 with a message"),
        (401, {}, "problem: Answered 401 although"),
        (406, {}, "problem: Answered 406"),
        (422, {}, "problem: A refusal needs a message"),
        (429, {}, "hint: Answered 429"),
        (500, {}, "problem: Answered 500"),
    ],
)
async def test_the_verdict_names_what_is_wrong(sim, addon, findings, http, status, answer, remark):
    addon.answers["POST"] = (status, answer)
    await http.post("/marketplace/apps/shop/addons", data={"plan": "basic"})
    assert remark in findings()


@pytest.mark.parametrize(
    ("status", "remark"), [(202, "problem: Answered 202"), (404, "hint: Answered 404"), (422, "problem: Refused")]
)
async def test_the_verdict_knows_what_a_removal_may_answer(sim, addon, findings, status, remark):
    installed = await sim.calls.provision("shop", "basic")
    addon.answers["DELETE"] = (status, {})
    await sim.calls.deprovision(installed)
    assert remark in findings()


async def test_no_secret_is_kept_in_an_exchange(sim, addon, http, bearer):
    addon.answers["PUT"] = (422, {"message": f"cannot connect to {DATABASE_URL}"})
    installed = await sim.calls.provision("shop", "basic")
    (grant,) = sim.world.grants.values()
    headers = await bearer(installed)
    await http.patch(
        f"/addons/{installed.id}/config",
        json={"config": [{"name": "ACME_POSTGRES_POOL", "value": "pool-secret"}]},
        headers=headers,
    )
    await http.get(f"/addons/{installed.id}/config", headers=headers)
    await http.post(f"/marketplace/apps/shop/addons/{installed.name}/plan", data={"plan": "premium"})
    everything = repr(sim.world.exchanges)
    secrets = [
        grant.code,
        *sim.world.access_tokens,
        *sim.world.refresh_tokens,
        "manifest-password",
        "YWNtZS1wb3N0Z3Jlczp",
        "oauth-client-secret",
        "hunter2hunter2",
        "pool-secret",
    ]
    assert len(sim.world.exchanges) == 5
    (pushed,) = [exchange for exchange in sim.world.exchanges if exchange.method == "PATCH"]
    assert "ACME_POSTGRES_POOL" in pushed.request_body
    assert [secret for secret in secrets if secret in everything] == []


async def test_the_exchanges_page_lists_both_directions_and_shows_one(sim, http, bearer):
    installed = await sim.calls.provision("shop", "basic")
    await http.get("/addons", headers=await bearer(installed))
    page = (await http.get("/marketplace/exchanges")).text
    for way in ("Heroku → add-on", "add-on → tokens", "add-on → API"):
        assert way in page
    first = re.findall(r"/marketplace/exchanges/[0-9a-f-]{36}", page)[-1]
    assert "vnd.heroku-addons+json" in (await http.get(first)).text
    assert "POST" not in (await http.get("/marketplace/exchanges?only=problems&live")).text
    assert (await http.get("/marketplace/exchanges/nothing")).status_code == 404


async def test_only_the_latest_exchanges_are_kept(sim, http):
    for _ in range(305):
        await http.get("/addons")
    assert len(sim.world.exchanges) == 300


async def test_calls_are_listed_by_their_start(sim, http, addon, token_for, clock):
    async def exchange_the_grant(body):
        clock.move(seconds=1)
        await token_for(sim.world.addon(body["uuid"]))

    addon.before_answer = exchange_the_grant
    await sim.calls.provision("shop", "basic")
    page = (await http.get("/marketplace/exchanges?live")).text
    assert page.index("add-on → tokens") < page.index("Heroku → add-on")


async def test_an_answer_that_repeats_its_request_gives_no_secret_away(sim):
    """Not the credentials as they were sent, nor a grant that has been used up, nor a token under another name."""
    addon = sim.world.install(sim.world.app("shop"), "basic", name=None, options={})
    password, salt, token = sim.world.offer.password, sim.world.offer.sso_salt, "f00dfeed" * 5
    credentials = base64.b64encode(f"{sim.world.offer.slug}:{password}".encode()).decode()
    almost = base64.b64encode(f"acme:{password[:-1]}".encode()).decode()
    sent = Message(
        {"Authorization": f"Basic {almost}", "Cookie": "s=session-0123456789"},
        json.dumps({"oauth_grant": {"code": "used-up-grant"}, "token": token}).encode(),
    )
    said = f"{credentials} {almost} {password[:-1]} session-0123456789 used-up-grant {token} {salt}"
    for body in ({"you": said}, {said: "x"}, {"config": {said: "x"}}, [said]):
        exchange = record_exchange(
            sim.world,
            direction="add-on",
            method="POST",
            url="http://addon.test/heroku/resources",
            request=sent,
            status=200,
            answer=Message({"X-Echo": said, "Content-Type": "application/json"}, json.dumps(body).encode()),
            at=sim.world.now(),
            seconds=0,
            findings=[],
            addon_id=addon.id,
        )
        kept = f"{exchange.answer_headers} {exchange.answer_body}"
        assert [secret for secret in said.split() if secret in kept] == []
