"""Webhook subscriptions, deliveries and events in the platform API, and what events are made of."""

from typing import get_args

import pytest

from app.simulator import AddOnFailed, app_config, apps, attaching, dynos
from app.simulator.world import EventKind

HOOK = {"include": ["api:app", "api:addon"], "level": "sync", "url": "http://receiver.test/hooks"}
VENDOR = "application/vnd.heroku+json; version=3"


@pytest.fixture
def as_owner(sim):
    owner = next(iter(sim.world.customers.values()))
    return {"Authorization": f"Bearer {owner.api_key}", "Accept": VENDOR}


@pytest.fixture
def subscribe(http, as_owner):
    async def create(path="/apps/shop", headers=as_owner, **fields):
        answer = await http.post(f"{path}/webhooks", json={**HOOK, **fields}, headers=headers)
        assert answer.status_code == 201, answer.text
        return answer

    return create


@pytest.fixture
def told(sim):
    """What the latest event of a kind said, of those that an app's or add-on's subscribers are told."""

    def payload(owner, include):
        events = [one for one in sim.world.webhook_events.values() if one.scope_id == owner.id]
        return next(one.payload for one in reversed(events) if one.include == include)

    return payload


async def test_an_app_webhook_is_created_with_a_secret_that_is_shown_once(http, as_owner, subscribe, sim):
    created = await subscribe()
    shop = sim.world.app("shop")
    body = created.json()
    assert body == {
        "app": {"id": shop.id, "name": "shop"},
        "created_at": "2026-05-01T12:00:00Z",
        "id": body["id"],
        "include": ["api:app", "api:addon"],
        "level": "sync",
        "updated_at": "2026-05-01T12:00:00Z",
        "url": "http://receiver.test/hooks",
    }
    secret = created.headers["heroku-webhook-secret"]
    assert len(secret) == 60
    one = await http.get(f"/apps/shop/webhooks/{body['id']}", headers=as_owner)
    listed = await http.get("/apps/shop/webhooks", headers=as_owner)
    assert one.json() == body
    assert listed.json() == [body]
    for answer in (one, listed):
        assert "heroku-webhook-secret" not in answer.headers


async def test_a_given_secret_is_not_repeated_anywhere(http, as_owner, subscribe, sim):
    created = await subscribe(secret="my-own-secret-1234", authorization="Bearer letmein-9876")
    assert "heroku-webhook-secret" not in created.headers
    pages = [created.text, (await http.get("/apps/shop/webhooks", headers=as_owner)).text]
    pages += [str(exchange) for exchange in sim.world.exchanges] + [repr(sim.world.webhooks)]
    for text in pages:
        assert "my-own-secret-1234" not in text
        assert "letmein-9876" not in text


async def test_the_made_secret_is_masked_on_its_exchange(subscribe, sim):
    secret = (await subscribe()).headers["heroku-webhook-secret"]
    exchange = sim.world.exchanges[-1]
    assert "heroku-webhook-secret" in exchange.answer_headers
    assert secret not in str(exchange)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"include": []}, "Include must be a list of at least one event type"),
        ({"include": "api:app"}, "Include must be a list of at least one event type"),
        ({"include": None}, "Include must be a list of at least one event type"),
        ({"include": ["api:app", "dyno"]}, "Include 'dyno' is not an event type"),
        ({"include": [{}]}, "is not an event type"),
        ({"level": "loud"}, "Level must be notify or sync."),
        ({"level": None}, "Level must be notify or sync."),
        ({"level": []}, "Level must be notify or sync."),
        ({"url": "receiver"}, "Url must be a full http or https address"),
        ({"url": "ftp://receiver.test/"}, "Url must be a full http or https address"),
        ({"url": "http://"}, "Url must be a full http or https address"),
        ({"url": "http://[receiver/"}, "Url must be a full http or https address"),
        ({"url": "http://receiver.test:99999/"}, "Url must be a full http or https address"),
        ({"url": "http://receiver.test/a b"}, "Url must be a full http or https address"),
        ({"url": 5}, "Url must be a full http or https address"),
        ({"url": "http://user:word@receiver.test/"}, "Url must not carry a password"),
        ({"authorization": "Bearer x\r\nX-Other: y"}, "Authorization must be a text that can be sent as a header"),
        ({"authorization": ""}, "Authorization must be a text"),
        ({"authorization": 5}, "Authorization must be a text"),
        ({"secret": ""}, "Secret must be a text of 1 to 1000 characters."),
        ({"secret": ["x"]}, "Secret must be a text of 1 to 1000 characters."),
    ],
)
async def test_a_subscription_that_cannot_be_is_refused_with_a_reason(http, as_owner, subscribe, fields, reason):
    refused = await http.post("/apps/shop/webhooks", json={**HOOK, **fields}, headers=as_owner)
    assert refused.status_code == 422
    assert refused.json()["id"] == "invalid_params"
    assert reason in refused.json()["message"]
    webhook = (await subscribe()).json()
    changed = await http.patch(f"/apps/shop/webhooks/{webhook['id']}", json=fields, headers=as_owner)
    if fields not in ({"secret": None}, {"authorization": None}):
        assert changed.status_code == 422
    assert (await http.get(f"/apps/shop/webhooks/{webhook['id']}", headers=as_owner)).json() == webhook


async def test_a_change_takes_what_is_sent_and_keeps_the_rest(http, as_owner, subscribe, sim, clock):
    path = f"/apps/shop/webhooks/{(await subscribe(secret='first-secret', authorization='Bearer a')).json()['id']}"
    clock.move(minutes=1)
    changed = await http.patch(path, json={"level": "notify", "url": "https://other.test/"}, headers=as_owner)
    assert changed.status_code == 200
    assert "heroku-webhook-secret" not in changed.headers
    assert (changed.json()["level"], changed.json()["url"]) == ("notify", "https://other.test/")
    assert changed.json()["include"] == HOOK["include"]
    assert changed.json()["updated_at"] == "2026-05-01T12:01:00Z"
    (webhook,) = sim.world.webhooks.values()
    assert (webhook.secret, webhook.authorization) == ("first-secret", "Bearer a")
    made = await http.patch(path, json={"secret": None, "authorization": None}, headers=as_owner)
    assert made.headers["heroku-webhook-secret"] == webhook.secret != "first-secret"
    assert webhook.authorization is None


async def test_a_deleted_webhook_is_returned_and_gone_with_its_deliveries(http, as_owner, subscribe, sim):
    webhook = (await subscribe()).json()
    await sim.calls.provision("shop", "basic")
    assert sim.world.webhook_deliveries
    deleted = await http.delete(f"/apps/shop/webhooks/{webhook['id']}", headers=as_owner)
    assert (deleted.status_code, deleted.json()) == (200, webhook)
    assert sim.world.webhooks == sim.world.webhook_deliveries == sim.world.webhook_events == {}
    missing = await http.get(f"/apps/shop/webhooks/{webhook['id']}", headers=as_owner)
    assert (missing.status_code, missing.json()["resource"]) == (404, "webhook")


async def test_an_addons_webhooks_are_its_partners_alone(http, as_owner, subscribe, bearer, sim):
    installed = await sim.calls.provision("shop", "basic")
    path, partner = f"/addons/{installed.id}", await bearer(installed)
    webhook = (await subscribe(path, partner)).json()
    assert webhook["addon"] == {"id": installed.id, "name": installed.name}
    for rest in ("webhooks", f"webhooks/{webhook['id']}", "webhook-deliveries", "webhook-events"):
        assert (await http.get(f"{path}/{rest}", headers=partner)).status_code == 200
        assert (await http.get(f"{path}/{rest}", headers=as_owner)).status_code == 403
        assert (await http.get(f"/apps/shop/{rest}", headers=partner)).status_code == 403
    assert (await http.get("/apps/shop/webhooks", headers=as_owner)).json() == []
    assert (await http.get(f"/apps/shop/webhooks/{webhook['id']}", headers=as_owner)).status_code == 404


async def test_a_partner_is_told_which_includes_heroku_grants_on_request(subscribe, bearer, sim, findings):
    installed = await sim.calls.provision("shop", "basic")
    headers = await bearer(installed)
    await subscribe(f"/addons/{installed.id}", headers, include=["api:release", "api:domain"])
    assert "hint: Heroku lets a partner include api:release only after being asked for it." in findings()
    assert "note: The simulator never has events of api:domain." in findings()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_there_are_no_pipelines(http, as_owner, method):
    answer = await http.request(method, "/pipelines/mine/webhooks", headers=as_owner)
    assert (answer.status_code, answer.json()["resource"]) == (404, "pipeline")


async def test_deliveries_and_events_are_listed_paged_and_filtered(http, as_owner, subscribe, sim):
    webhook = (await subscribe(include=["api:release"])).json()
    app = sim.world.app("shop")
    for number in range(5):
        sim.world.cut_release(app, f"Change {number}")
    latest = {"Range": "seq ..; order=desc,max=2", **as_owner}
    page = await http.get("/apps/shop/webhook-deliveries", headers=latest)
    assert page.status_code == 206
    following = await http.get(
        "/apps/shop/webhook-deliveries", headers={**as_owner, "Range": page.headers["next-range"]}
    )
    every = (await http.get("/apps/shop/webhook-deliveries", headers=as_owner)).json()
    assert [one["id"] for one in page.json() + following.json()] == [one["id"] for one in every][:0:-1]
    first = every[0]
    event_id = first["event"]["id"]
    assert first == {
        "created_at": "2026-05-01T12:00:00Z",
        "event": {"id": event_id, "include": "api:release"},
        "id": first["id"],
        "last_attempt": None,
        "next_attempt_at": None,
        "num_attempts": 0,
        "status": "pending",
        "updated_at": "2026-05-01T12:00:00Z",
        "webhook": {"id": webhook["id"], "level": "sync"},
    }
    assert (await http.get(f"/apps/shop/webhook-deliveries/{first['id']}", headers=as_owner)).json() == first
    event = (await http.get(f"/apps/shop/webhook-events/{event_id}", headers=as_owner)).json()
    assert event == (await http.get("/apps/shop/webhook-events", headers=as_owner)).json()[0]
    assert event.keys() == {"created_at", "id", "include", "payload", "updated_at"}
    assert event["payload"]["data"]["description"] == "Change 0"

    async def with_status(status):
        return await http.get("/apps/shop/webhook-deliveries", params={"eq[status]": status}, headers=as_owner)

    assert len((await with_status("pending")).json()) == 5
    assert (await with_status("failed")).json() == []
    assert (await with_status("skipped")).status_code == 422


@pytest.mark.parametrize("rest", ["webhooks", "webhook-deliveries", "webhook-events"])
async def test_what_is_unknown_or_anothers_is_not_found(http, as_owner, rest):
    answer = await http.get(f"/apps/shop/{rest}/0d5cb2b3-9f5f-4b5f-9d39-6b8f9a9c3b1e", headers=as_owner)
    assert answer.status_code == 404


async def test_an_event_says_what_happened_to_what_by_whom(subscribe, sim, told):
    await subscribe()
    installed = await sim.calls.provision("shop", "basic")
    await sim.calls.change_plan(installed, "premium")
    payload = told(sim.world.app("shop"), "api:addon")
    assert payload["action"] == "update"
    assert payload["resource"] == "addon"
    assert payload["version"] == "application/vnd.heroku+json; version=3"
    assert payload["data"]["plan"]["name"] == "acme-postgres:premium"
    assert payload["data"]["web_url"].startswith("http://heroku.test/")
    assert payload["previous_data"].keys() == {"plan"}
    assert payload["previous_data"]["plan"]["name"] == "acme-postgres:basic"
    owner = next(iter(sim.world.customers.values()))
    assert payload["actor"] == {"email": owner.email, "id": owner.id}


async def test_every_change_of_an_app_and_its_addon_is_told(sim, subscribe, told):
    world, shop = sim.world, sim.world.app("shop")
    ada, ben, zoe = world.customers.values()
    await subscribe(include=[f"api:{kind}" for kind in get_args(EventKind)])
    installed = await sim.calls.provision("shop", "basic")

    def latest(kind):
        payload = told(shop, f"api:{kind}")
        return payload["action"], payload["previous_data"], payload["actor"]["email"]

    assert latest("addon-attachment") == ("create", {}, ada.email)
    world.rename_addon(installed, "main-database", by_email=ben.email)
    action, previous, actor = latest("addon")
    assert (action, previous["name"] != "main-database", actor) == ("update", True, ben.email)
    apps.rename(world, shop, "bigger-shop", by=ada)
    action, previous, actor = latest("app")
    assert (action, previous["name"], actor) == ("update", "shop", ada.email)
    apps.set_maintenance(world, shop, is_on=True, by=ben)
    assert latest("app") == ("update", {"maintenance": False}, ben.email)
    apps.remove_collaborator(world, shop, zoe, by=ada)
    assert latest("collaborator") == ("destroy", {}, ada.email)
    apps.add_collaborator(world, shop, zoe, by=ada)
    assert latest("collaborator") == ("create", {}, ada.email)
    dynos.scale(world, shop, [(shop.formation[0], 2, None)], by_email=ben.email)
    assert latest("formation") == ("update", {"quantity": 1}, ben.email)
    assert latest("dyno")[0] == "create"
    dynos.scale(world, shop, [(shop.formation[0], 1, None)], by_email=ben.email)
    assert latest("dyno")[0] == "destroy"
    app_config.change(world, shop, {"LOG_LEVEL": "info"}, by_email=ben.email)
    assert latest("release") == ("create", {}, ben.email)
    await sim.calls.deprovision(installed, by_email=ben.email)
    assert latest("addon") == ("destroy", {}, ben.email)
    assert latest("addon-attachment") == ("destroy", {}, ben.email)
    await apps.delete(world, sim.calls, shop, by=ada)
    assert latest("app") == ("destroy", {}, ada.email)


async def test_a_provision_that_comes_to_nothing_is_told_from_beginning_to_end(sim, subscribe, addon, told):
    await subscribe(include=["api:addon"])
    addon.answers["POST"] = (422, {"message": "No room left."})
    with pytest.raises(AddOnFailed):
        await sim.calls.provision("shop", "basic")
    events = [one.payload for one in sim.world.webhook_events.values()]
    assert [payload["action"] for payload in events] == ["create", "destroy"]
    assert len({payload["data"]["id"] for payload in events}) == 1


async def test_provisioning_is_finished_by_the_partner(sim, http, bearer, subscribe, addon, told):
    await subscribe(include=["api:addon"])
    addon.answers["POST"] = (202, {"id": "x"})
    installed = await sim.calls.provision("shop", "basic")
    answer = await http.post(f"/addons/{installed.id}/actions/provision", headers=await bearer(installed))
    assert answer.status_code == 200
    payload = told(sim.world.app("shop"), "api:addon")
    assert (payload["action"], payload["previous_data"]["state"]) == ("update", "provisioning")
    assert payload["actor"]["email"] == "acme-postgres@addons.heroku.com"


async def test_what_a_partner_does_is_done_by_its_pseudo_user(http, subscribe, bearer, sim, told):
    await subscribe(include=["api:release"])
    installed = await sim.calls.provision("shop", "basic")
    change = {"config": [{"name": "ACME_POSTGRES_POOL", "value": "9"}]}
    answer = await http.patch(f"/addons/{installed.id}/config", json=change, headers=await bearer(installed))
    assert answer.status_code == 200
    actor = told(sim.world.app("shop"), "api:release")["actor"]
    assert actor["email"] == "acme-postgres@addons.heroku.com"
    assert len(actor["id"]) == 36


async def test_an_addon_hears_of_itself_and_its_apps_and_not_of_other_addons(subscribe, bearer, sim):
    mine = await sim.calls.provision("shop", "basic")
    every = ["api:addon", "api:addon-attachment", "api:app", "api:release"]
    await subscribe(f"/addons/{mine.id}", await bearer(mine), include=every)
    other = await sim.calls.provision("shop", "basic")
    blog = sim.world.create_app("blog")
    attaching.attach(sim.world, mine, blog)
    sim.world.cut_release(blog, "From the other app")
    events = [one.payload for one in sim.world.webhook_events.values()]
    assert {payload["data"]["id"] for payload in events if payload["resource"] == "addon"} <= {mine.id}
    assert [payload["data"]["addon"]["id"] for payload in events if payload["resource"] == "addon-attachment"] == [
        mine.id
    ]
    releases = [payload["data"]["description"] for payload in events if payload["resource"] == "release"]
    assert releases[-1] == "From the other app"
    assert any(other.name in description for description in releases)


async def test_only_what_is_included_is_told(subscribe, sim):
    await subscribe(include=["api:addon-attachment"])
    await sim.calls.provision("shop", "basic")
    assert {event.include for event in sim.world.webhook_events.values()} == {"api:addon-attachment"}


async def test_the_latest_three_hundred_deliveries_of_a_webhook_are_kept(subscribe, sim):
    await subscribe(include=["api:release"])
    app = sim.world.app("shop")
    for number in range(305):
        sim.world.cut_release(app, f"Change {number}")
    kept = [event.payload["data"]["description"] for event in sim.world.webhook_events.values()]
    assert len(sim.world.webhook_deliveries) == len(kept) == 300
    assert (kept[0], kept[-1]) == ("Change 5", "Change 304")
