import copy

import httpx2
import pytest

PARTNER = ("acme-postgres", "manifest-password")
ADDON = "/api/v3/addons/acme-postgres"
PRODUCTION = {"base_url": "https://addon.example.com/heroku/resources", "sso_url": "https://addon.example.com/sso"}


@pytest.fixture
async def own(sim, http):
    """The HTTP client as the partner's people have it."""
    customer = next(iter(sim.world.customers.values()))
    http.headers.update({"Authorization": f"Bearer {customer.api_key}", "Accept": "application/json"})
    return http


@pytest.fixture
async def manifest(own):
    """The current manifest, fit to be pushed."""
    contents = (await own.get(f"{ADDON}/current_manifest")).json()["contents"]
    contents["api"]["production"] = dict(PRODUCTION)
    return contents


async def test_all_installs_are_listed_for_the_manifests_password(sim, http):
    one = await sim.calls.provision("shop", "basic")
    gone = await sim.calls.provision("shop", "basic")
    await sim.calls.deprovision(gone)
    (install,) = (await http.get("/api/v3/apps", auth=PARTNER)).json()
    assert install == {
        "app": {"id": one.app_id, "name": "shop"},
        "callback_url": f"http://heroku.test/addons/{one.id}",
        "name": one.name,
        "plan": "basic",
        "provider_id": one.id,
        "state": "provisioned",
        "uuid": one.id,
    }


async def test_a_long_list_of_installs_goes_on_by_its_link(sim, http):
    app = sim.world.app("shop")
    made = [sim.world.install(app, "basic", name=None, options={}).id for _ in range(1001)]
    found, address = [], "/api/v3/apps"
    while address:
        answer = await http.get(address, auth=PARTNER)
        found.extend(each["uuid"] for each in answer.json())
        address = answer.links.get("next", {}).get("url")
    assert sorted(found) == sorted(made)


@pytest.mark.parametrize("auth", [None, ("acme-postgres", "guess"), ("other", "manifest-password")])
@pytest.mark.parametrize(("method", "path"), [("GET", "/api/v3/apps"), ("POST", f"{ADDON}/usage_batches")])
async def test_programs_need_the_manifests_id_and_password(http, method, path, auth, findings):
    answer = await http.request(method, path, auth=auth)
    assert (answer.status_code, answer.json().keys()) == (401, {"error"})
    assert "problem: The manifest's id and password, sent as Basic, are missing or wrong" in findings()


async def test_manifests_are_for_people(sim, http, bearer):
    installed = await sim.calls.provision("shop", "basic")
    path = f"{ADDON}/current_manifest"
    assert (await http.get(path)).status_code == 401
    assert (await http.get(path, auth=PARTNER)).json().keys() == {"error"}
    assert (await http.get(path, headers=await bearer(installed))).status_code == 401


async def test_there_is_only_the_one_service(own, manifest):
    assert (await own.get("/api/v3/addons/other/current_manifest")).status_code == 404
    other = await own.post("/api/v3/addons/other/manifests", json={"contents": manifest})
    assert (other.status_code, other.json().keys()) == (404, {"error"})
    assert len((await own.get(f"{ADDON}/manifests")).json()) == 1


async def test_the_manifest_given_at_the_start_is_the_first_of_the_history(own):
    (first,) = (await own.get(f"{ADDON}/manifests")).json()
    assert first.keys() == {"id", "created_at"}
    info = (await own.get(f"{ADDON}/manifests/{first['id']}")).json()
    assert (info["contents"]["id"], info["contents"]["$base"]) == ("acme-postgres", 1)
    assert info == (await own.get(f"{ADDON}/current_manifest")).json()
    assert (await own.get(f"{ADDON}/manifests/unknown")).status_code == 404


async def test_a_pushed_manifest_is_kept_and_echoed_with_its_new_base(sim, own, manifest):
    answer = await own.post(f"{ADDON}/manifests", json={"contents": manifest})
    assert answer.status_code == 201
    assert answer.json()["contents"] == {**manifest, "$base": 2}
    latest, first = (await own.get(f"{ADDON}/manifests")).json()
    assert latest["id"] == answer.json()["id"] != first["id"]
    kept = repr(sim.world) + repr(sim.world.exchanges)
    assert "manifest-password" not in kept
    assert "manifest-salt" not in kept


async def test_a_pushed_password_and_salt_are_used_from_the_next_call_on(sim, own, addon, manifest):
    installed = await sim.calls.provision("shop", "basic")
    before = sim.calls.sso_form(installed)["resource_token"]
    manifest["api"] |= {"password": "a-fresh-password", "sso_salt": "a-fresh-salt"}
    assert (await own.post(f"{ADDON}/manifests", json={"contents": manifest})).status_code == 201
    await sim.calls.change_plan(installed, "premium")
    *_, (_, _, headers, _) = addon.requests
    assert httpx2.BasicAuth("acme-postgres", "a-fresh-password")._auth_header == headers["authorization"]
    assert sim.calls.sso_form(installed)["resource_token"] != before
    assert (await own.get("/api/v3/apps", auth=PARTNER)).status_code == 401
    assert (await own.get("/api/v3/apps", auth=("acme-postgres", "a-fresh-password"))).status_code == 200


async def test_pushed_config_vars_and_requirements_hold_at_once(sim, own, addon, manifest):
    addon.answers["POST"] = (200, {"id": "x", "config": {"ACME_POSTGRES_NEW": "1"}})
    manifest["api"]["config_vars"] += ["ACME_POSTGRES_NEW"]
    manifest["api"]["requires"] = ["log_input"]
    await own.post(f"{ADDON}/manifests", json={"contents": manifest})
    assert (await sim.calls.provision("shop", "basic")).config == {"ACME_POSTGRES_NEW": "1"}
    assert "log_input_url" in addon.bodies("POST")[0]


@pytest.mark.parametrize("base", [0, 2, "7", True])
async def test_a_manifest_pulled_before_anothers_push_is_a_conflict(own, manifest, base):
    answer = await own.post(f"{ADDON}/manifests", json={"contents": {**manifest, "$base": base}})
    assert answer.status_code == 409
    assert "$base is 1" in answer.json()["error"]
    for good in (1, "2"):
        answer = await own.post(f"{ADDON}/manifests", json={"contents": {**manifest, "$base": good}})
        assert answer.status_code == 201


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (["id"], "another", "cannot change"),
        (["name"], "", "name must be"),
        (["api"], [], "api must be an object"),
        (["api", "password"], "short", "8 to 72 characters"),
        (["api", "password"], "p" * 73, "8 to 72 characters"),
        (["api", "sso_salt"], None, "api.sso_salt"),
        (["api", "version"], ["3"], "api.version"),
        (["api", "config_vars"], "ACME_POSTGRES_URL", "api.config_vars must be a list"),
        (["api", "config_vars"], ["OTHER_URL"], "OTHER_URL must be in capitals and begin with ACME_POSTGRES_"),
        (["api", "config_vars"], ["ACME_POSTGRES_url"], "must be in capitals"),
        (["api", "regions"], ["eu"], "with us or *"),
        (["api", "regions"], [], "with us or *"),
        (["api", "requires"], ["miracles"], "api.requires may name"),
        (["api", "requires"], [["log_input"]], "api.requires may name"),
        (["api", "production"], None, "api.production must be an object"),
        (["api", "production", "base_url"], "http://addon.example.com", "base_url must be an https URL"),
        (["api", "production", "sso_url"], "https://[::1", "sso_url must be an https URL"),
    ],
)
async def test_a_manifest_that_cannot_be_is_refused_with_its_reasons(sim, own, manifest, place, value, reason):
    changed = copy.deepcopy(manifest)
    *outer, last = place
    part = changed
    for name in outer:
        part = part[name]
    part[last] = value
    answer = await own.post(f"{ADDON}/manifests", json={"contents": changed})
    assert answer.status_code == 422
    assert reason in " ".join(answer.json()["error"]["base"])
    assert len(sim.world.portal.manifests) == 1


@pytest.mark.parametrize("body", [{}, {"contents": None}, {"contents": "text"}])
async def test_a_push_without_a_manifest_is_refused(own, body):
    answer = await own.post(f"{ADDON}/manifests", json=body)
    assert answer.json() == {"error": {"base": ["The manifest must be a JSON object."]}}


async def test_a_pushed_manifest_outlives_a_restart_until_another_is_given(make, tmp_path):
    path = tmp_path / "state.json"
    before = make(state_path=path)
    headers = {"Authorization": f"Bearer {next(iter(before.world.customers.values())).api_key}"}
    transport = httpx2.ASGITransport(before.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://heroku.test", headers=headers) as http:
        manifest = (await http.get(f"{ADDON}/current_manifest")).json()["contents"]
        manifest["api"] |= {"password": "a-fresh-password", "production": PRODUCTION}
        assert (await http.post(f"{ADDON}/manifests", json={"contents": manifest})).status_code == 201
    before.save()
    after = make(state_path=path)
    assert after.world.offer.password == "a-fresh-password"
    given_anew = make(state_path=path, api={"password": "given-at-the-start"})
    assert given_anew.world.offer.password == "given-at-the-start"
    assert [one.number for one in given_anew.world.portal.manifests] == [1, 2, 3]


def usage(addon_id, unit="nibbles", quantity=5):
    return {"quantity": quantity, "resource": {"id": addon_id}, "unit": {"name": unit}}


async def test_usage_of_the_previous_hour_is_taken_once(sim, http):
    one = await sim.calls.provision("shop", "basic")
    batch = {"timestamp": "2026-05-01T11:00:00Z", "usages": [usage(one.id), usage(one.id), usage(one.id, "bits", 0.5)]}
    answer = await http.post(f"{ADDON}/usage_batches", json=batch, auth=PARTNER)
    body = answer.json()
    assert (answer.status_code, body["timestamp"]) == (202, "2026-05-01T11:00:00Z")
    assert [each["status"] for each in body["usages"]] == ["accepted", "rejected", "accepted"]
    assert body["usages"][0] == {**usage(one.id), "id": body["usages"][0]["id"], "status": "accepted"}
    assert body["usages"][1]["errors"] == {"unit": ["was reported for this resource and hour already"]}
    again = await http.post(f"{ADDON}/usage_batches", json=batch, auth=PARTNER)
    assert {each["status"] for each in again.json()["usages"]} == {"rejected"}
    assert [(one.unit, one.quantity) for one in sim.world.portal.usages] == [("nibbles", 5), ("bits", 0.5)]


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"quantity": -1}, "quantity"),
        ({"quantity": "5"}, "quantity"),
        ({"quantity": True}, "quantity"),
        ({"resource": {"id": "unknown"}}, "resource"),
        ({"resource": None}, "resource"),
        ({"unit": {}}, "unit"),
        ({"unit": "nibbles"}, "unit"),
    ],
)
async def test_bad_usage_is_rejected_by_itself(sim, http, raw, field):
    one = await sim.calls.provision("shop", "basic")
    usages = [{**usage(one.id), **raw}, usage(one.id, "bits"), "nonsense"]
    batch = {"timestamp": "2026-05-01T11:00:00Z", "usages": usages}
    body = (await http.post(f"{ADDON}/usage_batches", json=batch, auth=PARTNER)).json()
    assert [each["status"] for each in body["usages"]] == ["rejected", "accepted", "rejected"]
    assert field in body["usages"][0]["errors"]


@pytest.mark.parametrize(
    "batch",
    [
        {},
        {"timestamp": "2026-05-01T12:00:00Z", "usages": [{}]},
        {"timestamp": "2026-05-01T10:00:00Z", "usages": [{}]},
        {"timestamp": "2026-05-01T11:00:00+00:00", "usages": [{}]},
        {"timestamp": "2026-05-01T11:00:00Z", "usages": []},
        {"timestamp": "2026-05-01T11:00:00Z", "usages": {}},
    ],
)
async def test_a_batch_for_another_hour_or_of_nothing_is_refused(sim, http, batch):
    answer = await http.post(f"{ADDON}/usage_batches", json=batch, auth=PARTNER)
    assert (answer.status_code, answer.json().keys()) == (422, {"error"})
    assert sim.world.portal.usages == []
