"""Requests that Heroku would never send, but somebody will: refused without a crash, and the add-on goes on working."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from app.conformance.bench import Bench
from app.conformance.requirement import NotApplicable, Unmet, must, should
from app.conformance.wire import MUST_ANSWER_WITHIN_SECONDS, Answer

from .answers import not_crashed, without_exception_text
from .docs import BEST_PRACTICES, PARTNER_API

_MISSING: Any = object()
_HUGE_BYTES = 2_000_000
_DEEP = 10_000
_SLOW_CLIENTS = 8


def _is_calm(answer: Answer, sent: str) -> None:
    not_crashed(answer, sent)
    without_exception_text(answer, sent)


def _is_refused(answer: Answer, sent: str) -> None:
    _is_calm(answer, sent)
    if answer.status is None or not 400 <= answer.status < 500:
        raise Unmet("Such a request is answered 4xx.", f"{sent}: {answer.said}", answer.exchange)


@asynccontextmanager
async def _afterwards_works(bench: Bench) -> AsyncIterator[None]:
    """Make sure that what happens inside leaves an add-on that still provisions."""
    yield
    addon = bench.draft()
    answer = await bench.post(bench.body_of(addon), addon=addon)
    if not answer.is_success:
        raise Unmet("Afterwards the add-on works as before.", f"A proper request: {answer.said}", answer.exchange)


def _changed(body: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """Return the body with another value of that name, or without it."""
    changed = {key: given for key, given in body.items() if key != name}
    return changed if value is _MISSING else changed | {name: value}


def _kind(value: Any) -> str:
    return "nothing" if value is _MISSING else json.dumps(value)


@must("robustness", PARTNER_API, needs=["provision-works"])
async def body_that_is_no_json_object_is_refused(bench: Bench) -> None:
    """A provision request whose body is empty, cut short, not UTF-8 or not a JSON object is answered 4xx."""
    whole = json.dumps(bench.body_of(bench.draft())).encode()
    bodies = {
        "an empty body": b"",
        "a text": b"hello",
        "half a body": whole[: len(whole) // 2],
        "bytes that are not UTF-8": b'{"uuid": "\xff\xfe", "plan": "\xc3"}',
        "an array": b"[" + whole + b"]",
        "a string": b'"provision"',
        "a number": b"42",
        "null": b"null",
    }
    async with _afterwards_works(bench):
        for sent, content in bodies.items():
            answer = await bench.ask(
                "POST", bench.base_url, content=content, headers={"Content-Type": "application/json"}
            )
            _is_refused(answer, f"POST with {sent}")


@must(
    "robustness",
    PARTNER_API,
    needs=["provision-works", "unknown-plan-is-refused-with-a-message", "answers-have-no-exception-text"],
)
async def provision_request_without_its_essentials_is_refused(bench: Bench) -> None:
    """A provision request whose uuid or plan is missing, null, a list or an object is answered 4xx."""
    async with _afterwards_works(bench):
        for name in ("uuid", "plan"):
            body = bench.body_of(bench.draft())
            for value in (_MISSING, None, [], ["x"], {}, {"x": 1}):
                answer = await bench.post(_changed(body, name, value))
                _is_refused(answer, f"POST with {_kind(value)} for the {name}")


@must(
    "robustness",
    PARTNER_API,
    needs=[
        "unknown-plan-is-refused-with-a-message",
        "answers-have-no-exception-text",
        "missing-options-are-accepted",
        "missing-grant-is-no-crash",
    ],
)
async def surprising_values_do_not_crash(bench: Bench) -> None:
    """A field of another type, very long or with odd characters is taken or answered 4xx, never with an error."""
    odd = ["\0", "\ud800", "x" * 20_000, 10**30, ["x"], {"": None}]
    async with _afterwards_works(bench):
        for name in ("uuid", "plan", "name", "region", "callback_url", "options", "oauth_grant"):
            for value in odd:
                answer = await bench.post(_changed(bench.body_of(bench.draft()), name, value))
                _is_calm(answer, f"POST with {_kind(value)[:20]} for the field {name}")
        addon = bench.draft()
        await bench.post(bench.body_of(addon), addon=addon)
        for value in [*odd, "", None]:
            _is_calm(await bench.put(addon.id, {"plan": value}), f"PUT with {_kind(value)[:20]} for the plan")


@must("robustness", PARTNER_API, needs=["unknown-plan-is-refused-with-a-message", "answers-have-no-exception-text"])
async def monstrous_json_does_not_crash(bench: Bench) -> None:
    """Deep nesting, a name twice, numbers beyond all bounds: a body is taken or answered 4xx, never with an error."""
    nested = "[" * _DEEP + "]" * _DEEP
    options = {
        f"options nested {_DEEP} deep": nested,
        "options with objects nested as deep": '{"a":' * _DEEP + "1" + "}" * _DEEP,
        "NaN among the options": '{"a": NaN}',
        "a number beyond all bounds": '{"a": 1e999}',
        "a number of 5000 digits": '{"a": ' + "9" * 5000 + "}",
        "an option twice": '{"a": "1", "a": "2"}',
    }
    async with _afterwards_works(bench):
        for sent, text in options.items():
            body = bench.body_of(bench.draft())
            whole = json.dumps(_changed(body, "options", "HERE")).replace('"HERE"', text)
            _is_calm(await bench.post(body, content=whole.encode()), f"POST with {sent}")
        body = bench.body_of(bench.draft())
        twice = json.dumps(body)[:-1] + ', "plan": "no-such-plan"}'
        _is_calm(await bench.post(body, content=twice.encode()), "POST with two plans")
        answer = await bench.ask("POST", bench.base_url, content=nested.encode())
        _is_refused(answer, f"POST with nothing but arrays, {_DEEP} deep")


@must("robustness", BEST_PRACTICES, needs=["provision-works"])
async def huge_body_does_no_harm(bench: Bench) -> None:
    """A body of two megabytes is answered, or its connection closed, in bounded time and without an error status."""
    for sent, password in (("the right password", bench.offer.password), ("a wrong password", "wrong")):
        async with _afterwards_works(bench):
            body = bench.body_of(bench.draft())
            huge = _changed(body, "options", {"a": "x" * _HUGE_BYTES})
            answer = await bench.post(huge, auth=(bench.offer.slug, password))
            # Who closes the connection before all of it came has refused it, too.
            is_closed = answer.status is None and answer.seconds < MUST_ANSWER_WITHIN_SECONDS - 1
            if not is_closed:
                _is_calm(answer, f"POST of two megabytes with {sent}")
            bench.measured[f"two megabytes, {sent}"] = f"{answer.seconds:.2f} s"


@should("robustness", BEST_PRACTICES, needs=["huge-body-does-no-harm"])
async def huge_body_is_refused(bench: Bench) -> None:
    """A body of two megabytes is refused: nothing that Heroku sends is as long, and memory is not for everybody."""
    body = bench.body_of(bench.draft())
    answer = await bench.post(_changed(body, "options", {"a": "x" * _HUGE_BYTES}))
    if answer.is_success:
        raise Unmet("It is answered 413 or another 4xx.", answer.said, answer.exchange)


@must("robustness", PARTNER_API, needs=["provision-works"])
async def strange_headers_do_not_crash(bench: Bench) -> None:
    """Headers that are wrong, absurd or very long are ignored or answered 4xx, never with an error."""
    strange: list[dict[str, str | None]] = [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data"},
        {"Content-Type": "application/json; charset=no-such-charset"},
        {"Content-Type": ";;;="},
        {"Content-Encoding": "gzip"},
        {"Accept": "=;q=x,,/"},
        {"Accept-Language": "x" * 3000},
        {"Cookie": "=;" * 500},
        {"Request-Id": "x" * 3000},
        {"X-Forwarded-For": "not, an, address", "X-Forwarded-Proto": "gopher", "Forwarded": "for=;;"},
        {"If-None-Match": "*", "If-Modified-Since": "never", "Range": "bytes=9-1"},
    ]
    body = bench.body_of(bench.draft())
    async with _afterwards_works(bench):
        for headers in strange:
            answer = await bench.post(body, headers=headers)
            names = ", ".join(f"{name}: {(value or '')[:30]}" for name, value in headers.items())
            _is_calm(answer, f"POST with `{names}`")


@must("robustness", PARTNER_API, needs=["provision-works", "deprovision-of-the-unknown-is-harmless"])
async def strange_paths_do_not_crash(bench: Bench) -> None:
    """PUT and DELETE of what is no resource (no uuid, far too long, ways out of the path) are answered 4xx."""
    known = await bench.provisioned()
    strange = {
        "a word for a uuid": "not-a-uuid",
        "a number for a uuid": "0",
        "a path with dots": "..%2f..%2f..%2fetc%2fpasswd",
        "a NUL in the path": "%00",
        "bytes that are not UTF-8": "%ff%fe",
        "a quote in the path": f"{known.id}'%20OR%20'1'='1",
        "a very long path": "a" * 4000,
        "something after the uuid": f"{known.id}%0d%0aX-Injected:%201",
        "a uuid cut short": known.id[:-1],
    }
    async with _afterwards_works(bench):
        for sent, path in strange.items():
            _is_refused(await bench.put(path, {"plan": known.plan}), f"PUT with {sent}")
            # That what is not there is gone may be called a success, as deleting twice may be.
            _is_calm(await bench.delete(path), f"DELETE with {sent}")
        _is_calm(await bench.put(known.id.upper(), {"plan": known.plan}), "PUT with the uuid in capitals")
    await _still_there(bench, known.id, known.plan, "DELETE of strange paths")


async def _still_there(bench: Bench, uuid: str, plan: str, after: str) -> None:
    answer = await bench.put(uuid, {"plan": plan})
    if answer.status in {404, 410}:
        raise Unmet("Only a DELETE of its own uuid removes a resource.", f"It was gone after {after}.", answer.exchange)
    _is_calm(answer, f"PUT after {after}")


@must("robustness", PARTNER_API, needs=["provision-works"])
async def reading_changes_nothing(bench: Bench) -> None:
    """GET, HEAD and OPTIONS neither make, nor change, nor remove a resource, whatever they say they stand for."""
    addon = await bench.provisioned()
    url = f"{bench.base_url}/{addon.id}"
    override: dict[str, str | None] = {"X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE"}
    for method in ("GET", "HEAD", "OPTIONS"):
        for asked, headers in ((url, {}), (f"{url}?_method=delete", override), (bench.base_url, {})):
            await bench.ask(method, asked, headers=headers)
        await _still_there(bench, addon.id, addon.plan, method)


@should("robustness", BEST_PRACTICES, needs=["provision-works"])
async def slow_clients_stop_nobody(bench: Bench) -> None:
    """While several clients send their requests a byte at a time, Heroku's are answered within three seconds."""
    if bench.transport is not None:
        raise NotApplicable("The add-on is not asked over the network.")
    async with _slow_clients(bench, _SLOW_CLIENTS):
        body = bench.body_of(bench.draft())
        answer = await bench.post(body)
    bench.measured[f"beside {_SLOW_CLIENTS} slow clients"] = f"{answer.seconds:.2f} s"
    if not answer.is_success:
        raise Unmet("Heroku's request is answered meanwhile.", answer.said, answer.exchange)
    if answer.seconds > 3:
        raise Unmet("Within three seconds.", f"It took {answer.seconds:.1f} s.", answer.exchange)


@asynccontextmanager
async def _slow_clients(bench: Bench, count: int) -> AsyncIterator[None]:
    """Keep that many connections busy with headers that never end."""
    parts = urlsplit(bench.base_url)
    is_https = parts.scheme == "https"
    port = parts.port or (443 if is_https else 80)

    are_connected = asyncio.Semaphore(0)

    async def dribble() -> None:
        with contextlib.suppress(OSError, TimeoutError):  # an add-on may hang up on such a client
            async with asyncio.timeout(5):
                context = ssl.create_default_context() if is_https else None
                _, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
            try:
                writer.write(f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nX-Slow: ".encode())
                are_connected.release()
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.1)
            finally:
                writer.transport.abort()

    clients = [asyncio.create_task(dribble()) for _ in range(count)]
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                for _ in range(count):
                    await are_connected.acquire()
        yield
    finally:
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


REQUIREMENTS = [
    body_that_is_no_json_object_is_refused,
    provision_request_without_its_essentials_is_refused,
    surprising_values_do_not_crash,
    monstrous_json_does_not_crash,
    huge_body_does_no_harm,
    huge_body_is_refused,
    strange_headers_do_not_crash,
    strange_paths_do_not_crash,
    reading_changes_nothing,
    slow_clients_stop_nobody,
]
