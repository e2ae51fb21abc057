"""What no fault of the tests' add-on shows: crashes by one strange request each, logs, values that change meanwhile."""

from collections.abc import Callable
from dataclasses import replace

import httpx2
import pytest
from addon import MANIFEST
from checking import bench_with

from app.conformance.bench import Bench
from app.conformance.requirements import ALL
from app.conformance.requirements.restarting import restart
from app.conformance.run import Result, run
from app.conformance.wire import Wire

BY_ID = {requirement.id: requirement for requirement in ALL}


class Stumbling(httpx2.AsyncBaseTransport):
    """Leads to a correct add-on, but `stumble` answers in its place, or raises, where it does not return None."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, stumble: Callable) -> None:
        self._inner = inner
        self._stumble = stumble

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        content = await request.aread()
        return self._stumble(request, content) or await self._inner.handle_async_request(request)


async def result_of(requirement_id: str, bench: Bench) -> Result:
    requirement = BY_ID[requirement_id]
    (result,) = await run(bench, [requirement.__class__(**{**vars(requirement), "needs": ()})])
    return result


async def stumbling(requirement_id: str, stumble: Callable, *, patience: float = 3) -> Result:
    """What becomes of the requirement when the checker's own requests meet `stumble` first."""
    async with bench_with() as bench:
        bench.target = replace(bench.target, patience=patience)
        await bench._wire.aclose()
        bench._wire = Wire(bench.world, Stumbling(bench.transport, stumble))
        return await result_of(requirement_id, bench)


def on(is_it: Callable[[httpx2.Request, bytes], object], status: int, text: str = "") -> Callable:
    return lambda request, content: httpx2.Response(status, text=text) if is_it(request, content) else None


CRASHES = {
    "half a character": ("surprising-values-do-not-crash", lambda r, c: b"\\ud800" in c),
    "bytes that are not UTF-8": ("body-that-is-no-json-object-is-refused", lambda r, c: b"\xff" in c),
    "an array": ("body-that-is-no-json-object-is-refused", lambda r, c: c.startswith(b"[")),
    "deep nesting": ("monstrous-json-does-not-crash", lambda r, c: b"[" * 1000 in c),
    "NaN": ("monstrous-json-does-not-crash", lambda r, c: b"NaN" in c),
    "two plans": ("monstrous-json-does-not-crash", lambda r, c: b"no-such-plan" in c),
    "a long cookie": ("strange-headers-do-not-crash", lambda r, c: len(r.headers.get("cookie", "")) > 900),
    "a long path": ("strange-paths-do-not-crash", lambda r, c: len(r.url.raw_path) > 3000),
    "a DELETE beside another": ("two-deprovisions-at-once-are-one", lambda r, c: r.method == "DELETE"),
    "a signed half": ("signed-nonsense-does-not-crash", lambda r, c: c == b"{"),
}


@pytest.mark.parametrize("crash", CRASHES)
async def test_a_crash_by_one_strange_request_is_found(crash):
    requirement_id, is_it = CRASHES[crash]

    result = await stumbling(requirement_id, on(is_it, 500))

    assert result.outcome == "failed"
    assert "500" in result.reason


async def test_the_text_of_an_exception_in_a_refusal_is_found():
    text = 'Traceback (most recent call last):\n  File "app.py", line 3'

    result = await stumbling("body-that-is-no-json-object-is-refused", on(lambda r, c: c == b"null", 400, text))

    assert "text of an exception" in result.reason


async def test_an_add_on_that_strange_requests_leave_broken_is_found():
    is_broken = False

    def stumble(request, content):
        nonlocal is_broken
        is_broken = is_broken or content == b"null"
        return httpx2.Response(400 if content == b"null" else 503) if is_broken else None

    result = await stumbling("body-that-is-no-json-object-is-refused", stumble)

    assert result.reason == "A proper request: The answer was 503."


async def test_two_megabytes_that_are_taken_are_found():
    result = await stumbling("huge-body-is-refused", on(lambda r, c: len(c) > 1_000_000, 200))

    assert result.outcome == "failed"


async def test_who_hangs_up_on_two_megabytes_does_no_harm():
    def hang_up(request, content):
        if len(content) > 1_000_000:
            raise httpx2.WriteError("The add-on hung up.")

    assert (await stumbling("huge-body-does-no-harm", hang_up)).outcome == "passed"
    assert (await stumbling("huge-body-is-refused", hang_up)).outcome == "passed"


@pytest.mark.parametrize(("rush", "outcome"), [(21, "passed"), (1000, "failed")])
async def test_an_add_on_that_answers_503_in_a_rush_serves_afterwards(rush, outcome, monkeypatch):
    monkeypatch.setattr("app.conformance.requirements.races._REPEATS_EVERY_SECONDS", 0.01)
    asked = 0

    def turn_away(request, content):
        nonlocal asked
        asked += request.method == "POST"
        return httpx2.Response(503) if request.method == "POST" and 5 < asked < rush else None

    result = await stumbling("different-requests-at-once-are-all-served", turn_away, patience=0.1)

    assert result.outcome == outcome


async def test_resources_that_share_an_id_are_found():
    def same_id(request, content):
        return httpx2.Response(200, json={"id": "42", "config": {}}) if request.method == "POST" else None

    result = await stumbling("different-requests-at-once-are-all-served", same_id)

    assert result.reason == "Two have the same id."


async def test_an_add_on_without_webhooks_and_drains_is_not_asked_for_them(monkeypatch):
    async def subscribe(self, resource):
        pass

    monkeypatch.setattr("addon_jobs.Jobs._subscribe", subscribe)
    monkeypatch.setattr("app.conformance.requirements.webhooks._SUBSCRIBES_WITHIN_SECONDS", 0.1)
    api = MANIFEST["api"] | {"requires": ["attachable", "many_per_app"]}
    async with bench_with(manifest={**MANIFEST, "api": api}) as bench:
        results = await run(bench, [one for one in ALL if one.group in {"webhooks", "drains"}])

    assert {one.outcome for one in results} == {"skipped"}
    assert {one.reason for one in results} == {
        "The add-on subscribes to no webhooks.",
        "The manifest does not require syslog_drain.",
        "The manifest does not require log_input.",
    }


@pytest.mark.parametrize(("command", "reason"), [("exit 3", "The restart command ended with 3."), ("true", None)])
async def test_a_restart_waits_for_the_add_on_or_says_why_there_was_none(command, reason):
    async with bench_with() as bench:
        bench.target = replace(bench.target, restart_command=command)
        if reason is None:
            await restart(bench)
            assert list(bench.world.exchanges)[-1].status is not None
        else:
            with pytest.raises(Exception, match=reason):
                await restart(bench)
