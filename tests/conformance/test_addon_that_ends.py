"""An add-on whose process ends, or leaves everything unanswered, in the middle of a run."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from addon import MANIFEST, AddOn
from checking import bench_with
from hurrying import hurried

from app.conformance.bench import Bench
from app.conformance.reports.evidence import answer_text
from app.conformance.reports.report import Report
from app.conformance.requirement import Level, Requirement
from app.conformance.requirements import ALL
from app.conformance.requirements.secrets_in_logs import log_has_no_secrets
from app.conformance.run import Result, run
from app.conformance.wire import Wire


class Mortal(httpx2.AsyncBaseTransport):
    """Leads to a correct add-on until it `is_dead`; it comes back after so many refused connections."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, comes_back_after: int | None) -> None:
        self._inner = inner
        self._left = comes_back_after
        self.is_dead = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not self.is_dead:
            return await self._inner.handle_async_request(request)
        if self._left is not None:
            self._left -= 1
            self.is_dead = self._left > 0
        raise httpx2.ConnectError("refused", request=request)


def requirement(name: str, check, level: Level = Level.SHOULD) -> Requirement:
    return Requirement(name, "robustness", level, "It lives.", "https://devcenter.heroku.com", (), check)


async def results_when_it_dies(comes_back_after: int | None, *, wait: float = 0) -> list[Result]:
    """Run three checks; the add-on dies in the first."""
    async with bench_with() as bench:
        mortal = Mortal(bench.transport, comes_back_after)
        await bench._wire.aclose()
        bench.transport, bench._wire = mortal, Wire(bench.world, mortal)

        async def kills(bench: Bench) -> None:
            await bench.delete("x")
            mortal.is_dead = True
            await bench.delete("x")  # whose answer this check does not look at

        async def asks(bench: Bench) -> None:
            answer = await bench.delete("x")
            assert answer.status is not None

        checks = [requirement("kills", kills), requirement("asks", asks), requirement("asks-again", asks)]
        return await run(bench, checks, wait=wait)


def report_of(results: list[Result]) -> Report:
    return Report("acme", "http://x.test", "m.json", None, 0, results, repeat=str)


async def test_the_check_in_which_an_add_on_ended_is_named_and_no_other_is_blamed():
    first, *rest = await results_when_it_dies(None)
    assert (first.outcome, first.ends_the_run) == ("failed", True)
    assert "the add-on answers nothing (ConnectError): it crashed" in first.reason
    assert [(one.outcome, one.reason) for one in rest] == [("skipped", "The add-on had stopped answering.")] * 2


async def test_an_add_on_that_ended_does_not_pass_even_if_only_a_should_showed_it():
    report = report_of(await results_when_it_dies(None))
    assert not report.has_passed
    assert report.verdict == "acme stopped answering at kills: the rest could not be checked."


async def test_an_add_on_that_its_supervisor_starts_again_is_checked_on_and_the_crash_is_told():
    first, *rest = await results_when_it_dies(2, wait=5)
    assert (first.outcome, first.ends_the_run) == ("failed", False)
    assert "as if it had crashed and restarted" in first.reason
    assert [one.outcome for one in rest] == ["passed", "passed"]


@pytest.mark.parametrize("error", [httpx2.ConnectError("x"), httpx2.RemoteProtocolError("x")])
async def test_a_connection_that_breaks_in_a_check_is_the_add_ons_failure(error):
    async def breaks(_: Bench) -> None:
        raise error

    async with bench_with() as bench:
        (result,) = await run(bench, [requirement("breaks", breaks)])
    assert result.reason == f"There was no answer ({type(error).__name__})."


class Endless(httpx2.AsyncByteStream):
    """An answer that goes on for as long as somebody reads it."""

    def __init__(self) -> None:
        self.read_bytes_count = 0

    async def __aiter__(self):
        while True:
            self.read_bytes_count += 1_000_000
            yield b"a" * 1_000_000


async def test_an_answer_without_an_end_is_not_read_to_the_end_and_its_evidence_says_so():
    body = Endless()
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, stream=body))
    async with bench_with() as bench:
        wire = Wire(bench.world, transport)
        answer = await wire.ask("GET", bench.base_url, {}, b"", None)
        await wire.aclose()
    assert answer.status is None
    assert body.read_bytes_count < 20_000_000
    assert answer_text(answer.exchange) == "The answer is longer than 10000000 bytes: the rest was not read."


async def test_an_add_on_with_another_password_is_asked_about_it():
    other = MANIFEST | {"api": MANIFEST["api"] | {"password": "another-password-of-some-length"}}
    async with bench_with() as bench:
        manifest = bench.world.portal.manifests[-1]
        bench.world.portal.manifests[-1] = replace(manifest, contents=other)
        bench.world.offer = replace(bench.offer, password="another-password-of-some-length")
        (result,) = await run(bench, [requirement("provisions", Bench.provision)])
    assert result.reason == "The add-on answered 401: is its password that of the manifest, or of ADDON_PASSWORD?"


def test_a_run_in_which_all_was_skipped_claims_nothing():
    skipped = Result(requirement("needs-more", Bench.provision), "skipped", 0, "It needs more.")
    assert report_of([skipped]).verdict == "Nothing was checked: every requirement was skipped."


async def test_a_log_that_is_not_there_is_not_said_to_be_clean(tmp_path):
    async with bench_with() as bench:
        bench.target = replace(bench.target, log_file=str(tmp_path / "missing.log"))
        (result,) = await run(bench, [log_has_no_secrets])
    assert (result.outcome, result.reason) == ("skipped", "The file of --log-file is not there: nothing was read.")


async def test_an_address_from_the_add_on_that_is_none_is_not_the_checkers_failure():
    async with bench_with() as bench:
        answer = await bench.delete("bell\x07")
    assert answer.status is None
    assert "no request can be sent to" in answer_text(answer.exchange)


class Hanging(AddOn):
    """Answers whoever looks at it, and leaves Heroku's three calls unanswered after so many of them."""

    answers = 0

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._correct, self.app = self.app, self._hang
        self._left = self.answers

    async def _hang(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] in {"POST", "PUT", "DELETE"}:
            self._left -= 1
            if self._left < 0:
                await asyncio.Event().wait()
        await self._correct(scope, receive, send)


async def results_when_it_hangs(after: int) -> tuple[list[Result], float]:
    """Run everything, and say how many seconds somebody would have waited."""
    kind = type("HangingLater", (Hanging,), {"answers": after})
    async with bench_with(kind=kind) as bench:
        now = asyncio.get_running_loop().time
        started = now()
        return await run(bench, [one for one in ALL if one.group != "manifest"]), now() - started


@pytest.mark.parametrize("after", [0, 1000])
def test_an_add_on_that_hangs_ends_the_run_after_a_minute_and_is_told_so(after):
    results, seconds = hurried(results_when_it_hangs(after))
    (last,) = [one for one in results if one.ends_the_run]
    assert last.outcome == "failed"
    assert last.reason.endswith("a DELETE of an unknown uuid got no answer for 25 s: the add-on hangs.")
    assert {one.reason for one in results if one.outcome == "skipped"} >= {"The add-on had stopped answering."}
    assert seconds < 90


async def clean_up_of(count: int) -> tuple[list[str], float]:
    async with bench_with(kind=Hanging) as bench:
        now = asyncio.get_running_loop().time
        for _ in range(count):
            bench._made.add(uuid := str(uuid4()))
            bench.journal.add(uuid)
        started = now()
        await bench.clean_up()
        return bench.journal.uuids, now() - started


def test_what_an_add_on_that_hangs_does_not_remove_is_asked_for_at_once_and_stays_in_the_journal():
    left, seconds = hurried(clean_up_of(20))
    assert (len(left), round(seconds)) == (20, 50)
