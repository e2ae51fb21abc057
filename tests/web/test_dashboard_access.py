"""Who gets to see a dashboard, for how long, and whose forms count."""

from uuid import UUID, uuid4

from rig import URL, Rig
from visits import Browser, install, traces, words

FORMS = ("config", "rotate", "retire", "sign-out")


FROM_ELSEWHERE = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": f"{URL}.evil.example"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Origin": URL, "Sec_Fetch_Site": "cross-site"},
)


class TestForms:
    async def test_a_form_without_this_sessions_token_is_refused_and_changes_nothing(self, key_rig: Rig, new_browser):
        uuid, other = await install(key_rig), await install(key_rig)
        ada, grace = new_browser(), new_browser()
        await ada.arrive(uuid)
        await ada.arrive(other)
        await grace.arrive(uuid, "grace@example.com")
        token, signers = await ada.token(uuid), key_rig.app.state
        tokens = {
            "missing": "",
            "forged": "x.y.z",
            "cut": token[:-1],
            "a colleague's": await grace.token(uuid),
            "her own for another resource": await ada.token(other),
            "signed for another purpose": signers.session_signer.sign(signers.form_signer.value(token)),
        }
        before = await traces(key_rig, uuid)
        for form in FORMS:
            answers = {what: await ada.send(uuid, form, bad) for what, bad in tokens.items()}
            assert {what: answer.status_code for what, answer in answers.items()} == dict.fromkeys(tokens, 403), form
            assert len({answer.text.partition("<code>")[0] for answer in answers.values()}) == 1
        assert await traces(key_rig, uuid) == before

    async def test_a_form_of_very_many_fields_is_refused(self, key_rig: Rig, browser: Browser):
        uuid = await install(key_rig)
        await browser.arrive(uuid)
        fields = {"form_token": await browser.token(uuid)} | {f"field{number}": "1" for number in range(50)}
        before = await traces(key_rig, uuid)
        for form in FORMS:
            assert (await browser.http.post(f"/dashboard/{uuid}/{form}", data=fields)).status_code == 403
        assert await traces(key_rig, uuid) == before

    async def test_another_sites_form_is_refused_even_with_the_token(self, key_rig: Rig, browser: Browser):
        uuid = await install(key_rig)
        await browser.arrive(uuid)
        token = await browser.token(uuid)
        before = await traces(key_rig, uuid)
        for form in FORMS:
            for headers in FROM_ELSEWHERE:
                assert (await browser.send(uuid, form, token, **headers)).status_code == 403, (form, headers)
        assert await traces(key_rig, uuid) == before

    async def test_our_own_form_passes_as_browsers_send_it(self, key_rig: Rig, browser: Browser):
        uuid = await install(key_rig)
        page = await browser.arrive(uuid)
        # With "no-referrer" a browser would say `Origin: null`, which passes for nothing.
        assert page.headers["Referrer-Policy"] == "same-origin"
        answer = await browser.send(uuid, "rotate", Origin=URL, Sec_Fetch_Site="same-origin")
        assert answer.status_code == 303

    async def test_nothing_changes_on_get(self, key_rig: Rig, browser: Browser):
        uuid = await install(key_rig)
        await browser.arrive(uuid)
        token = await browser.token(uuid)
        before = await traces(key_rig, uuid)
        for form in FORMS:
            answer = await browser.http.get(f"/dashboard/{uuid}/{form}", params={"form_token": token})
            assert (answer.status_code, answer.headers["Location"]) == (303, f"/dashboard/{uuid}")
        assert await traces(key_rig, uuid) == before


class TestSessions:
    async def test_nobody_sees_a_dashboard_without_a_session(self, key_rig: Rig, browser: Browser):
        uuid = await install(key_rig)
        for address in (uuid, f"{uuid}/progress", f"{uuid}/config", str(uuid4()), "no-uuid", "%00"):
            answer = await browser.http.get(f"/dashboard/{address}")
            assert answer.status_code == 403
            assert "Please come in through Heroku" in words(answer)

    async def test_a_session_for_one_resource_opens_no_other(self, key_rig: Rig, new_browser):
        mine, theirs = await install(key_rig), await install(key_rig)
        ada, thief = new_browser(), new_browser()
        await ada.arrive(mine)
        await ada.arrive(theirs)
        cookie = ada.http.cookies[f"customer-{UUID(mine).hex[:12]}"]
        for name in (UUID(mine).hex[:12], UUID(theirs).hex[:12]):
            stolen = {"Cookie": f"customer-{name}={cookie}"}
            assert (await thief.http.get(f"/dashboard/{theirs}", headers=stolen)).status_code == 403
        assert (await thief.http.get(f"/dashboard/{mine}", headers=stolen)).status_code == 403

    async def test_two_resources_in_one_browser_do_not_mix(self, key_rig: Rig, browser: Browser):
        first, second = await install(key_rig, name="first-one"), await install(key_rig, name="second-one")
        await browser.arrive(first, "first@example.com")
        await browser.arrive(second, "second@example.com")
        assert "first-one Provisioned" in words(await browser.see(first))
        assert "Signed in by Heroku as first@example.com" in words(await browser.see(first))
        assert "Signed in by Heroku as second@example.com" in words(await browser.see(second))

        assert (await browser.send(first, "sign-out")).status_code == 200
        assert (await browser.see(first)).status_code == 403
        assert (await browser.see(second)).status_code == 200

    async def test_signing_out_ends_every_copy_of_the_cookie(self, key_rig: Rig, new_browser):
        uuid = await install(key_rig)
        ada, thief, grace = new_browser(), new_browser(), new_browser()
        await ada.arrive(uuid)
        await grace.arrive(uuid, "grace@example.com")
        token, copied = await ada.token(uuid), {"Cookie": ada.cookie_header()}
        assert (await thief.http.get(f"/dashboard/{uuid}", headers=copied)).status_code == 200

        answer = await ada.send(uuid, "sign-out")
        assert "You are signed out" in words(answer)
        assert "https://dashboard.heroku.com" in answer.text
        assert f"customer-{UUID(uuid).hex[:12]}" not in ada.http.cookies
        assert (await key_rig.events(uuid))[-1] == "signed_out"
        assert (await thief.http.get(f"/dashboard/{uuid}", headers=copied)).status_code == 403
        rotate = await thief.http.post(f"/dashboard/{uuid}/rotate", headers=copied, data={"form_token": token})
        assert rotate.status_code == 403
        assert (await grace.see(uuid)).status_code == 200

    async def test_a_session_is_over_after_ninety_minutes(self, key_rig: Rig, browser: Browser):
        uuid = await install(key_rig)
        await browser.arrive(uuid)
        token = await browser.token(uuid)
        key_rig.clock.forward(minutes=89, seconds=59)
        assert (await browser.see(uuid)).status_code == 200
        key_rig.clock.forward(seconds=1)
        assert (await browser.see(uuid)).status_code == 403
        assert (await browser.send(uuid, "rotate", token)).status_code == 403
        assert (await key_rig.resource(uuid)).rotation_requested_at is None
