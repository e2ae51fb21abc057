import asyncio
from datetime import timedelta

import httpx2
import pytest
from starlette.routing import Route

from app.simulator import platform_api
from app.simulator.oauth.authorizations import authorize

ACCEPT = {"Accept": "application/vnd.heroku+json; version=3"}
AUTHORIZATION = {
    "access_token", "client", "created_at", "description", "grant", "id", "refresh_token", "scope", "session",
    "updated_at", "user",
}  # fmt: skip
CLIENT = {"created_at", "id", "ignores_delinquent", "name", "redirect_uri", "secret", "updated_at"}


def with_token(token):
    return {**ACCEPT, "Authorization": f"Bearer {token}"}


@pytest.fixture
def ada(sim):
    return next(iter(sim.world.customers.values()))


@pytest.fixture
def ben(sim):
    return list(sim.world.customers.values())[1]


@pytest.fixture
async def own(http, ada):
    """The HTTP client as Ada's tools have it."""
    http.headers.update(with_token(ada.api_key))
    return http


async def test_an_authorization_is_made_listed_changed_and_revoked(own, ada):
    made = await own.post("/oauth/authorizations", json={"description": "For CI", "scope": ["read"]})
    one = made.json()
    assert made.status_code == 201
    assert one.keys() == AUTHORIZATION
    assert one["access_token"].keys() == {"expires_in", "id", "token"}
    assert (one["access_token"]["expires_in"], one["scope"], one["description"]) == (None, ["read"], "For CI")
    assert one["user"] == {"id": ada.id, "email": ada.email, "full_name": ada.name}
    path = f"/oauth/authorizations/{one['id']}"
    changed = (await own.patch(path, json={"description": "For nothing"})).json()
    assert changed["description"] == "For nothing"
    listed = (await own.get("/oauth/authorizations")).json()
    assert [each["description"] for each in sorted(listed, key=lambda each: each["description"])] == [
        "API key",
        "For nothing",
    ]
    assert (await own.delete(path)).json()["id"] == one["id"]
    assert (await own.get(path)).json()["resource"] == "authorization"
    assert (await own.get("/apps", headers=with_token(one["access_token"]["token"]))).status_code == 401


async def test_a_token_of_an_authorization_works_until_it_expires(own, ada, clock):
    answer = await own.post("/oauth/authorizations", json={"expires_in": "60"})
    token = answer.json()["access_token"]
    assert token["expires_in"] == 60
    assert (await own.get("/account", headers=with_token(token["token"]))).json()["email"] == ada.email
    clock.move(seconds=59)
    assert (await own.get("/account", headers=with_token(token["token"]))).status_code == 200
    clock.move(seconds=1)
    assert (await own.get("/account", headers=with_token(token["token"]))).status_code == 401
    assert len((await own.get("/oauth/authorizations")).json()) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"expires_in": 0},
        {"expires_in": "soon"},
        {"expires_in": 10**30},
        {"scope": "global"},
        {"scope": ["everything"]},
        {"scope": [1]},
        {"description": 7},
    ],
)
async def test_an_authorization_that_cannot_be_is_refused(sim, own, body):
    answer = await own.post("/oauth/authorizations", json=body)
    assert (answer.status_code, answer.json()["id"]) == (422, "invalid_params")
    assert sim.world.oauth.authorizations == {}


async def test_regenerating_ends_the_old_token_and_begins_its_life_anew(own, clock):
    one = (await own.post("/oauth/authorizations", json={"expires_in": 60})).json()
    clock.move(seconds=30)
    await own.patch(f"/oauth/authorizations/{one['id']}", json={"description": "Other"})
    path = f"/oauth/authorizations/{one['id']}/actions/regenerate-tokens"
    fresh = (await own.post(path)).json()["access_token"]
    assert fresh["token"] != one["access_token"]["token"]
    assert fresh["expires_in"] == 60
    assert (await own.get("/account", headers=with_token(one["access_token"]["token"]))).status_code == 401
    assert (await own.get("/account", headers=with_token(fresh["token"]))).status_code == 200


async def test_the_api_key_is_the_authorization_that_everybody_has(own, ada):
    key = (await own.get("/oauth/authorizations/~")).json()
    assert key["access_token"]["token"] == ada.api_key
    assert (await own.delete(f"/oauth/authorizations/{key['id']}")).status_code == 403
    assert (await own.patch("/oauth/authorizations/~", json={"description": "x"})).status_code == 422
    old = ada.api_key
    fresh = (await own.post("/oauth/authorizations/~/actions/regenerate-tokens")).json()["access_token"]["token"]
    assert ada.api_key == fresh != old
    assert (await own.get("/account")).status_code == 401


async def test_a_password_logs_in_and_the_token_logs_out(http, ada, ben):
    body = {"description": "Heroku CLI login from here", "expires_in": 2592000, "scope": ["global"]}
    http.headers.update(ACCEPT)
    for wrong in ((ada.email, "guess"), (ben.email, ada.api_key)):
        assert (await http.post("/oauth/authorizations", json=body, auth=wrong)).status_code == 401
    made = (await http.post("/oauth/authorizations", json=body, auth=(ada.email, ada.api_key))).json()
    headers = with_token(made["access_token"]["token"])
    session = await http.delete("/oauth/sessions/~", headers=headers)
    assert (session.status_code, session.json()["id"], session.json()["resource"]) == (404, "not_found", "session")
    assert (await http.delete(f"/oauth/authorizations/{made['id']}", headers=headers)).status_code == 200
    assert (await http.get("/account", headers=headers)).status_code == 401


async def test_another_persons_authorizations_and_clients_are_not_found(own, ben):
    one = (await own.post("/oauth/authorizations", json={})).json()
    client = (await own.post("/oauth/clients", json={"name": "A", "redirect_uri": "https://a.example.com"})).json()
    own.headers.update(with_token(ben.api_key))
    assert (await own.get(f"/oauth/authorizations/{one['id']}")).status_code == 404
    assert (await own.delete(f"/oauth/authorizations/{one['id']}")).status_code == 404
    assert (await own.delete(f"/oauth/clients/{client['id']}")).status_code == 404
    assert (await own.get("/oauth/clients")).json() == []
    assert "secret" not in (await own.get(f"/oauth/clients/{client['id']}")).json()


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("global", {"account", "apps", "config", "create", "set", "tokens"}),
        ("identity", {"account"}),
        ("read", {"account", "apps"}),
        ("read-protected", {"account", "apps", "config"}),
        ("write", {"account", "apps", "create"}),
        ("write-protected", {"account", "apps", "config", "create", "set"}),
    ],
)
async def test_a_token_may_do_what_its_scope_says(sim, http, ada, scope, allowed):
    http.headers.update(with_token(authorize(sim.world, ada, "A tool", scope=[scope]).token))
    answers = {
        "account": await http.get("/account"),
        "apps": await http.get("/apps"),
        "config": await http.get("/apps/shop/config-vars"),
        "create": await http.post("/apps", json={"name": "billing"}),
        "set": await http.patch("/apps/shop/config-vars", json={"COLOUR": "red"}),
        "tokens": await http.get("/oauth/authorizations"),
    }
    assert {name for name, answer in answers.items() if answer.is_success} == allowed
    assert {answer.status_code for name, answer in answers.items() if name not in allowed} <= {403}


async def test_a_client_is_made_listed_changed_rotated_and_deleted(sim, own):
    body = {"name": "Amazing", "redirect_uri": "https://amazing.example.com/callback"}
    made = await own.post("/oauth/clients", json=body)
    client = made.json()
    assert (made.status_code, client.keys()) == (201, CLIENT)
    path = f"/oauth/clients/{client['id']}"
    assert (await own.get(path)).json() == client
    assert (await own.patch(path, json={"name": "Better"})).json()["name"] == "Better"
    rotated = (await own.post(f"{path}/actions/rotate-credentials")).json()
    assert rotated["secret"] != client["secret"]
    assert [each["name"] for each in (await own.get("/oauth/clients")).json()] == ["Better"]
    authorization = (await own.post("/oauth/authorizations", json={})).json()
    set_client = {"client": {"id": client["id"], "secret": client["secret"]}}
    one = f"/oauth/authorizations/{authorization['id']}"
    assert (await own.patch(one, json=set_client)).status_code == 401
    set_client["client"]["secret"] = rotated["secret"]
    assert (await own.patch(one, json=set_client)).json()["client"] == {
        "id": client["id"],
        "name": "Better",
        "redirect_uri": body["redirect_uri"],
    }
    assert (await own.delete(path)).status_code == 200
    assert (await own.get(path)).json()["resource"] == "client"
    assert sim.world.oauth.authorizations == {}
    for secret in (client["secret"], rotated["secret"], authorization["access_token"]["token"]):
        assert secret not in repr(sim.world)


async def test_anyone_may_read_a_client_but_not_its_secret(own):
    client = (await own.post("/oauth/clients", json={"name": "A", "redirect_uri": "http://localhost:1/x"})).json()
    del own.headers["Authorization"]
    assert (await own.get(f"/oauth/clients/{client['id']}")).json().keys() == CLIENT - {"secret"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": " ", "redirect_uri": "https://a.example.com"},
        {"name": "A"},
        {"name": "A", "redirect_uri": "http://a.example.com"},
        {"name": "A", "redirect_uri": "javascript:alert(1)"},
        {"name": "A", "redirect_uri": "https://[::1"},
    ],
)
async def test_a_client_that_cannot_be_is_refused(sim, own, body):
    assert (await own.post("/oauth/clients", json=body)).status_code == 422
    assert sim.world.oauth.clients == {}


async def test_the_command_line_logs_in_through_the_browser(sim, http, ada):
    begun = (await http.post("/auth", json={"description": "Heroku CLI login from here"})).json()
    assert begun.keys() == {"browser_url", "cli_url", "token"}
    command_line = {"Authorization": f"Bearer {begun['token']}"}
    assert (await http.get(begun["cli_url"], headers=command_line)).status_code == 503
    assert (await http.get(begun["cli_url"], headers={"Authorization": "Bearer guess"})).status_code == 401
    assert "Heroku CLI login from here" in (await http.get(begun["browser_url"])).text
    decided = await http.post(begun["browser_url"], data={"person": ada.id})
    assert decided.status_code == 303
    assert (await http.get(decided.headers["location"])).status_code == 200
    token = (await http.get(begun["cli_url"], headers=command_line)).json()["access_token"]
    assert (await http.get("/account", headers=with_token(token))).json()["email"] == ada.email
    assert (await http.get(begun["cli_url"], headers=command_line)).status_code == 404
    listed = (await http.get("/oauth/authorizations", headers=with_token(token))).json()
    assert {each["description"] for each in listed} >= {"Heroku CLI login from here"}
    assert token not in repr(sim.world.exchanges)


async def test_the_command_line_waits_for_the_person(make):
    async def never(seconds):
        await asyncio.Event().wait()

    sim = make(sleep=never)
    person = next(iter(sim.world.customers))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(sim.app), base_url="http://heroku.test") as http:
        begun = (await http.post("/auth", json={})).json()
        headers = {"Authorization": f"Bearer {begun['token']}"}
        waiting = asyncio.create_task(http.get(begun["cli_url"], headers=headers))
        await asyncio.sleep(0)
        await http.post(begun["browser_url"], data={"person": person})
        assert (await waiting).json().keys() == {"access_token"}


async def test_a_cancelled_login_is_told_and_cannot_be_undone(sim, http, ada):
    begun = (await http.post("/auth")).json()
    await http.post(begun["browser_url"], data={"person": ""})
    await http.post(begun["browser_url"], data={"person": ada.id})
    answer = await http.get(begun["cli_url"], headers={"Authorization": f"Bearer {begun['token']}"})
    assert answer.json() == {"error": "The login was cancelled."}
    assert sim.world.oauth.authorizations == {}


async def test_a_login_as_nobody_known_and_an_unknown_login_are_refused(http):
    begun = (await http.post("/auth")).json()
    assert (await http.post(begun["browser_url"], data={"person": "nobody"})).status_code == 422
    assert (await http.get("/marketplace/login/unknown")).status_code == 404


async def test_authorizations_survive_a_restart(make, tmp_path):
    path = tmp_path / "state.json"
    before = make(state_path=path)
    customer = next(iter(before.world.customers.values()))
    made = authorize(before.world, customer, "For CI", lives=timedelta(hours=1))
    before.save()
    assert make(state_path=path).world.oauth.authorizations == {made.id: made}


def _routes():
    return [
        (method, route.path)
        for route in platform_api.routes()
        if isinstance(route, Route)
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]


@pytest.mark.parametrize(("method", "path"), _routes())
async def test_a_resources_token_sees_nothing_of_another_resource_at_any_endpoint(sim, http, bearer, method, path):
    await sim.calls.provision("shop", "basic", name="own-db")
    strange_app = sim.world.create_app("strange-app")
    strange = await sim.calls.provision("strange-app", "premium", name="strange-db")
    headers = await bearer(sim.world.addon("own-db"))
    (attachment,) = sim.world.attachments_on(strange_app)

    def told():
        return repr((strange, strange.config, attachment, strange_app, sim.world.webhooks))

    before = told()
    secret_value = next(iter(strange.config.values()))
    telling = {strange.id, strange.name, strange_app.id, strange_app.name, attachment.id, secret_value}
    for refs in (
        {"app": strange_app.name, "addon": strange.name, "attachment": attachment.name},
        {"app": strange_app.id, "addon": strange.id, "attachment": attachment.id},
        {"app": "shop", "addon": strange.id, "attachment": attachment.id},
    ):
        filled = path.replace(":path}", "}")
        for name, value in {**refs, "user": "~"}.items():
            filled = filled.replace(f"{{{name}}}", value)
        while "{" in filled:
            start, end = filled.index("{"), filled.index("}")
            filled = f"{filled[:start]}{strange.id}{filled[end + 1 :]}"
        body = None
        if method in {"POST", "PUT", "PATCH"}:
            asked = {"addon": strange.id, "app": refs["app"], "addon_attachment": attachment.name}
            body = {**asked, "in": {"id": [strange_app.id]}, "plan": "basic", "url": "https://evil.example.com"}
        answer = await http.request(method, filled, headers=headers, json=body)
        sent = f"{filled} {body}"  # what was asked for may be named in the answer
        assert [ref for ref in telling if ref in answer.text and ref not in sent] == [], (filled, answer.text)
    assert told() == before
