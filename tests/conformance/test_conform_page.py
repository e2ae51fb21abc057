"""The checker's page inside a simulator: what a developer clicks and reads."""

import asyncio
import json
import re
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import httpx2
from checking import HEROKU_URL, bench_with

from app.conformance import page
from app.conformance.options import Options
from app.conformance.page_run import PageRun
from app.conformance.requirements import ALL

PAGE = "/marketplace/conformance"


@asynccontextmanager
async def page_with(**how):
    """A browser at a simulator that has the page; `run` is what the page drives."""
    async with bench_with(**how) as bench:
        options = Options(Path("addon-manifest.json"))
        run = PageRun(bench.simulator, bench.target, options, bench.transport)
        bench.simulator.add_section(page.section(run))
        transport = httpx2.ASGITransport(bench.simulator.app)
        async with httpx2.AsyncClient(transport=transport, base_url=HEROKU_URL) as browser:
            yield SimpleNamespace(browser=browser, run=run, world=bench.world)


async def check(here, **fields: str) -> str:
    answer = await here.browser.post(PAGE, data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
    await here.run.wait()
    return (await here.browser.get(PAGE)).text


async def test_before_the_first_run_it_says_what_to_do():
    async with page_with() as here:
        text = (await here.browser.get(PAGE)).text
        assert "Nothing was checked yet." in text
        assert f'<a href="{PAGE}" aria-current="page">Conformance</a>' in text
        assert (await here.browser.get(f"{PAGE}/report.json")).status_code == 404


async def test_a_simulator_without_the_checker_has_no_entry_for_it():
    async with bench_with() as bench:
        transport = httpx2.ASGITransport(bench.simulator.app)
        async with httpx2.AsyncClient(transport=transport, base_url=HEROKU_URL) as browser:
            assert "Conformance" not in (await browser.get("/marketplace")).text
            assert (await browser.get(PAGE)).status_code == 404


async def test_a_group_is_checked_and_its_results_are_shown():
    async with page_with() as here:
        text = await check(here, what="authentication")
        assert "wrong-password-is-refused" in text
        assert "provision-works" not in text
        assert f"{len(here.run.results)} passed, 0 failed, 0 skipped" in text
        assert {one.outcome for one in here.run.results} == {"passed"}


async def test_what_failed_is_shown_with_evidence_and_without_secrets():
    async with page_with() as here:
        # The password that the simulator sends is not the add-on's any more: nothing can be provisioned.
        here.world.offer = type(here.world.offer)(**{**vars(here.world.offer), "password": "a-secret-nobody-knows"})
        text = await check(here, what="provision-works")
        assert '<span class="badge bad">failed</span>' in text
        assert '<a href="#provision-works">provision-works</a>' in text
        assert "What went over the wire" in text
        assert "a-secret-nobody-knows" not in text
        assert "Check what failed again" in text


async def test_a_result_stays_until_it_is_checked_again():
    async with page_with() as here:
        await check(here, what="provision-works")
        first = here.run.results[0]
        await check(here, what="wrong-password-is-refused")
        assert first in here.run.results
        await check(here, what="provision-works")
        assert first not in here.run.results
        assert len(here.run.results) == 2


async def test_only_the_musts_when_only_they_are_asked_for():
    async with page_with() as here:
        await check(here, what="provision-*", level="must")
        assert {one.requirement.level for one in here.run.results} == {"MUST"}


async def test_a_run_leaves_no_app_no_resource_and_no_other_time():
    async with page_with() as here:
        apps = set(here.world.apps)
        await check(here, what="provision")
        assert set(here.world.apps) == apps
        assert list(here.world.installed()) == []
        assert not here.world.clock_offset


async def test_while_it_runs_the_page_says_how_far_it_is_and_can_stop_it():
    async with page_with() as here:
        await here.browser.post(PAGE, data={})
        live = (await here.browser.get(f"{PAGE}?live")).text
        assert re.search(r"\d+ of \d+ checked", live)
        assert f'action="{PAGE}/stop"' in live
        await here.browser.post(PAGE, data={"what": "sso"})  # one run at a time
        assert len(here.run.chosen) == len(ALL)
        while not here.world.addons:
            await asyncio.sleep(0)
        await here.browser.post(f"{PAGE}/stop", data={})
        await here.run.wait()
        assert not here.run.is_complete
        assert list(here.world.installed()) == []


async def test_reports_can_be_taken_away_in_every_format():
    async with page_with() as here:
        await check(here, what="authentication")
        got = {
            ending: await here.browser.get(f"{PAGE}/report.{ending}")
            for ending in ("json", "xml", "sarif", "md", "txt")
        }
        assert all(one.status_code == 200 for one in got.values())
        assert json.loads(got["json"].content)["addon"] == "acme-keys"
        assert json.loads(got["sarif"].content)["version"] == "2.1.0"
        assert ET.fromstring(got["xml"].content).tag == "testsuites"
        assert got["md"].text.startswith("## ✅")
        assert "acme-keys meets every" in got["txt"].text
        assert 'filename="conformance-acme-keys.json"' in got["json"].headers["content-disposition"]
        assert (await here.browser.get(f"{PAGE}/report.exe")).status_code == 404


async def test_an_unknown_group_is_a_page_that_says_so():
    async with page_with() as here:
        answer = await here.browser.post(PAGE, data={"what": "nonsense"})
        assert answer.status_code == 404
        assert "<html" in answer.text
        assert not here.run.is_running


async def test_a_foreign_page_cannot_start_a_run():
    async with page_with() as here:
        answer = await here.browser.post(PAGE, data={}, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
        assert not here.run.is_running
