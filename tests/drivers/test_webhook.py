import asyncio
import gzip
import hashlib
import hmac
import json
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from contract import DriverContract, Works, follow, new_resource
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from app.drivers.base import LogLine, Measure, Provisioned, ResourceInfo, Snippet
from app.drivers.webhook import Webhook
from app.drivers.webhook_wire import WebhookError, wait_asked_for
from app.errors import Refused, Retry

GUIDE = Path(__file__).parents[2] / "docs" / "webhook-driver.md"
URL = "https://mail.example.com/addon"
SECRET = "secret-" + "n" * 40
OLD_SECRET = "secret-" + "o" * 40
NOW = 1_763_719_200.0  # 2025-11-21 10:00:00 UTC
MADE = {"config": {"ACME_MAIL_URL": "https://mail.example.com"}}
MAKING = ("provision", "change_plan", "rotate", "bring_back")
CLOSING = ("suspend", "resume", "set_aside")
VERBS = (*MAKING, "retire", "deprovision", "usage", "restrict", *CLOSING, "take_log_lines")
NOT_NOW = (202, 408, 409, 425, 429, 500, 502, 503, 504)


def webhook(transport: httpx2.AsyncBaseTransport, *, secrets=(SECRET,), now=lambda: NOW, **more) -> Webhook:
    return Webhook(URL, [SecretStr(secret) for secret in secrets], transport=transport, now=now, **more)


class Wire(httpx2.AsyncBaseTransport):
    """A network with one answer on it, which arrives as bytes that nobody has read or unpacked yet."""

    def __init__(self, answer: Callable[[httpx2.Request], httpx2.Response]) -> None:
        self.answer = answer

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = self.answer(request)
        return httpx2.Response(answer.status_code, headers=answer.headers, stream=Unread(answer.stream))


class Unread(httpx2.AsyncByteStream):
    def __init__(self, stream) -> None:
        self.stream = stream

    async def __aiter__(self):
        async for part in self.stream:
            yield part


@asynccontextmanager
async def answering(answer: Callable | httpx2.Response, **more) -> AsyncIterator[Webhook]:
    """A webhook driver whose other side gives one answer, or works it out of the request."""
    driver = webhook(Wire(answer if callable(answer) else lambda _: answer), **more)
    await driver.open()
    yield driver
    await driver.close()


LINE = LogLine(at=datetime(2026, 5, 1, 11, 59, tzinfo=UTC), priority=190, source="app", process="web.1", text="Grüße")


async def do(driver: Webhook, verb: str, resource: ResourceInfo | None = None):
    resource = resource or new_resource()
    if verb == "take_log_lines":
        return await driver.take_log_lines(resource, [LINE, replace(LINE, at=None, text="\0")], batch="F1")
    return await (driver.restrict(resource, read_only=True) if verb == "restrict" else getattr(driver, verb)(resource))


def status(code: int, **more) -> httpx2.Response:
    return httpx2.Response(code, **more)


def shown(error: BaseException) -> str:
    """All that a log could say of an exception, down to its first cause."""
    return "".join(traceback.TracebackException.from_exception(error).format()) + repr(error)


# The receiver of the guide


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> dict:
    """The names of the guide's example, which is run word for word and knows both secrets."""
    return run_receiver(monkeypatch, SECRET, OLD_SECRET)


def run_receiver(monkeypatch: pytest.MonkeyPatch, *secrets: str) -> dict:
    _, _, section = GUIDE.read_text().partition("## A receiver")
    code, _, _ = section.partition("```python\n")[2].partition("```")
    monkeypatch.setenv("WEBHOOK_SECRETS", ",".join(secrets))
    names: dict = {}
    exec(compile(code, GUIDE.name, "exec"), names)
    return names


class TestContract(DriverContract):
    @pytest.fixture
    def driver(self, receiver: dict) -> Webhook:
        return webhook(httpx2.ASGITransport(receiver["app"]), now=time.time, can_suspend=True, can_set_aside=True)

    @pytest.fixture
    def works(self, receiver: dict) -> Works:
        async def works(config) -> bool:
            url = httpx2.URL(config["ACME_MAIL_URL"])
            knows = url.password in receiver["passwords"].get(url.username, {}).values()
            return knows and url.username not in receiver["suspended"]

        return works


async def sent_to_receiver(names: dict, *, now=time.time, secrets=(SECRET,), change=lambda request: request):
    """Provision at the guide's receiver, after something has happened to the request on its way."""
    inner = httpx2.ASGITransport(names["app"])

    class OnTheWay(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return await inner.handle_async_request(change(request))

    driver = webhook(OnTheWay(), now=now, secrets=secrets)
    await driver.open()
    try:
        return await driver.provision(new_resource())
    finally:
        await driver.close()


def altered(body: Callable[[bytes], bytes] = lambda body: body, **headers: str):
    def change(request: httpx2.Request) -> httpx2.Request:
        new = {**request.headers, **{name.replace("_", "-").lower(): value for name, value in headers.items()}}
        del new["content-length"]
        return httpx2.Request("POST", request.url, headers=new, content=body(request.content))

    return change


@pytest.mark.parametrize(
    "change",
    [
        altered(body=lambda body: body.replace(b'"basic"', b'"giant"')),
        altered(body=lambda body: body + b" "),
        altered(body=lambda _: b""),
        altered(Addon_Timestamp=str(int(time.time()) - 17)),
        altered(Addon_Timestamp="yesterday"),
        altered(Addon_Timestamp=""),
        altered(Addon_Timestamp="9" * 5000),
        altered(Addon_Signature=""),
        altered(Addon_Signature="v1="),
        altered(Addon_Signature="v0=" + "0" * 64),
    ],
    ids=["plan", "space", "empty", "moved-time", "word", "no-time", "huge-time", "unsigned", "blank", "other-scheme"],
)
async def test_the_receiver_turns_down_whatever_was_altered_on_the_way(receiver: dict, change):
    with pytest.raises(WebhookError, match="401"):
        await sent_to_receiver(receiver, change=change)
    assert receiver["passwords"] == {}


async def test_the_receiver_skips_signatures_of_schemes_it_does_not_know(receiver: dict):
    def more(request: httpx2.Request) -> httpx2.Request:
        return altered(Addon_Signature=f"v2=abc, {request.headers['Addon-Signature']}")(request)

    assert (await sent_to_receiver(receiver, change=more)).config


@pytest.mark.parametrize("off_seconds", [-302, 302])
async def test_the_receiver_turns_down_a_call_from_another_time(receiver: dict, off_seconds: int):
    with pytest.raises(WebhookError, match="401"):
        await sent_to_receiver(receiver, now=lambda: time.time() + off_seconds)


async def test_the_receiver_turns_down_another_secret(receiver: dict):
    with pytest.raises(WebhookError, match="401"):
        await sent_to_receiver(receiver, secrets=["x" * 40])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ([OLD_SECRET], [OLD_SECRET]),
        ([SECRET, OLD_SECRET], [OLD_SECRET]),
        ([SECRET, OLD_SECRET], [SECRET]),
        ([SECRET], [SECRET, OLD_SECRET]),
        ([SECRET], [SECRET]),
    ],
)
async def test_no_call_is_lost_while_the_secret_changes(monkeypatch: pytest.MonkeyPatch, ours, theirs):
    names = run_receiver(monkeypatch, *theirs)
    assert (await sent_to_receiver(names, secrets=ours)).config


# What is sent


async def sent(verb: str, resource: ResourceInfo, **more) -> httpx2.Request:
    requests = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return status(200, json={"measures": []} if verb == "usage" else MADE)

    async with answering(answer, **more) as driver:
        await do(driver, verb, resource)
    (request,) = requests
    return request


async def test_a_call_tells_all_about_the_resource_and_the_plan():
    resource = new_resource()
    request = await sent("provision", resource, terms={"messages_per_day": 10_000})
    body = json.loads(request.content)
    assert request.method == "POST"
    assert str(request.url) == URL
    assert request.headers["Content-Type"] == "application/json"
    assert body.pop("idempotency_key") == request.headers["Idempotency-Key"]
    assert body == {
        "verb": "provision",
        "resource": {
            "uuid": str(resource.uuid),
            "plan": "basic",
            "region": "amazon-web-services::us-east-1",
            "options": {},
            "generation": 1,
            "suspended": False,
            "changes": 0,
            "details": {},
        },
        "terms": {"messages_per_day": 10_000},
        "secret": resource.secret("webhook-1"),
    }


async def test_a_call_is_signed_with_every_secret_newest_first():
    request = await sent("deprovision", new_resource(), secrets=[SECRET, OLD_SECRET])
    assert request.headers["Addon-Timestamp"] == "1763719200"
    signed = b"1763719200." + request.content
    assert request.headers["Addon-Signature"].split(",") == [
        "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in (SECRET, OLD_SECRET)
    ]


@pytest.mark.parametrize("verb", VERBS)
async def test_the_secret_is_sent_only_where_a_credential_is_made(verb: str):
    body = json.loads((await sent(verb, new_resource())).content)
    assert ("secret" in body) == (verb in MAKING)
    assert ("read_only" in body) == (verb == "restrict")


async def test_each_generation_has_a_secret_of_its_own():
    resource = new_resource()
    first = json.loads((await sent("provision", resource)).content)["secret"]
    second = json.loads((await sent("rotate", follow(resource, Provisioned(config={}), generation=2))).content)
    assert first != second["secret"]


async def key(verb: str, resource: ResourceInfo, **more) -> str | None:
    return (await sent(verb, resource, **more)).headers.get("Idempotency-Key")


async def test_the_same_call_has_the_same_key_at_another_time():
    resource = new_resource()
    assert await key("provision", resource) == await key("provision", resource, now=lambda: NOW + 3600)


async def test_every_other_call_has_another_key():
    resource, other = new_resource(), new_resource()
    nothing = Provisioned(config={})
    calls = [
        await key("provision", resource),
        await key("provision", other),
        await key("rotate", resource),
        await key("rotate", follow(resource, nothing, generation=2)),
        await key("retire", resource),
        await key("deprovision", resource),
        await key("change_plan", follow(resource, nothing, plan="bigger")),
        await key("change_plan", follow(resource, nothing, plan="biggest")),
        await key("change_plan", follow(resource, nothing, plan="bigger"), terms={"gigabytes": 2}),
    ]
    assert None not in calls
    assert len(set(calls)) == len(calls)


async def test_the_second_change_to_the_same_plan_is_not_a_repetition_of_the_first():
    keys = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        keys.append(request.headers["Idempotency-Key"])
        return status(200, json=MADE)

    async with answering(answer) as driver:
        resource = new_resource()
        resource = follow(resource, await driver.provision(resource))
        for plan in ("bigger", "basic", "bigger", "basic"):
            resource = replace(resource, plan=plan)
            resource = follow(resource, await driver.change_plan(resource))
    assert len(set(keys)) == len(keys) == 5


@pytest.mark.parametrize("verb", ["usage", "restrict"])
async def test_what_is_about_this_moment_has_no_key(verb: str):
    request = await sent(verb, new_resource())
    assert "Idempotency-Key" not in request.headers
    assert "idempotency_key" not in json.loads(request.content)


async def test_details_come_back_to_who_gave_them():
    got = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        got.append(json.loads(request.content)["resource"]["details"])
        return status(200, json={**MADE, "details": {"shard": len(got)}})

    async with answering(answer) as driver:
        resource = new_resource()
        resource = follow(resource, await driver.provision(resource))
        resource = follow(resource, await driver.change_plan(resource))
        await driver.deprovision(resource)
    assert got == [{}, {"shard": 1}, {"shard": 2}]


# What the answers mean


@pytest.mark.parametrize("code", [200, 201])
async def test_a_config_is_taken_over(code: int):
    answer = status(code, json={**MADE, "message": "Your mailbox\n is ready.", "details": {"shard": 7}})
    async with answering(answer) as driver:
        made = await driver.provision(new_resource())
    assert made.config == MADE["config"]
    assert made.message == "Your mailbox is ready."


@pytest.mark.parametrize("verb", ["retire", "deprovision", "restrict", *CLOSING, "take_log_lines"])
@pytest.mark.parametrize("code", [200, 201, 204])
async def test_where_nothing_is_asked_for_any_2xx_is_done_and_its_body_ignored(verb: str, code: int):
    async with answering(status(code, content=b"all fine" * 100_000)) as driver:
        assert await do(driver, verb) is None


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("code", NOT_NOW)
async def test_not_now_means_later_whatever_the_body(verb: str, code: int):
    body = gzip.compress(b"<html>" * 1000)
    async with answering(status(code, headers={"Content-Encoding": "gzip"}, content=body)) as driver:
        with pytest.raises(Retry, match=f"{code} to {verb}") as later:
            await do(driver, verb)
    assert later.value.after is None


@pytest.mark.parametrize("code", NOT_NOW)
@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [
        ("120", timedelta(minutes=2)),
        (" 120 ", timedelta(minutes=2)),
        ("0", timedelta(seconds=1)),
        ("9" * 400, timedelta(hours=1)),
        ("Fri, 21 Nov 2025 10:01:30 GMT", timedelta(seconds=90)),
        ("Friday, 21-Nov-25 10:01:30 GMT", timedelta(seconds=90)),
        ("Fri, 21 Nov 2025 11:01:30 +0100", timedelta(seconds=90)),
        ("Fri, 21 Nov 2025 09:00:00 GMT", timedelta(seconds=1)),
        ("Sun, 21 Nov 2027 10:00:00 GMT", timedelta(hours=1)),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
async def test_a_retry_after_is_obeyed_within_bounds(code: int, retry_after: str, expected: timedelta | None):
    async with answering(status(code, headers={"Retry-After": retry_after})) as driver:
        with pytest.raises(Retry) as later:
            await driver.provision(new_resource())
    assert later.value.after == expected


@given(st.text() | st.from_regex(r"\w{3}, -?\d+ \w{3} -?\d+ \d+:\d+:\d+ [-+A-Z0-9]*", fullmatch=True))
def test_no_retry_after_is_too_odd_to_be_read(retry_after: str):
    wait = wait_asked_for(retry_after, now=NOW)
    assert wait is None or timedelta(seconds=1) <= wait <= timedelta(hours=1)


@pytest.mark.parametrize("verb", MAKING)
async def test_a_422_with_a_message_is_a_no_for_the_customer(verb: str):
    async with answering(
        status(422, json={"message": "You have 3 mailboxes,\n\tbasic holds one.\x00\u202e"})
    ) as driver:
        with pytest.raises(Refused) as no:
            await do(driver, verb)
    assert no.value.message == "You have 3 mailboxes, basic holds one."


async def test_a_long_refusal_is_cut():
    async with answering(status(422, json={"message": "No. " * 1000})) as driver:
        with pytest.raises(Refused) as no:
            await driver.provision(new_resource())
    assert len(no.value.message) <= 500
    assert no.value.message.endswith("No.…")


@pytest.mark.parametrize("code", [200, 422])
async def test_a_message_that_repeats_the_secret_is_never_shown(code: int):
    resource = new_resource()
    secret = resource.secret("webhook-1")
    async with answering(status(code, json={**MADE, "message": f"Your password is {secret}."})) as driver:
        if code == 200:
            assert (await driver.provision(resource)).message is None
        else:
            with pytest.raises(Refused) as no:
                await driver.provision(resource)
            assert no.value.message == "The service did not accept this request."


@pytest.mark.parametrize(
    "body", [b"", b"No.", b"[]", b'{"detail": [{"loc": ["body"]}]}', b'{"message": ""}', b'{"message": 4}']
)
async def test_a_422_without_a_message_is_an_error_and_not_a_no(body: bytes):
    async with answering(status(422, content=body)) as driver:
        with pytest.raises(WebhookError, match="422 to provision without a message"):
            await driver.provision(new_resource())


@pytest.mark.parametrize("verb", ["retire", "deprovision", "usage", "restrict", *CLOSING, "take_log_lines"])
async def test_there_is_no_saying_no_where_nobody_waits_for_an_answer(verb: str):
    async with answering(status(422, json={"message": "I would rather not."})) as driver:
        with pytest.raises(WebhookError, match=f"422 to {verb}"):
            await do(driver, verb)


AS_GOOD_AS_DONE = {
    "retire": {410},
    "deprovision": {404, 410},
    "set_aside": {404, 410},
    "usage": {404, 410, 501},
    "restrict": {501},
    "take_log_lines": {404, 410, 501},
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("code", [404, 410, 501])
async def test_gone_and_unknown_mean_done_only_where_that_is_safe(verb: str, code: int):
    async with answering(status(code)) as driver:
        if code in AS_GOOD_AS_DONE.get(verb, ()):
            assert not await do(driver, verb)
        else:
            with pytest.raises(WebhookError, match=f"{code} to {verb}"):
                await do(driver, verb)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308, 400, 401, 403, 405, 406, 413, 415, 451])
async def test_any_other_status_is_an_error_and_a_redirect_is_not_followed(verb: str, code: int):
    calls = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        calls.append(request.url)
        return status(code, headers={"Location": "https://elsewhere.example.com"}, json=MADE)

    async with answering(answer) as driver:
        with pytest.raises(WebhookError, match=f"{code} to {verb}"):
            await do(driver, verb)
    assert len(calls) == 1


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "error",
    [
        httpx2.ReadTimeout("too slow"),
        httpx2.ConnectTimeout("too slow"),
        httpx2.ConnectError("nobody there"),
        httpx2.RemoteProtocolError("gibberish"),
        httpx2.PoolTimeout("busy"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_broken_connection_means_later(verb: str, error: Exception):
    def answer(_: httpx2.Request) -> httpx2.Response:
        raise error

    async with answering(answer) as driver:
        with pytest.raises(Retry, match=type(error).__name__):
            await do(driver, verb)


async def test_an_answer_that_never_ends_is_cut_off_in_time():
    async def drips():
        yield b"{"
        await asyncio.Event().wait()

    async with answering(lambda _: status(200, content=drips()), timeout=timedelta(0)) as driver:
        with pytest.raises(Retry, match="TimeoutError"):
            await driver.provision(new_resource())


async def test_an_answer_of_64_kib_is_read_and_a_longer_one_is_not():
    frame = len(json.dumps({"config": {"ACME_MAIL_URL": ""}}))
    for extra, is_read in ((0, True), (1, False)):
        value = "x" * (64 * 1024 - frame + extra)
        body = json.dumps({"config": {"ACME_MAIL_URL": value}}).encode()
        async with answering(status(200, content=body)) as driver:
            if is_read:
                assert (await driver.provision(new_resource())).config == {"ACME_MAIL_URL": value}
            else:
                with pytest.raises(WebhookError, match="more than 64 KiB"):
                    await driver.provision(new_resource())


async def test_no_more_than_the_limit_is_read_of_an_endless_answer():
    read = []

    async def endless():
        while True:
            read.append(1024)
            yield b" " * 1024

    async with answering(lambda _: status(200, content=endless())) as driver:
        with pytest.raises(WebhookError, match="more than 64 KiB"):
            await driver.provision(new_resource())
    assert sum(read) <= 66 * 1024


async def test_a_compressed_answer_is_not_unpacked():
    bomb = gzip.compress(b" " * 10_000_000)
    async with answering(status(200, headers={"Content-Encoding": "gzip"}, content=bomb)) as driver:
        with pytest.raises(WebhookError, match="compressed"):
            await driver.provision(new_resource())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"config": null}',
        b'{"config": []}',
        b'{"config": {"ACME_MAIL_URL": 7}}',
        b'{"config": {"ACME_MAIL_URL": null}}',
        b'{"config": {"ACME_MAIL_URL": ""}}',
        b'{"config": {"ACME_MAIL_URL": "a\\u0000b"}}',
        b'{"config": {"ACME_MAIL_URL": "\\ud800"}}',
        b'{"config": {"acme mail": "x"}}',
        b'{"config": {"ACME_MAIL_URL\\n": "x"}}',
        b'{"config": {"": "x"}}',
        b'{"config": {"ACME_MAIL_URL": "x"}, "detail": {}}',
        b'{"config": {"ACME_MAIL_URL": "x"}, "details": []}',
        b'{"config": {"ACME_MAIL_URL": "x"}, "message": 7}',
        b'{"config": {"ACME_MAIL_URL": "x"}, "details": {"a":' + b"[" * 5000 + b"]" * 5000 + b"}}",
        b'{"config": {"ACME_MAIL_URL": "x"}} trailing',
    ],
)
async def test_a_config_in_another_form_is_an_error(body: bytes):
    async with answering(status(200, content=body)) as driver:
        with pytest.raises(WebhookError, match="200 to provision, but not in the agreed form"):
            await driver.provision(new_resource())


async def test_a_wrong_field_is_named():
    async with answering(status(200, json={"config": {"ACME_MAIL_URL": 7}})) as driver:
        with pytest.raises(WebhookError, match="see its config"):
            await driver.provision(new_resource())


async def test_measures_are_taken_over():
    storage = {"name": "storage", "used": 1, "limit": 2, "unit": "bytes", "enforced": True}
    mails = {"name": "mails", "used": 0, "limit": 10, "unit": "count"}
    async with answering(status(200, json={"measures": [storage, mails]})) as driver:
        assert await driver.usage(new_resource()) == (
            Measure(name="storage", used=1, limit=2, unit="bytes", enforced=True),
            Measure(name="mails", used=0, limit=10, unit="count"),
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"used": -1},
        {"used": 1.5},
        {"used": "1"},
        {"used": True},
        {"limit": 0},
        {"unit": "pounds"},
        {"name": ""},
        {"limits": 3},
    ],
    ids=str,
)
async def test_measures_in_another_form_are_an_error(wrong: dict):
    measure = {"name": "storage", "used": 1, "limit": 2, "unit": "bytes", **wrong}
    async with answering(status(200, json={"measures": [measure]})) as driver:
        with pytest.raises(WebhookError, match="see its measures"):
            await driver.usage(new_resource())


# Secrets, and settings


@pytest.mark.parametrize("code", [200, 202, 302, 400, 401, 404, 422, 500, 501, 503])
async def test_no_secret_is_in_any_text_of_an_error(code: int):
    resource = new_resource()
    secret = resource.secret("webhook-1")
    # A careless other side that sends everything back, as a header too.
    echo = {"config": {secret: {secret: SECRET}}, secret: SECRET}
    async with answering(status(code, headers={"X-Echo": secret}, json=echo)) as driver:
        with pytest.raises(Exception) as error:  # noqa: PT011 - whichever kind it is, and however it is shown
            await driver.provision(resource)
    assert secret not in shown(error.value)
    assert SECRET not in shown(error.value)


async def test_no_secret_is_in_the_text_of_a_broken_connection():
    resource = new_resource()

    def answer(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("too slow", request=request)

    async with answering(answer) as driver:
        with pytest.raises(Retry) as error:
            await driver.provision(resource)
        assert SECRET not in repr(driver) + repr(vars(driver))
    assert resource.secret("webhook-1") not in shown(error.value)
    assert SECRET not in shown(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://mail.example.com",
        "https://mail.example.com:8443/addon",
        "http://localhost:8000/addon",
        "http://127.0.0.1/",
        "http://[::1]:9/addon",
    ],
)
def test_https_and_loopback_addresses_are_taken(url: str):
    assert Webhook(url, [SecretStr(SECRET)]).snippets() == ()


@pytest.mark.parametrize(
    "url",
    [
        "http://mail.example.com",
        "http://10.0.0.1/",
        "http://localhost.example.com/",
        "ftp://mail.example.com",
        "https://",
        "mail.example.com",
        "",
        "https://a:b@mail.example.com",
        "https://a@mail.example.com",
        "https://mail.example.com/?a=b",
        "https://mail.example.com/#a",
    ],
)
def test_any_other_url_is_turned_down_at_the_start(url: str):
    with pytest.raises(ValueError, match="The webhook's URL must be"):
        Webhook(url, [SecretStr(SECRET)])


@pytest.mark.parametrize("secrets", [[], ["short"], [SECRET, ""]])
def test_missing_and_short_secrets_are_turned_down_at_the_start(secrets: list[str]):
    with pytest.raises(ValueError, match="at least one secret"):
        Webhook(URL, [SecretStr(secret) for secret in secrets])


async def test_a_driver_that_was_not_opened_says_so():
    with pytest.raises(RuntimeError, match="must be opened"):
        await webhook(Wire(lambda _: status(200))).provision(new_resource())


async def test_closing_a_driver_twice_or_unopened_is_fine():
    driver = webhook(Wire(lambda _: status(204)))
    await driver.close()
    await driver.open()
    await driver.deprovision(new_resource())
    await driver.close()
    await driver.close()
    with pytest.raises(RuntimeError, match="must be opened"):
        await driver.deprovision(new_resource())


async def test_the_snippets_are_those_of_the_price_list():
    snippet = Snippet(title="curl", text="curl $ACME_MAIL_URL")
    assert list(Webhook(URL, [SecretStr(SECRET)], snippets=[snippet]).snippets()) == [snippet]


async def test_only_who_says_so_is_asked_to_suspend_or_to_set_aside():
    wire = Wire(lambda _: status(204))
    assert (webhook(wire).can_suspend, webhook(wire).can_set_aside) == (False, False)
    assert (webhook(wire, can_suspend=True).can_suspend, webhook(wire, can_set_aside=True).can_set_aside) == (
        True,
        True,
    )


async def test_a_call_about_a_suspended_resource_says_that_it_is():
    request = await sent("change_plan", replace(new_resource(), is_suspended=True))
    assert json.loads(request.content)["resource"]["suspended"] is True


async def test_log_lines_come_as_json_with_their_batch_and_without_a_key():
    request = await sent("take_log_lines", new_resource())
    body = json.loads(request.content)
    assert (body["verb"], body["batch"], "Idempotency-Key" in request.headers) == ("take_log_lines", "F1", False)
    first, second = body["lines"]
    assert first == {
        "at": "2026-05-01T11:59:00+00:00",
        "priority": 190,
        "source": "app",
        "process": "web.1",
        "text": "Grüße",
    }
    assert (second["at"], second["text"]) == (None, "\0")


async def test_only_who_says_so_gets_log_lines():
    wire = Wire(lambda _: status(204))
    assert [webhook(wire).can_take_log_lines, webhook(wire, can_take_log_lines=True).can_take_log_lines] == [
        False,
        True,
    ]
