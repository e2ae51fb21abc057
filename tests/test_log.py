"""The one log: its shape, its ids, and that secrets stay out of it whatever is logged."""

import io
import json
import logging
from uuid import uuid4

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from rig import Rig, provision_body

from app.log import configure_logging, hide_secrets
from app.web.middleware import EveryRequest


class Log(io.StringIO):
    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture(params=["json", "console"])
def log(request, log_as_before: None) -> Log:
    """What is logged, in both formats."""
    stream = Log()
    configure_logging(request.param, stream)
    return stream


in_json = pytest.mark.parametrize("log", ["json"], indirect=True)


class TestShape:
    @in_json
    def test_a_line_is_one_json_object_with_time_level_and_place(self, log: Log):
        structlog.get_logger("app.some.place").warning("what happened", count=3, resource=None, ok=True)
        (line,) = log.lines
        at = line.pop("timestamp")
        assert at.endswith("Z")
        place = {"event": "what happened", "level": "warning", "logger": "app.some.place"}
        assert line == place | {"count": 3, "resource": None, "ok": True}

    @in_json
    def test_a_librarys_line_has_the_same_shape(self, log: Log):
        logging.getLogger("some.library").error("%s went wrong", "it")
        (line,) = log.lines
        assert (line["event"], line["level"], line["logger"]) == ("it went wrong", "error", "some.library")
        assert line["timestamp"].endswith("Z")

    @in_json
    @pytest.mark.parametrize("value", ["two\nlines", "\x1b[31m", "\u2028", "é", "\ud800", '"'])
    def test_a_text_cannot_begin_a_line_of_its_own(self, log: Log, value):
        structlog.get_logger("x").info(value, path=value)
        assert log.getvalue().count("\n") == 1
        assert log.lines[0]["path"] == value

    @in_json
    def test_what_json_does_not_know_is_its_text(self, log: Log):
        structlog.get_logger("x").info("x", uuid=(uuid := uuid4()), values={1, 2}, nested={3: [uuid]})
        (line,) = log.lines
        assert (line["uuid"], line["values"], line["nested"]) == (repr(uuid), [1, 2], {"3": [repr(uuid)]})

    def test_libraries_chatter_is_left_out(self, log: Log):
        for name in ("httpx2", "uvicorn.access", "procrastinate", "alembic"):
            logging.getLogger(name).info("chatter")
        logging.getLogger("anything").debug("chatter")
        assert log.getvalue() == ""

    @pytest.mark.parametrize("log", ["console"], indirect=True)
    def test_for_people_a_line_begins_with_the_time_of_day(self, log: Log):
        structlog.get_logger("app.some.place").info("what happened", count=3)
        assert log.getvalue()[2] == ":"
        assert "what happened" in log.getvalue()
        assert "count=3" in log.getvalue()

    @pytest.mark.parametrize("log", ["console"], indirect=True)
    def test_for_people_a_value_cannot_command_their_terminal(self, log: Log):
        structlog.get_logger("x").info("request", path="/\x1b[31m\x00\x07\x9b\u202e")
        assert log.getvalue().rstrip("\n").isprintable()
        assert "[31m" in log.getvalue()


SECRETS = [
    "Authorization: Bearer hunter2hunter2",
    "Authorization: basic aHVudGVyMmh1bnRlcjI=hunter2",
    "postgres://user:hunter2@db.example.com/x",
    "postgresql+psycopg://user:hunter2@db.example.com/x",
    "POSTGRES://user:hunter2@db.example.com/x",
    "postgres://user:p@hunter2@db.example.com/x",
    "redis://:hunter2@db.example.com",
    "(https://user:hunter2@db.example.com)",
    "HRKU-hunter2-hunter2_hunter2",
    "grant_type=x&code=hunter2&client_secret=hunter2",
    "host=h password=hunter2 dbname=x",
    "host=h password='hunter2 hunter2' dbname=x",
    "{'access_token': 'hunter2', 'refresh_token': 'hunter2'}",
    '{"code": "hunter2", "x": 1}',
    '{"user_scoped_resource_token":"hunter2"}',
    "resource_token=hunter2&timestamp=1",
    "sso_salt=hunter2;",
    "ADDON_PASSWORD=hunter2",
]


class TestSecretShapes:
    @pytest.mark.parametrize("text", SECRETS)
    def test_each_is_hidden_wherever_it_is_in_a_line(self, log: Log, text):
        event = f"it says {text} here"
        structlog.get_logger("x").info(event, path=text, many=[text, {"deep": (text,)}], error=ValueError(text))
        logging.getLogger("library").warning("it says %s", text)
        assert "hunter2" not in log.getvalue()
        assert "[hidden]" in log.getvalue()
        assert "it says" in log.getvalue()

    @pytest.mark.parametrize("text", SECRETS)
    def test_each_is_hidden_in_exceptions_and_their_causes(self, log: Log, text):
        def fail(password: str) -> None:  # a pretty traceback would show local variables
            raise KeyError(password)

        try:
            try:
                fail(text)
            except KeyError as error:
                raise RuntimeError(text) from error
        except RuntimeError:
            structlog.get_logger("x").exception("it failed")
            logging.getLogger("library").exception("it failed")
        assert log.getvalue().count("RuntimeError") >= 2
        assert "Traceback" in log.getvalue()
        assert "hunter2" not in log.getvalue()

    @pytest.mark.parametrize(
        "text",
        [
            "exit code: 1", "the token was refreshed", "http://127.0.0.1:5000/dashboard", "ann@example.com signed in",
            "basic plan", "https://db.example.com:5432/x", "a password is needed", "secret: see the docs",
            "GET /heroku/resources/01234567-89ab-cdef-0123-456789abcdef",
        ],
    )  # fmt: skip
    def test_ordinary_words_stay(self, text):
        assert hide_secrets(None, "", {"event": text}) == {"event": text}


class TestSecretNames:
    @pytest.mark.parametrize(
        "name",
        [
            "password", "ADDON_PASSWORD", "sso_salt", "access_token", "Authorization", "cookie", "Set-Cookie",
            "client_secret", "encryption_keys", "seed", "config", "grant", "api_key", "apikey", "credentials",
        ],
    )  # fmt: skip
    def test_a_value_under_such_a_name_is_hidden(self, log: Log, name):
        structlog.get_logger("x").info("x", **{name: "hunter2"}, deep={name: ["hunter2"], 5: {name: b"hunter2"}})
        assert "hunter2" not in log.getvalue()

    def test_a_number_under_such_a_name_stays(self):
        line = {"token_count": 3, "has_password": True, "config_version": 7}
        assert hide_secrets(None, "", line) == line

    def test_a_secret_type_hides_itself_under_any_name(self, log: Log):
        structlog.get_logger("x").info("x", value=SecretStr("hunter2"))
        assert "hunter2" not in log.getvalue()

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
            max_leaves=20,
        )
    )
    def test_anything_can_be_logged(self, value):
        line = hide_secrets(None, "", {"value": value, "password": value})
        assert json.loads(json.dumps(line))["value"] is not ...

    @given(
        st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.~%/:?#@!$&'()*+,;=[]", min_size=8),
        st.sampled_from(["postgres://u:{}@h/d", "see https://u:{}@h/ and more", "('redis://:{}@h',)"]),
    )
    def test_no_password_in_an_address_is_shown(self, password, place):
        (text,) = hide_secrets(None, "", {"event": place.format(password)}).values()
        assert password not in text


class TestIds:
    @in_json
    async def test_every_line_of_a_request_has_its_id(self, log: Log, key_rig: Rig):
        body = provision_body(plan="golden")
        await key_rig.http.post("/heroku/resources", json=body, headers={"Request-Id": "find-me-3"})
        mine = [line for line in log.lines if line.get("request_id") == "find-me-3"]
        assert [line["event"] for line in mine] == ["refused a request", "request"]
        assert mine[0]["reason"] == "partner API: wrong or missing credentials"
        request = mine[1]
        assert (request["method"], request["path"], request["status"]) == ("POST", "/heroku/resources", 401)
        assert request["ms"] >= 0

    @in_json
    async def test_the_ids_of_a_request_end_with_it(self, log: Log, key_rig: Rig):
        body = provision_body()
        await key_rig.heroku.post("", json=body, headers={"Request-Id": "one"})
        assert (log.lines[-1]["request_id"], log.lines[-1]["resource"]) == ("one", body["uuid"])
        structlog.get_logger("x").info("between")
        await key_rig.http.get("/health/live", headers={"Request-Id": "two"})
        between, after = log.lines[-2:]
        assert not {"request_id", "resource"} & set(between)
        assert after["request_id"] == "two"
        assert "resource" not in after

    @in_json
    async def test_a_request_within_a_job_leaves_the_jobs_ids_alone(self, log: Log, key_rig: Rig):
        with structlog.contextvars.bound_contextvars(job="some_job"):
            await key_rig.http.get("/health/live")
            structlog.get_logger("x").info("after")
        request, after = log.lines[-2:]
        assert "job" not in request
        assert after["job"] == "some_job"

    @in_json
    async def test_every_line_of_a_job_has_its_name_its_number_and_its_resource(self, log: Log, key_rig: Rig):
        app = key_rig.simulator.world.create_app("demo")
        addon = await key_rig.simulator.calls.provision(app.name, "standard")
        await key_rig.work()
        calls = [line for line in log.lines if line["event"] == "heroku called"]
        by_whom = [line["job"] for line in calls]
        assert by_whom == ["exchange_grant", "push_config", "announce_provisioned", "read_app", "read_app", "read_app"]
        assert {line["resource"] for line in calls} == {addon.id}
        assert all(isinstance(line["job_id"], int) for line in calls)
        assert not any("job" in line for line in log.lines if line["event"] == "request" and "/heroku/" in line["path"])

    @in_json
    async def test_a_bug_is_logged_with_its_traceback_and_the_id(self, log: Log, key_rig: Rig):
        async def broken(*_: object) -> None:
            raise RuntimeError("postgres://u:hunter2@h/d")

        async def receive() -> dict:
            return {"type": "http.request", "body": b""}

        async def send(message) -> None:
            assert b"hunter2" not in message.get("body", b"")

        headers = [(b"request-id", b"find-me-4")]
        scope = {"type": "http", "method": "GET", "path": "/heroku/x", "headers": headers}
        await EveryRequest(broken, is_https=False)(scope, receive, send)
        failed, request = log.lines
        assert (failed["event"], failed["request_id"]) == ("request failed", "find-me-4")
        assert "RuntimeError" in failed["exception"]
        assert "hunter2" not in log.getvalue()
        assert request["status"] == 500
