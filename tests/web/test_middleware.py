"""What every request passes, and how every kind of error looks from outside."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from rig import Rig, new_settings, provision_body
from sqlalchemy import text

from app.drivers.base import Driver
from app.plans import Plan
from app.web import middleware
from app.web.middleware import LARGEST_BODY, EveryRequest

# Of no resource. Made once and for all: every process must find the same tests.
UNKNOWN = "5f0c8a52-0c52-4ae5-9a1f-3c1f6f2f7a10"

SECRET_TEXT = "postgres://root:hunter2@10.0.0.1/secret"
SAFETY = {
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=()",
}


class Broken(Driver):
    """Fails, whatever it is asked."""

    async def provision(self, resource):
        raise RuntimeError(SECRET_TEXT)

    change_plan = rotate = retire = deprovision = provision


async def execute(rig: Rig, statement: str) -> None:
    async with rig.context.database.transaction() as session:
        await session.execute(text(statement))


async def one_empty_body() -> dict:
    return {"type": "http.request", "body": b"", "more_body": False}


async def chunks(total: int) -> AsyncIterator[bytes]:
    for _ in range(total // 1024):
        yield b" " * 1024


async def call(app, receive, path="/heroku/resources", method="POST", headers=()) -> list[dict]:
    """What the app sends when a server gives it a request whose body comes from `receive`."""
    sent: list[dict] = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"addon.test"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("addon.test", 80),
    }
    await app(scope, receive, send)
    return sent


class TestBody:
    @pytest.mark.parametrize("path", ["/heroku/resources", "/sso/login", "/health/live", "/nowhere"])
    async def test_one_that_says_it_is_too_large_gets_413_unread(self, key_rig: Rig, path):
        async def never() -> dict:
            raise AssertionError("the body was read")

        length = str(LARGEST_BODY + 1).encode()
        start, *_ = await call(key_rig.app, never, path, headers=[(b"content-length", length)])
        assert start["status"] == 413
        assert (b"connection", b"close") in start["headers"]

    async def test_one_without_a_length_is_cut_off_at_the_limit(self, key_rig: Rig):
        answer = await key_rig.heroku.post("", content=chunks(LARGEST_BODY + 1024))
        assert (answer.status_code, answer.json()["id"]) == (413, "too_large")

    async def test_one_that_lies_about_its_length_is_cut_off_too(self, key_rig: Rig):
        headers = {"Content-Length": "10"}
        answer = await key_rig.heroku.post("", content=chunks(LARGEST_BODY + 1024), headers=headers)
        assert answer.status_code == 413

    async def test_one_of_just_the_limit_is_read(self, key_rig: Rig):
        answer = await key_rig.heroku.post("", content=chunks(LARGEST_BODY))
        assert (answer.status_code, answer.json()["id"]) == (400, "bad_request")

    async def test_one_that_never_ends_gets_408(self, key_rig: Rig, monkeypatch):
        monkeypatch.setattr(middleware, "_SLOWEST_BODY_SECONDS", 0.0)
        is_first = True

        async def drip() -> dict:
            nonlocal is_first
            if not is_first:
                await asyncio.Event().wait()
            is_first = False
            return {"type": "http.request", "body": b"{", "more_body": True}

        start, body = await call(key_rig.app, drip)
        assert start["status"] == 408
        assert b"took too long" in body["body"]
        assert (b"connection", b"close") in start["headers"]

    async def test_half_of_one_is_not_acted_on(self, key_rig: Rig):
        uuid = provision_body()["uuid"]
        await key_rig.heroku.post("", json=provision_body(uuid=uuid))
        messages = iter(
            [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}],
        )

        async def leave() -> dict:
            return next(messages)

        authorization = key_rig.heroku._build_request_auth(key_rig.heroku.build_request("GET", "/"))._auth_header
        headers = [(b"authorization", authorization.encode())]
        assert await call(key_rig.app, leave, f"/heroku/resources/{uuid}", "DELETE", headers) == []
        assert (await key_rig.resource(uuid)).state == "provisioned"


class TestHeaders:
    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/health/live", 200),
            ("GET", "/health/ready", 200),
            ("POST", "/heroku/resources", 401),
            ("GET", "/heroku/nowhere", 404),
            ("GET", "/heroku/resources", 405),
            ("GET", "/nowhere", 404),
            ("GET", "/sso/login", 405),
            ("POST", "/sso/login", 403),
            ("GET", f"/dashboard/{UNKNOWN}", 403),
            ("GET", "/static/nothing.css", 404),
            ("GET", "/static/../settings.py", 404),
            ("GET", "/static/pages.css", 200),
        ],
    )
    async def test_every_answer_is_safe_for_browsers_and_has_its_id(self, key_rig: Rig, method, path, status):
        answer = await key_rig.http.request(method, path)
        assert answer.status_code == status
        for name, value in SAFETY.items():
            assert answer.headers[name].startswith(value)
        assert answer.headers["Referrer-Policy"] in {"no-referrer", "same-origin"}
        assert answer.headers["Request-Id"]
        assert "Strict-Transport-Security" not in answer.headers

    async def test_https_is_insisted_on_where_it_is_used(self, make_rig):
        async with make_rig(public_url="https://addon.test").running() as rig:
            for path in ("/health/live", "/nowhere", "/heroku/nowhere"):
                assert "max-age=31536000" in (await rig.http.get(path)).headers["Strict-Transport-Security"]

    @pytest.mark.parametrize("name", ["X-Request-ID", "Request-Id"])
    async def test_a_good_id_is_kept(self, key_rig: Rig, name):
        assert (await key_rig.http.get("/health/live", headers={name: "a.b:c-1,2_3"})).headers["Request-Id"] == (
            "a.b:c-1,2_3"
        )

    @pytest.mark.parametrize("id_", ["", " ", "a b", "x" * 201, "<b>", "a\tb", "a;b=c", b"ab\xe9"])
    async def test_a_strange_id_is_replaced_by_a_new_one(self, key_rig: Rig, id_):
        answers = [await key_rig.http.get("/health/live", headers={"Request-Id": id_}) for _ in range(2)]
        first, second = (answer.headers["Request-Id"] for answer in answers)
        assert len(first) == 36
        assert first != second

    async def test_the_page_of_an_error_names_the_request(self, key_rig: Rig):
        answer = await key_rig.http.get("/nowhere", headers={"Request-Id": "find-me-1"})
        assert "find-me-1" in answer.text


class TestKinds:
    @pytest.mark.parametrize("path", ["/heroku/nowhere", "/heroku/resources/a/b", "/heroku/", "/health/nothing"])
    async def test_machines_get_json_for_an_unknown_address(self, key_rig: Rig, path):
        answer = await key_rig.http.get(path)
        assert answer.status_code == 404
        assert answer.json() == {"id": "not_found", "message": "Not Found."}

    @pytest.mark.parametrize("path", ["/", "/nowhere", "/sso", "/%00", "/%ff", "/dashboard/", "//evil.example.com"])
    async def test_people_get_a_page_for_an_unknown_address(self, key_rig: Rig, path):
        answer = await key_rig.http.get(path)
        assert answer.status_code == 404
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "There is nothing at this address." in answer.text

    async def test_a_wrong_method_gets_405_that_names_the_right_one(self, key_rig: Rig):
        machine = await key_rig.http.patch("/heroku/resources")
        assert (machine.status_code, machine.headers["Allow"]) == (405, "POST")
        assert machine.json()["id"] == "method_not_allowed"
        person = await key_rig.http.get("/sso/login")
        assert (person.status_code, person.headers["Allow"]) == (405, "POST")
        assert "<h1>That did not work</h1>" in person.text

    async def test_people_are_never_asked_for_a_password(self, key_rig: Rig):
        answer = await key_rig.http.get(f"/dashboard/{uuid4()}")
        assert answer.status_code == 403
        assert "WWW-Authenticate" not in answer.headers

    @pytest.mark.parametrize("host", ["[", "a/heroku/", "", "a:b:c", "\xe9"])
    async def test_a_strange_host_header_changes_nothing(self, key_rig: Rig, host):
        answer = await key_rig.http.get("/nowhere", headers=[("Host", host.encode("latin-1"))])
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")


class TestBug:
    """What nobody expected: a fixed text outside, whatever the exception says."""

    async def test_heroku_gets_500_with_a_fixed_text(self, key_rig: Rig):
        body = provision_body()
        await key_rig.heroku.post("", json=body)
        await execute(key_rig, "ALTER TABLE events RENAME TO elsewhere")
        answer = await key_rig.heroku.delete(f"/{body['uuid']}")
        assert answer.status_code == 500
        assert answer.json() == {
            "id": "internal_error",
            "message": "Something went wrong on our side. It has been recorded.",
        }
        assert answer.headers["Request-Id"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert (await key_rig.resource(body["uuid"])).state == "provisioned"

    async def test_people_get_a_page_with_a_fixed_text_and_the_request_id(self, key_rig: Rig):
        addon = await key_rig.simulator.calls.provision(key_rig.simulator.world.create_app("demo").name, "test")
        await execute(key_rig, "ALTER TABLE sign_ins RENAME TO elsewhere")
        form = key_rig.simulator.calls.sso_form(addon)
        answer = await key_rig.http.post("/sso/login", data=form, headers={"Request-Id": "find-me-2"})
        assert answer.status_code == 500
        assert "Something went wrong on our side." in answer.text
        assert "find-me-2" in answer.text
        assert "sign_ins" not in answer.text + str(answer.headers)

    @pytest.mark.parametrize("kind", [RuntimeError, TimeoutError, ConnectionError])
    async def test_of_any_kind_is_500_and_says_nothing(self, key_rig: Rig, kind):
        async def broken(*_: object) -> None:
            raise kind(SECRET_TEXT)

        start, body = await call(EveryRequest(broken, is_https=False), one_empty_body, "/heroku/resources")
        assert start["status"] == 500
        assert b"hunter2" not in body["body"]

    async def test_in_the_middle_of_an_answer_ends_the_connection(self):
        async def broken(_scope, _receive, send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            raise RuntimeError(SECRET_TEXT)

        with pytest.raises(RuntimeError):
            await call(EveryRequest(broken, is_https=False), one_empty_body, "/heroku/resources")

    async def test_of_a_driver_is_heard_of_nowhere_outside(self, database_url):
        driver = Broken()
        plans = {name: Plan(name=name, driver=driver, is_instant=name == "test") for name in ("test", "standard")}
        async with Rig(new_settings(database_url), plans).running() as rig:
            for plan in plans:
                app = rig.simulator.world.create_app(f"demo-{plan}")
                addon = await rig.simulator.calls.provision(app.name, plan)
                await rig.work()
                answer = await rig.heroku.post("", json=provision_body(uuid=addon.id, plan=plan))
                assert answer.status_code == 202
                assert "hunter2" not in answer.text
            async with rig.context.database.transaction() as session:
                errors = list(await session.scalars(text("SELECT last_error FROM resources")))
                events = list(await session.scalars(text("SELECT text FROM events")))
        assert errors == ["provision_service: RuntimeError in provision_service"] * 2
        assert not any("hunter2" in event for event in events)


async def test_the_servers_other_messages_pass_untouched(key_rig: Rig):
    sent: list[dict] = []

    async def receive() -> dict:
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b"", "root_path": ""}
    await key_rig.app(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]
