"""The partner API as Heroku calls it. Facts: https://devcenter.heroku.com/articles/add-on-partner-api-reference"""

import asyncio
import base64
import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from rig import PASSWORD, PREVIOUS_PASSWORD, Rig, provision_body

from app.resources import lifecycle

# Of no resource. Made once and for all: every process must find the same tests.
UNKNOWN = "5f0c8a52-0c52-4ae5-9a1f-3c1f6f2f7a10"

VENDOR = "application/vnd.heroku-addons+json; version=3"


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class TestAuthentication:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Authorization": ""},
            basic("wrong", "secret"),
            basic("acme-postgres", "wrong"),
            basic("wrong", PASSWORD),
            basic("acme-postgres", PASSWORD[:-1]),
            basic("acme-postgres", PASSWORD + "x"),
            basic("acme-postgres", ""),
            basic("", ""),
            {"Authorization": "Basic ???"},
            {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:x").decode()},
            {"Authorization": f"Bearer {PASSWORD}"},
        ],
    )
    async def test_everything_without_the_right_credentials_gets_401_and_changes_nothing(self, key_rig: Rig, headers):
        body = provision_body()
        path = f"/heroku/resources/{body['uuid']}"
        for method, address, content in (
            ("POST", "/heroku/resources", body),
            ("PUT", path, {"plan": "premium"}),
            ("DELETE", path, None),
        ):
            answer = await key_rig.http.request(method, address, json=content, headers=headers)
            assert answer.status_code == 401, method
            assert answer.json()["id"] == "unauthorized"
            assert answer.headers["WWW-Authenticate"].startswith("Basic")
        assert await key_rig.jobs() == []

    async def test_the_previous_password_works_during_a_rotation(self, key_rig: Rig):
        for password in (PASSWORD, PREVIOUS_PASSWORD):
            answer = await key_rig.http.post(
                "/heroku/resources", json=provision_body(), headers=basic("acme-postgres", password)
            )
            assert answer.status_code == 200

    async def test_a_password_of_72_bytes_with_a_colon_works(self, make_rig):
        password = "colon:" + "p" * 66
        async with make_rig(addon_password=password).running() as rig:
            answer = await rig.http.post(
                "/heroku/resources", json=provision_body(), headers=basic("acme-postgres", password)
            )
        assert answer.status_code == 200

    async def test_wrong_credentials_get_401_also_for_a_resource_that_is_gone(self, key_rig: Rig):
        body = provision_body()
        await key_rig.heroku.post("", json=body)
        await key_rig.heroku.delete(f"/{body['uuid']}")
        answer = await key_rig.http.delete(f"/heroku/resources/{body['uuid']}", headers=basic("a", "b"))
        assert answer.status_code == 401


class TestProvision:
    async def test_an_instant_plan_answers_200_with_config_and_the_uuid_as_id(self, key_rig: Rig):
        body = provision_body(plan="test")
        answer = await key_rig.heroku.post("", json=body)
        assert answer.status_code == 200
        assert answer.json()["id"] == body["uuid"]
        assert set(answer.json()["config"]) == {"ACME_POSTGRES_URL"}
        assert (await key_rig.resource(body["uuid"])).state == "provisioned"

    async def test_another_plan_answers_202_without_config(self, key_rig: Rig):
        body = provision_body(plan="standard")
        answer = await key_rig.heroku.post("", json=body)
        assert answer.status_code == 202
        assert answer.json()["id"] == body["uuid"]
        assert "config" not in answer.json()
        assert "provisioned" in answer.json()["message"]

    @pytest.mark.parametrize("plan", ["test", "standard"])
    async def test_a_repeated_request_gets_the_very_same_bytes(self, key_rig: Rig, plan):
        body = provision_body(plan=plan)
        first = await key_rig.heroku.post("", json=body)
        jobs = await key_rig.jobs()
        second = await key_rig.heroku.post("", json=body)
        assert (second.status_code, second.content) == (first.status_code, first.content)
        assert await key_rig.jobs() == jobs

    async def test_a_repeated_request_after_the_background_work_gets_200_and_the_same_config_as_heroku(
        self, key_rig: Rig
    ):
        app = key_rig.simulator.world.create_app("demo")
        addon = await key_rig.simulator.calls.provision(app.name, "standard")
        await key_rig.work()
        answer = await key_rig.heroku.post("", json=provision_body(uuid=addon.id, plan="standard"))
        assert answer.status_code == 200
        assert answer.json()["config"] == await key_rig.config(addon.id)

    async def test_a_request_after_the_deprovision_gets_410_and_makes_nothing(self, key_rig: Rig):
        body = provision_body()
        await key_rig.heroku.post("", json=body)
        await key_rig.heroku.delete(f"/{body['uuid']}")
        await key_rig.work()
        answer = await key_rig.heroku.post("", json=body)
        assert answer.status_code == 410
        assert (await key_rig.resource(body["uuid"])).state == "deprovisioned"
        assert await key_rig.jobs() == []

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"plan": "golden"}, "golden"),
            ({"region": "amazon-web-services::ap-south-1"}, "region"),
            ({"region": "moon::sea-of-tranquility"}, "region"),
        ],
    )
    async def test_what_is_not_sold_gets_422_with_a_sentence_for_the_customer(self, key_rig: Rig, changes, words):
        body = provision_body(**changes)
        answer = await key_rig.heroku.post("", json=body)
        assert answer.status_code == 422
        assert words in answer.json()["message"]
        assert answer.json()["message"].endswith(".")
        assert (await key_rig.heroku.delete(f"/{body['uuid']}")).status_code == 410

    @pytest.mark.parametrize(
        "changes",
        [
            {"oauth_grant": None},
            {"oauth_grant": ...},
            {"options": None},
            {"options": ...},
            {"options": {"foo": True, "bar": {"deep": [1, 2.5, None]}}},
            {"name": ...},
            {"callback_url": None},
            {"log_input_url": None, "log_drain_token": None},
            {"log_input_url": "https://token:t.1@1.us.logplex.io/logs", "log_drain_token": "d.123"},
            {"something_new": {"of": "Heroku's"}},
            {"region": "amazon-web-services::eu-west-1"},
        ],
    )
    async def test_absent_null_and_unknown_fields_are_fine(self, key_rig: Rig, changes):
        answer = await key_rig.heroku.post("", json=provision_body(**changes))
        assert answer.status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"Accept": VENDOR, "Content-Type": VENDOR},
            {"Accept": "text/html", "Content-Type": "text/plain"},
            {"Accept": "application/json; charset=utf-8", "Content-Type": "application/json; charset=utf-8"},
            {"Accept": "image/png;q=0.1"},
        ],
    )
    async def test_any_accept_and_content_type_will_do(self, key_rig: Rig, headers):
        answer = await key_rig.heroku.post("", content=json.dumps(provision_body()), headers=headers)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "application/json"

    @pytest.mark.parametrize(
        ("content", "status"),
        [
            (b"", 400),
            (b"not json", 400),
            (b"[]", 400),
            (b"null", 400),
            (b'"text"', 400),
            (b"{}", 400),
            (b"\xff\xfe{}", 400),
            (b'{"uuid": "x", "plan": "test"}', 400),
            (json.dumps(provision_body(uuid=5)).encode(), 400),
            (json.dumps(provision_body(plan=5)).encode(), 400),
            (json.dumps(provision_body(plan=None)).encode(), 400),
            (json.dumps(provision_body(plan="")).encode(), 400),
            (json.dumps(provision_body(plan="p" * 300)).encode(), 400),
            (json.dumps(provision_body(plan=["test"])).encode(), 400),
            (json.dumps(provision_body(region=...)).encode(), 200),
            (json.dumps(provision_body(options=[1])).encode(), 400),
            (json.dumps(provision_body(options="text")).encode(), 400),
            (json.dumps(provision_body(oauth_grant="text")).encode(), 400),
            (json.dumps(provision_body(oauth_grant={"code": 7})).encode(), 400),
            (json.dumps(provision_body(name="nul\0")).encode(), 400),
            (json.dumps(provision_body(options={"a": "\0"})).encode(), 400),
            (json.dumps(provision_body(options={"\0": "a"})).encode(), 400),
            (json.dumps(provision_body(name="\ud800")).encode(), 400),
            (json.dumps(provision_body(options={"a": float("nan")})).encode(), 400),
            (b'{"uuid": "01234567-89ab-cdef-0123-456789abcdef", "plan": "test", "options": {"n": 1e999}}', 400),
            (json.dumps(provision_body()).encode().replace(b'"bar"', b"9" * 5000), 400),
            (b'{"uuid": "01234567-89ab-cdef-0123-456789abcdef", "plan": "test", "plan": "premium"}', 400),
            (b"[" * 30_000, 400),
            (json.dumps(provision_body(options={"a": json.loads("[" * 40 + "]" * 40)})).encode(), 400),
            (b" " * 70_000, 413),
            (json.dumps(provision_body(name="n" * 65_600)).encode(), 413),
        ],
    )  # fmt: skip
    async def test_bodies_that_cannot_be_read_get_4xx_and_a_sentence(self, key_rig: Rig, content, status):
        answer = await key_rig.heroku.post("", content=content)
        assert answer.status_code == status
        if status != 200:
            assert answer.json()["message"].endswith(".")
            assert await key_rig.jobs() == []

    async def test_a_new_grant_in_a_repeated_request_is_kept_while_there_are_no_tokens(self, key_rig: Rig):
        body = provision_body(plan="standard")
        await key_rig.heroku.post("", json=body)
        newer = body | {"oauth_grant": {"code": "the-newer-one"}}
        await key_rig.heroku.post("", json=newer)
        assert (await key_rig.resource(body["uuid"])).open(key_rig.context.keys, "grant") == "the-newer-one"

    async def test_a_hundred_equal_requests_at_once_make_one_resource_and_get_equal_answers(self, rig: Rig):
        body = provision_body(plan="test")
        answers = await asyncio.gather(*(rig.heroku.post("", json=body) for _ in range(100)))
        assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
        assert (await rig.events(body["uuid"])).count("provisioned") == 1

    async def test_a_hundred_equal_requests_for_a_background_plan_start_one_provision(self, key_rig: Rig):
        body = provision_body(plan="standard")
        answers = await asyncio.gather(*(key_rig.heroku.post("", json=body) for _ in range(100)))
        assert {(answer.status_code, answer.content) for answer in answers} == {(202, answers[0].content)}
        assert [name for name, _ in await key_rig.jobs()] == ["exchange_grant", "provision_service"]


class TestPlanChange:
    async def test_to_another_plan_answers_200_with_config_and_a_message(self, key_rig: Rig):
        body = provision_body(plan="standard")
        await key_rig.heroku.post("", json=body)
        await key_rig.heroku.post("", json=body)
        uuid = await provisioned(key_rig)
        answer = await key_rig.heroku.put(f"/{uuid}", json={"plan": "premium", "heroku_id": "app1@heroku.com"})
        assert answer.status_code == 200
        assert answer.json()["config"] == await key_rig.config(uuid)
        assert "premium" in answer.json()["message"]
        assert (await key_rig.resource(uuid)).plan == "premium"

    async def test_to_the_same_plan_does_nothing(self, key_rig: Rig):
        uuid = await provisioned(key_rig)
        before = await key_rig.events(uuid)
        answer = await key_rig.heroku.put(f"/{uuid}", json={"plan": "test"})
        assert answer.status_code == 200
        assert await key_rig.events(uuid) == before

    async def test_to_an_unknown_plan_is_refused_and_keeps_the_plan(self, key_rig: Rig):
        uuid = await provisioned(key_rig)
        answer = await key_rig.heroku.put(f"/{uuid}", json={"plan": "golden"})
        assert answer.status_code == 422
        assert "golden" in answer.json()["message"]
        assert (await key_rig.resource(uuid)).plan == "test"

    async def test_during_provisioning_is_taken_up(self, key_rig: Rig):
        app = key_rig.simulator.world.create_app("demo")
        addon = await key_rig.simulator.calls.provision(app.name, "standard")
        answer = await key_rig.heroku.put(f"/{addon.id}", json={"plan": "premium"})
        assert answer.status_code == 200
        await key_rig.work()
        resource = await key_rig.resource(addon.id)
        assert (resource.plan, resource.state) == ("premium", "provisioned")

    @pytest.mark.parametrize("uuid", [UNKNOWN, "not-a-uuid", "123", "%00"])
    async def test_of_an_unknown_resource_gets_410(self, key_rig: Rig, uuid):
        assert (await key_rig.heroku.put(f"/{uuid}", json={"plan": "premium"})).status_code == 410

    @pytest.mark.parametrize("content", [b"", b"{}", b'{"plan": null}', b'{"plan": 1}', b"[1]"])
    async def test_with_a_body_that_cannot_be_read_gets_400(self, key_rig: Rig, content):
        uuid = await provisioned(key_rig)
        assert (await key_rig.heroku.put(f"/{uuid}", content=content)).status_code == 400


class TestDeprovision:
    async def test_answers_204_without_a_body_then_410(self, key_rig: Rig):
        uuid = await provisioned(key_rig)
        first = await key_rig.heroku.delete(f"/{uuid}")
        assert (first.status_code, first.content) == (204, b"")
        for method in ("DELETE", "PUT"):
            answer = await key_rig.heroku.request(method, f"/{uuid}", json={"plan": "premium"})
            assert answer.status_code == 410
            assert answer.json()["id"] == "gone"

    @pytest.mark.parametrize("uuid", [UNKNOWN, "not-a-uuid"])
    async def test_of_an_unknown_resource_gets_410(self, key_rig: Rig, uuid):
        assert (await key_rig.heroku.delete(f"/{uuid}")).status_code == 410

    async def test_removes_what_was_made_and_its_secrets(self, key_rig: Rig):
        uuid = await provisioned(key_rig)
        await key_rig.heroku.delete(f"/{uuid}")
        await key_rig.work()
        resource = await key_rig.resource(uuid)
        assert resource.removed_at is not None
        assert (resource.config_sealed, resource.access_token_sealed, resource.refresh_token_sealed) == (None,) * 3
        assert await key_rig.jobs() == []

    async def test_during_provisioning_cancels_what_was_queued(self, key_rig: Rig):
        body = provision_body(plan="standard")
        await key_rig.heroku.post("", json=body)
        assert (await key_rig.heroku.delete(f"/{body['uuid']}")).status_code == 204
        assert await key_rig.jobs() == [("deprovision_service", "todo")]
        await key_rig.work()
        assert (await key_rig.resource(body["uuid"])).removed_at is not None

    async def test_twenty_at_once_get_one_204_and_410s(self, key_rig: Rig):
        uuid = await provisioned(key_rig)
        answers = await asyncio.gather(*(key_rig.heroku.delete(f"/{uuid}") for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [204] + [410] * 19


async def test_the_request_id_is_echoed_and_a_strange_one_replaced(key_rig: Rig):
    good = await key_rig.heroku.delete(f"/{uuid4()}", headers={"X-Request-ID": "heroku-1,other-2"})
    assert good.headers["Request-Id"] == "heroku-1,other-2"
    strange = await key_rig.heroku.delete(f"/{uuid4()}", headers={"X-Request-ID": "no spaces, please <script>"})
    assert "script" not in strange.headers["Request-Id"]


async def provisioned(rig: Rig) -> str:
    body = provision_body(plan="test")
    answer = await rig.heroku.post("", json=body)
    assert answer.status_code == 200
    return str(body["uuid"])


async def test_a_database_that_hangs_is_answered_503_before_heroku_loses_patience(key_rig: Rig, monkeypatch):
    uuid = await provisioned(key_rig)
    monkeypatch.setattr("app.web.partner_api._LONGEST", timedelta(milliseconds=200))
    async with key_rig.context.database.transaction() as somebody_else:
        await lifecycle.locked(somebody_else, UUID(uuid))
        answer = await key_rig.heroku.delete(f"/{uuid}")
    assert answer.status_code == 503
    assert answer.json()["id"] == "try_again"
    monkeypatch.undo()
    assert (await key_rig.heroku.delete(f"/{uuid}")).status_code == 204


async def test_equal_requests_to_two_processes_make_one_resource_and_get_equal_answers(rig: Rig):
    body = provision_body(plan="test")
    async with Rig(rig.settings).running() as other:
        answers = await asyncio.gather(*(each.heroku.post("", json=body) for each in [rig, other] * 25))
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    assert (await rig.events(body["uuid"])).count("provisioned") == 1


async def test_a_caller_who_leaves_does_not_stop_what_others_wait_for(key_rig: Rig):
    key_rig.context.own_tables.clear()  # a driver that has to be called
    body = provision_body(plan="test")
    leaving = asyncio.create_task(key_rig.heroku.post("", json=body))
    while not key_rig.context.under_way:
        await asyncio.sleep(0)
    staying = asyncio.create_task(key_rig.heroku.post("", json=body))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).status_code == 200
    assert key_rig.context.under_way == {}
