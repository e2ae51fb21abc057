"""The customer's pages, by a browser's eyes: what they show, to whom, and what their forms may do."""

import hashlib
import re
from http.cookies import SimpleCookie
from uuid import UUID, uuid4

import httpx2
from rig import URL, Rig
from visits import ADA, Browser, install, install_at_heroku, traces, words

from app.resources.lifecycle import record
from app.web.pages import moment


class TestWhatThePageTells:
    async def test_plan_state_region_and_who_is_signed_in(self, key_rig: Rig, browser: Browser):
        uuid = await install(key_rig, name="acme-postgres-shaped-1", region="amazon-web-services::eu-west-1")
        page = await browser.arrive(uuid)
        assert page.status_code == 200
        assert str(page.url) == f"{URL}/dashboard/{uuid}"
        told = words(page)
        assert "acme-postgres-shaped-1 Provisioned and ready Plan test Region Dublin, Ireland Provisioned" in told
        assert f"Signed in by Heroku as {ADA} Sign out" in told
        assert 'curl -H "Authorization: Bearer $ACME_POSTGRES_URL"' in told
        assert "https://dashboard.heroku.com" in page.text

    async def test_an_address_that_heroku_did_not_vouch_for_is_marked(self, key_rig: Rig, browser: Browser):
        page = await browser.arrive(await install(key_rig), is_proven=False)
        assert f"Signed in by Heroku as {ADA} (address not confirmed by Heroku)" in words(page)

    async def test_a_customer_without_an_address_is_just_signed_in(self, key_rig: Rig, browser: Browser):
        page = await browser.arrive(await install(key_rig), email="")
        assert "Signed in by Heroku Sign out" in words(page)
        assert "Signed in to the dashboard a customer" in words(page)

    async def test_the_newest_twenty_events_meant_for_customers_are_listed(self, key_rig: Rig, browser: Browser):
        uuid = await install(key_rig)
        await browser.arrive(uuid)
        async with key_rig.context.database.transaction() as session:
            for number in range(25):
                text = f"happening-{number:02}"
                record(session, UUID(uuid), key_rig.clock(), "tried", ADA, text, is_for_customer=number != 24)
        listed = re.findall(r"happening-(\d\d)", (await browser.see(uuid)).text)
        assert listed == [f"{number:02}" for number in range(23, 3, -1)]

    async def test_query_parameters_from_heroku_are_kept_and_mean_nothing(self, key_rig: Rig, browser: Browser):
        uuid = await install(key_rig)
        page = await browser.arrive(uuid, query="?tab=usage&notice=rotation&x=<b>bold</b>")
        assert page.url.params["tab"] == "usage"
        assert "bold" not in page.text
        assert "The rotation has begun" not in page.text

    async def test_hostile_texts_are_only_texts(self, key_rig: Rig, browser: Browser):
        hostile = "<script>alert(1)</script>\"'>&{{ 7 * 7 }}"
        uuid = await install(key_rig, name=hostile, options={hostile: hostile})
        page = await browser.arrive(uuid, email=f"{hostile}@example.com")
        shown = await browser.send(uuid, "config")
        for answer in (page, shown):
            assert answer.status_code == 200
            assert "<script>" not in answer.text
            assert "\"'>" not in answer.text
            assert f"{hostile} Provisioned and ready" in words(answer)
            assert f"as {hostile}@example.com" in words(answer)
            assert f"Signed in to the dashboard {hostile}@example.com" in words(answer)


class TestProvisioning:
    async def test_a_page_waits_and_becomes_the_dashboard(self, key_rig: Rig, browser: Browser):
        key_rig.simulator.world.create_app("shop")
        uuid = (await key_rig.simulator.calls.provision("shop", "standard")).id
        page = await browser.arrive(uuid)
        assert "is being provisioned" in words(page)
        assert f'<noscript><meta http-equiv="refresh" content="5;url=/dashboard/{uuid}"></noscript>' in page.text
        seen = re.search(r'data-watch="([^"]+)" data-seen="([^"]+)"', page.text)
        assert (await browser.http.get(seen[1])).text == seen[2]

        await key_rig.work()
        assert (await browser.http.get(seen[1])).text != seen[2]
        assert "Provisioned and ready" in words(await browser.see(uuid))

    async def test_neither_values_nor_a_rotation_before_it_is_ready(self, key_rig: Rig, browser: Browser):
        uuid = await install(key_rig, plan="standard")
        await browser.arrive(uuid)
        before = await traces(key_rig, uuid)
        for form in ("config", "rotate", "retire"):
            answer = await browser.send(uuid, form)
            assert answer.status_code == 422
            assert "is being provisioned" in words(answer)
            assert 'role="alert"' in answer.text
        assert await traces(key_rig, uuid) == before

    async def test_a_deprovisioned_resource_is_gone_for_those_who_are_still_there(self, key_rig: Rig, browser: Browser):
        uuid = await install(key_rig)
        await browser.arrive(uuid)
        token = await browser.token(uuid)
        await key_rig.heroku.delete(f"/{uuid}")
        for answer in (await browser.see(uuid), await browser.send(uuid, "config", token)):
            assert answer.status_code == 410
            assert "This add-on is gone" in words(answer)


class TestConfigVars:
    async def test_values_are_absent_until_they_are_shown_and_showing_is_recorded(self, key_rig: Rig, browser: Browser):
        uuid = await install(key_rig)
        (value,) = (await key_rig.config(uuid)).values()
        page = await browser.arrive(uuid)
        assert "ACME_POSTGRES_URL" in page.text
        assert value not in page.text
        assert "config_shown" not in await key_rig.events(uuid)

        shown = await browser.send(uuid, "config")
        assert shown.status_code == 200
        assert shown.headers["Cache-Control"] == "no-store"
        assert value in words(shown)
        assert f"Values of the config vars shown {ADA}" in words(shown)
        assert (await key_rig.events(uuid))[-1] == "config_shown"

        later = await browser.http.get(f"/dashboard/{uuid}/config", follow_redirects=True)
        assert str(later.url) == f"{URL}/dashboard/{uuid}"
        assert value not in later.text

    async def test_the_newest_values_are_shown_while_heroku_waits_for_them(self, key_rig: Rig, browser: Browser):
        uuid = await install(key_rig)
        async with key_rig.context.database.transaction() as session:
            resource = await session.merge(await key_rig.resource(uuid))
            resource.config_version += 1
        assert "Heroku does not have the newest values yet" in words(await browser.arrive(uuid))


class TestRotation:
    async def test_a_rotation_is_told_step_by_step(self, key_rig: Rig, browser: Browser):
        uuid = await install_at_heroku(key_rig)
        page = await browser.arrive(uuid)
        assert "2 hours later the present credentials stop working" in words(page)
        before = await key_rig.config(uuid)

        answer = await browser.send(uuid, "rotate")
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/dashboard/{uuid}")
        page = await browser.see(uuid)
        assert "The rotation has begun." in words(page)
        assert "New credentials are made : now Requested" in words(page)
        assert f"Rotation of the credentials requested {ADA}" in words(page)
        assert "data-watch" in page.text
        assert "The rotation has begun." not in words(await browser.see(uuid))

        key_rig.simulator.faults.add("error", direction="platform")
        await key_rig.work()
        page = await browser.see(uuid)
        assert "Heroku takes the new config vars : now Made" in words(page)
        assert "Retire" not in page.text

        await key_rig.work()
        retire_at = (await key_rig.resource(uuid)).retire_at
        page = await browser.see(uuid)
        assert f"The previous ones work until {moment(retire_at)}" in words(page)
        assert "Rotate now" not in page.text
        assert "data-watch" not in page.text
        assert await key_rig.config(uuid) != before

        answer = await browser.send(uuid, "retire")
        assert answer.status_code == 303
        page = await browser.see(uuid)
        assert "The previous credentials are being retired." in words(page)
        assert "The previous credentials are retired : now" in words(page)
        await key_rig.work()
        page = await browser.see(uuid)
        assert "Rotate now" in page.text
        assert f"Retirement of the previous credentials requested {ADA}" in words(page)
        assert "Previous credentials retired Acme Postgres" in words(page)

    async def test_a_second_click_is_told_what_is_going_on(self, key_rig: Rig, browser: Browser):
        uuid = await install(key_rig)
        await browser.arrive(uuid)
        token = await browser.token(uuid)
        await browser.send(uuid, "rotate", token)
        answer = await browser.send(uuid, "rotate", token)
        assert answer.status_code == 422
        assert "A rotation is still under way." in words(answer)
        assert "New credentials are made : now" in words(answer)
        assert (await key_rig.events(uuid)).count("rotation_requested") == 1

    async def test_without_previous_credentials_there_is_nothing_to_retire(self, key_rig: Rig, browser: Browser):
        uuid = await install(key_rig)
        await browser.arrive(uuid)
        answer = await browser.send(uuid, "retire")
        assert answer.status_code == 422
        assert "There are no previous credentials to retire at the moment." in words(answer)
        assert "retirement_requested" not in await key_rig.events(uuid)

    async def test_a_notice_is_one_of_ours_or_none(self, key_rig: Rig, browser: Browser):
        uuid = await install(key_rig)
        await browser.arrive(uuid)
        headers = {"Cookie": f"{browser.cookie_header()}; notice=You have won"}
        page = await browser.http.get(f"/dashboard/{uuid}", headers=headers)
        assert page.status_code == 200
        assert "You have won" not in page.text


class TestSafety:
    async def _pages(self, rig: Rig, browser: Browser) -> dict[str, httpx2.Response]:
        ready, waiting = await install(rig), await install(rig, plan="standard")
        pages = {
            "dashboard": await browser.arrive(ready),
            "values": await browser.send(ready, "config"),
            "provisioning": await browser.arrive(waiting),
            "nothing there": await browser.http.get("/nothing"),
            "nobody": await browser.http.get(f"/dashboard/{uuid4()}"),
        }
        await browser.send(ready, "rotate")
        pages["rotation"] = await browser.see(ready)
        pages["signed out"] = await browser.send(ready, "sign-out")
        return pages

    async def test_every_page_is_private_and_loads_nothing_from_elsewhere(self, key_rig: Rig, browser: Browser):
        for name, page in (await self._pages(key_rig, browser)).items():
            policy = page.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy, name
            assert "unsafe" not in policy, name
            assert page.headers["Cache-Control"] == "no-store", name
            assert page.headers["X-Frame-Options"] == "DENY", name
            assert "Strict-Transport-Security" not in page.headers, name
            assert not re.search(r"\sstyle=|<style|\son\w+=|<script(?! src=)|javascript:", page.text), name
            assert set(re.findall(r'(?:src|href|action)="(?!/)([^"]*)"', page.text)) <= {
                "#main",
                "https://dashboard.heroku.com",
            }, name

    async def test_pages_are_well_built(self, key_rig: Rig, browser: Browser):
        for name, page in (await self._pages(key_rig, browser)).items():
            ids = re.findall(r'\sid="([^"]+)"', page.text)
            assert len(ids) == len(set(ids)), name
            labels = re.findall(r'(?:aria-labelledby|for|data-copy)="([^"]+)"', page.text)
            assert set(labels) <= set(ids), name
            levels = [int(level) for level in re.findall(r"<h(\d)", page.text)]
            assert levels.count(1) == 1, name
            assert all(after - before <= 1 for before, after in zip([0, *levels], levels, strict=False)), name
            assert '<html lang="en">' in page.text, name

    async def test_styles_and_scripts_are_ours_and_their_addresses_change_with_them(
        self, key_rig: Rig, browser: Browser
    ):
        page = await browser.arrive(await install(key_rig))
        files = set(re.findall(r'"(/static/[^"]+)"', page.text))
        assert {file.partition("?")[0] for file in files} == {
            f"/static/{n}" for n in ("icon.svg", "pages.css", "pages.js")
        }
        for file in files:
            answer = await browser.http.get(file)
            assert answer.status_code == 200
            assert file.endswith(f"?v={hashlib.sha256(answer.content).hexdigest()[:12]}")
            assert "http" not in answer.text.replace("http://www.w3.org/2000/svg", "").replace("plain http", "")

    async def test_over_https_cookies_are_secure_and_browsers_stay_there(self, make_rig):
        url = URL.replace("http:", "https:")
        async with make_rig(public_url=url).running() as rig:
            uuid = await install(rig)
            browser = Browser(rig, url)
            page = await browser.arrive(uuid)
            answer = await browser.send(uuid, "rotate", Origin=url)
            await browser.http.aclose()
        assert page.status_code == 200
        assert "max-age=31536000" in page.headers["Strict-Transport-Security"]
        (cookie,) = SimpleCookie(answer.headers["Set-Cookie"]).values()
        assert (cookie["path"], cookie["secure"], cookie["httponly"]) == (f"/dashboard/{uuid}", True, True)
        assert {cookie.secure for cookie in browser.http.cookies.jar} == {True}
