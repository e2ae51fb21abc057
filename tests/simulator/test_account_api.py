"""The caller's account, and what everybody may read."""


async def test_a_person_reads_their_own_account(sim, ask):
    account = (await ask("GET", "/account")).json()
    assert (account["email"], account["name"]) == ("ada@example.com", "Ada Owner")
    assert account["default_team"] is None
    for who in ("~", account["id"], "ada@example.com"):
        assert (await ask("GET", f"/users/{who}")).json() == account
    assert (await ask("GET", "/users/ben@example.com")).status_code == 403
    assert (await ask("GET", "/users/nobody@example.com")).status_code == 404


async def test_the_calls_that_are_left_are_told(ask):
    answer = await ask("GET", "/account/rate-limits")
    assert answer.json() == {"remaining": 4499}
    assert answer.headers["ratelimit-remaining"] == "4499"


async def test_nobody_has_teams_or_pipelines(ask):
    for path in ("/teams", "/pipelines", "/pipeline-couplings", "/users/~/pipeline-couplings", "/account/features"):
        assert (await ask("GET", path)).json() == []
    for path in ("/teams/acme", "/teams/acme/members"):
        assert (await ask("GET", path)).json()["resource"] == "team"
    for path in ("/pipelines/acme", "/pipelines/acme/pipeline-couplings"):
        assert (await ask("GET", path)).json()["resource"] == "pipeline"


async def test_an_addons_token_is_no_person(sim, http, bearer):
    headers = await bearer(await sim.calls.provision("shop", "basic"))
    for path in ("/account", "/account/rate-limits", "/users/~", "/users/~/apps", "/teams", "/pipelines"):
        assert (await http.get(path, headers=headers)).status_code == 403
    assert (await http.post("/apps", headers=headers)).status_code == 403


async def test_regions_are_open_to_everybody(http):
    regions = {one["name"]: one for one in (await http.get("/regions")).json()}
    assert regions["us"]["provider"] == {"name": "amazon-web-services", "region": "us-east-1"}
    assert (regions["us"]["private_capable"], regions["tokyo"]["private_capable"]) == (False, True)
    assert (await http.get(f"/regions/{regions['eu']['id']}")).json() == regions["eu"]
    assert (await http.get("/regions/mars")).json()["resource"] == "region"


async def test_an_apps_region_and_stack_are_those_of_the_lists(http, ask):
    app = (await ask("GET", "/apps/shop")).json()
    assert (await http.get(f"/regions/{app['region']['id']}")).json()["name"] == "us"
    stack = (await http.get(f"/stacks/{app['stack']['id']}")).json()
    assert (stack["name"], stack["default"]) == (app["stack"]["name"], True)
    assert len((await ask("GET", "/apps/shop/available-stacks")).json()) == len((await http.get("/stacks")).json())
    assert (await http.get("/stacks/cedar-14")).status_code == 404
