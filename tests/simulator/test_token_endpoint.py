from datetime import timedelta

import httpx2
import pytest

from app.simulator.records import AccessToken
from app.simulator.troubles import expire_access_tokens

SECRET = "oauth-client-secret"


@pytest.fixture
async def installed(sim):
    return await sim.calls.provision("shop", "basic")


@pytest.fixture
def grant(sim, installed):
    (grant,) = sim.world.grants.values()
    return {"grant_type": "authorization_code", "code": grant.code, "client_secret": SECRET}


def refresh(answer):
    return {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"], "client_secret": SECRET}


async def test_a_grant_becomes_a_token_for_eight_hours(http, grant):
    answer = await http.post("/oauth/token", data=grant)
    body = answer.json()
    assert body["access_token"].startswith("HRKU-")
    assert (body["expires_in"], body["token_type"], body["session_nonce"]) == (28800, "Bearer", None)
    assert body["refresh_token"]
    assert answer.headers["cache-control"] == "no-store"


async def test_a_grant_works_once(http, grant, findings):
    await http.post("/oauth/token", data=grant)
    again = await http.post("/oauth/token", data=grant)
    assert (again.status_code, again.json()["id"]) == (401, "unauthorized")
    assert "used before" in findings()


async def test_a_grant_lives_five_minutes(http, grant, clock):
    clock.move(minutes=5)
    answer = await http.post("/oauth/token", data=grant)
    assert (answer.status_code, "expired" in answer.json()["message"]) == (401, True)


async def test_a_wrong_client_secret_does_not_spend_the_grant(http, grant):
    wrong = await http.post("/oauth/token", data={**grant, "client_secret": "guess"})
    assert wrong.status_code == 401
    assert (await http.post("/oauth/token", data=grant)).status_code == 200


async def test_a_refresh_gives_a_new_access_token_and_the_same_refresh_token(http, grant):
    first = (await http.post("/oauth/token", data=grant)).json()
    second = (await http.post("/oauth/token", data=refresh(first))).json()
    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] == first["refresh_token"]


async def test_rotation_ends_the_old_refresh_token(sim, http, grant):
    sim.world.rotates_refresh_tokens = True
    first = (await http.post("/oauth/token", data=grant)).json()
    second = (await http.post("/oauth/token", data=refresh(first))).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert (await http.post("/oauth/token", data=refresh(first))).status_code == 401
    assert (await http.post("/oauth/token", data=refresh(second))).status_code == 200


async def test_an_access_token_ends_after_eight_hours_or_when_told(sim, http, grant, installed, clock, findings):
    first = (await http.post("/oauth/token", data=grant)).json()
    headers = {"Authorization": f"Bearer {first['access_token']}"}
    clock.move(hours=7, minutes=59)
    assert (await http.get(f"/addons/{installed.id}", headers=headers)).status_code == 200
    clock.move(minutes=1)
    assert (await http.get(f"/addons/{installed.id}", headers=headers)).status_code == 401
    assert "expired" in findings()
    second = (await http.post("/oauth/token", data=refresh(first))).json()
    expire_access_tokens(sim.world, installed)
    headers = {"Authorization": f"Bearer {second['access_token']}"}
    assert (await http.get(f"/addons/{installed.id}", headers=headers)).status_code == 401


async def test_removal_ends_grants_and_refresh_tokens(sim, http, grant, installed):
    first = (await http.post("/oauth/token", data=grant)).json()
    await sim.calls.deprovision(installed)
    assert (await http.post("/oauth/token", data=refresh(first))).status_code == 401
    assert (sim.world.grants, sim.world.access_tokens, sim.world.refresh_tokens) == ({}, {}, {})


async def test_secrets_in_the_query_work_but_are_a_problem(http, grant, findings, sim):
    assert (await http.post("/oauth/token", params=grant)).status_code == 200
    assert "query string" in findings()
    assert SECRET not in sim.world.exchanges[-1].url


async def test_an_unknown_grant_type_is_a_bad_request(http, grant):
    answer = await http.post("/oauth/token", data={**grant, "grant_type": "password"})
    assert (answer.status_code, answer.json()["id"]) == (400, "bad_request")


async def test_a_json_body_is_as_good_as_a_form(http, grant):
    first = await http.post("/oauth/token", json=grant)
    assert first.status_code == 200
    assert (await http.post("/oauth/token", json=refresh(first.json()))).status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"grant_type": "authorization_code", "code": "a-made-up-code", "client_secret": SECRET},
        {"grant_type": "refresh_token", "refresh_token": "a-made-up-token", "client_secret": SECRET},
        {"grant_type": "refresh_token", "refresh_token": "a-made-up-token", "client_secret": "a-made-up-secret"},
        {"grant_type": "authorization_code", "client_secret": SECRET},
        {},
    ],
)
async def test_a_refusal_says_why_without_quoting_what_was_sent(sim, http, fields):
    answer = await http.post("/oauth/token", data=fields)
    assert answer.status_code == 401
    assert answer.json().keys() == {"id", "message"}
    assert answer.json()["id"] == "unauthorized"
    kept = repr(sim.world.exchanges[-1])
    for secret in (SECRET, "a-made-up-code", "a-made-up-token", "a-made-up-secret"):
        assert secret not in answer.text + kept


async def test_a_reset_of_the_client_secret_ends_access_tokens_and_keeps_refresh_tokens(http, grant, installed):
    first = (await http.post("/oauth/token", data=grant)).json()
    headers = {"Authorization": f"Bearer {first['access_token']}"}
    assert (await http.get(f"/addons/{installed.id}", headers=headers)).status_code == 200
    reset = await http.post("/simulator/client-secret")
    fresh = reset.json()["client_secret"]
    assert (reset.status_code, reset.headers["cache-control"]) == (201, "no-store")
    assert fresh != SECRET
    assert (await http.get(f"/addons/{installed.id}", headers=headers)).status_code == 401
    assert (await http.post("/oauth/token", data=refresh(first))).status_code == 401
    again = await http.post("/oauth/token", data={**refresh(first), "client_secret": fresh})
    assert again.status_code == 200
    headers = {"Authorization": f"Bearer {again.json()['access_token']}"}
    assert (await http.get(f"/addons/{installed.id}", headers=headers)).status_code == 200


async def test_the_reset_secret_is_on_the_page_and_outlives_a_restart(make, tmp_path):
    path = tmp_path / "state.json"
    before = make(state_path=path)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(before.app), base_url="http://heroku.test") as http:
        assert (await http.post("/marketplace/people/client-secret")).status_code == 303
        fresh = before.world.offer.client_secret
        assert fresh in (await http.get("/marketplace/people")).text
    before.save()
    assert fresh != SECRET
    assert make(state_path=path).world.offer.client_secret == fresh
    assert make(state_path=path, client_secret=fresh).world.offer.client_secret == fresh
    given_anew = make(state_path=path, client_secret="yet-another-secret")
    assert given_anew.world.offer.client_secret == "yet-another-secret"
    assert fresh not in repr(before.world)


async def test_a_missed_grant_is_given_again_only_to_a_partner_who_may_ask(sim, http, installed, grant, clock):
    path, partner = f"/vendor/resources/{installed.id}/oauth-grant", ("acme-postgres", "manifest-password")
    clock.move(minutes=6)
    assert (await http.get(path, auth=partner)).status_code == 403
    await http.post("/marketplace/people/reissue", data={"reissues": "yes"})
    assert (await http.get(path)).status_code == 401
    assert (await http.get(path, auth=("acme-postgres", "wrong"))).status_code == 401
    again = (await http.get(path, auth=partner)).json()
    assert again.keys() == {"code", "type", "expires_at"}
    assert again["code"] not in repr(sim.world.exchanges)
    assert (await http.post("/oauth/token", data={**grant, "code": again["code"]})).status_code == 200
    await sim.calls.deprovision(installed)
    assert (await http.get(path, auth=partner)).status_code == 404


async def test_a_refused_request_for_a_token_is_recorded_with_the_add_on_it_was_about(sim, http, installed, grant):
    sim.faults.add("error", direction="tokens")
    await http.post("/oauth/token", data=grant)
    await http.post("/oauth/token", data={**grant, "client_secret": "guess"})
    assert [one.addon_id for one in sim.world.exchanges[-2:]] == [installed.id, installed.id]


async def test_tokens_live_as_long_as_the_world_says(sim, http, grant):
    sim.world.oauth.access_token_lives = timedelta(minutes=2)
    answer = (await http.post("/oauth/token", data=grant)).json()
    access = sim.world.access_tokens[answer["access_token"]]
    assert (answer["expires_in"], access.expires_at) == (120, sim.world.now() + timedelta(minutes=2))


async def test_who_refreshes_without_end_keeps_the_latest_thousand_tokens(sim, http, installed, token_for):
    first = await token_for(installed)
    for number in range(1000):
        token = f"living-{number}"
        sim.world.access_tokens[token] = AccessToken(token, installed.id, sim.world.now() + timedelta(hours=8))
    latest = (await http.post("/oauth/token", data=refresh(first))).json()["access_token"]
    assert len(sim.world.access_tokens) == 1000
    assert latest in sim.world.access_tokens
    assert "living-999" in sim.world.access_tokens
    assert first["access_token"] not in sim.world.access_tokens
