import pytest

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
