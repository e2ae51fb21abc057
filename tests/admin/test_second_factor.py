"""The second factor: turned on with a code, asked for at every sign-in, each code once; and when the phone is lost."""

import asyncio
import re
from uuid import UUID

import httpx2
import pyotp
import pytest
from panel import MACHINE, PASSWORD, Panel
from rig import Rig, new_settings
from sqlalchemy import select, text

from app.encryption import WrongKeyError
from app.operations.reencrypt import reencrypt
from app.operators import accounts, attempts, second_factor, sessions
from app.operators.models import Operator
from app.operators.roles import Role
from app.operators.signing_in import WRONG_CODE
from app.resources.traces import Event

PAGE = "/admin/account/second-factor"
NEW_KEY = "bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm4="


async def operator_of(panel: Panel) -> Operator:
    async with panel.rig.context.database.transaction() as session:
        return await accounts.find(session, panel.email)


def key_in(page: httpx2.Response) -> pyotp.TOTP:
    found = re.search(r'class="key">([A-Z2-7 ]+)<', page.text)
    return pyotp.TOTP(found[1].replace(" ", ""))


async def turn_on(panel: Panel) -> tuple[pyotp.TOTP, list[str]]:
    """The authenticator app, and the recovery codes."""
    key = key_in(await panel.post(PAGE, f"{PAGE}/prepare"))
    shown = await panel.post(PAGE, f"{PAGE}/confirm", code=key.at(panel.rig.clock()))
    codes = re.findall(r"<li><code>([a-z2-7-]+)</code>", shown.text)
    assert len(codes) == second_factor.RECOVERY_CODES, shown.text
    panel.rig.clock.forward(minutes=1)  # the code that proved it is spent
    return key, codes


async def second_step(panel: Panel, code: str) -> httpx2.Response:
    page = await panel.sign_in()
    step = re.search(r'name="step" value="([^"]+)"', page.text)
    return await panel.http.post("/admin/sign-in/code", data={"step": step[1], "code": code, "next": "/admin/account"})


def is_in(answer: httpx2.Response) -> bool:
    return answer.url.path == "/admin/account"


@pytest.fixture
async def panel(panel_of) -> Panel:
    return await panel_of(Role.OWNER)


class TestTurningOn:
    async def test_a_code_proves_that_the_app_has_the_key(self, panel: Panel):
        page = await panel.post(PAGE, f"{PAGE}/prepare")
        key = key_in(page)
        assert "<svg" in page.text
        assert "style=" not in page.text
        wrong = await panel.post(
            PAGE, f"{PAGE}/confirm", code="000000" if key.at(panel.rig.clock()) != "000000" else "1"
        )
        assert wrong.status_code == 422
        assert key_in(wrong).secret == key.secret
        assert (await operator_of(panel)).totp_confirmed_at is None
        right = await panel.post(PAGE, f"{PAGE}/confirm", code=key.at(panel.rig.clock()))
        assert "shown only now" in right.text
        assert "no-store" in right.headers["cache-control"]
        assert key.secret not in (await panel.http.get(PAGE)).text

    async def test_looking_at_the_page_makes_up_nothing(self, panel: Panel):
        await panel.http.get(PAGE)
        assert (await operator_of(panel)).totp_secret_sealed is None

    async def test_until_it_is_proved_the_password_alone_does(self, panel: Panel):
        await panel.post(PAGE, f"{PAGE}/prepare")
        assert (await panel.sign_in()).url.path == "/admin"

    async def test_one_that_is_on_cannot_be_replaced_unproved(self, panel: Panel):
        await turn_on(panel)
        before = (await operator_of(panel)).totp_secret_sealed
        refused = await panel.post(PAGE, f"{PAGE}/prepare")
        assert refused.status_code == 422
        again = await panel.post(PAGE, f"{PAGE}/confirm", code="123456")
        assert "nothing to confirm" in again.text
        assert (await operator_of(panel)).totp_secret_sealed == before

    async def test_neither_key_nor_codes_are_in_clear_in_the_database(self, panel: Panel):
        key, codes = await turn_on(panel)
        async with panel.rig.context.database.transaction() as session:
            row = (await session.scalars(text("SELECT operators::text FROM operators"))).one()
        for secret in (key.secret, *codes, *(code.replace("-", "") for code in codes)):
            assert secret not in row
            assert secret.encode().hex() not in row

    async def test_every_step_is_in_the_history(self, panel: Panel):
        _, codes = await turn_on(panel)
        await second_step(panel, codes[0])
        await panel.post(PAGE, f"{PAGE}/recovery-codes", proof=PASSWORD)
        await panel.post(PAGE, f"{PAGE}/turn-off", proof=PASSWORD)
        async with panel.rig.context.database.transaction() as session:
            query = select(Event.text).where(Event.kind.like("second_factor%") | Event.kind.like("recovery%"))
            told = (await session.scalars(query.order_by(Event.id))).all()
        assert told == [
            "Second factor of owner@acme.example turned on",
            "Recovery code of owner@acme.example used; 9 left",
            "Recovery codes of owner@acme.example made anew",
            "Second factor of owner@acme.example turned off",
        ]


class TestSigningIn:
    async def test_the_password_alone_opens_nothing(self, panel: Panel):
        await turn_on(panel)
        panel.http.cookies.clear()
        page = await panel.sign_in()
        assert page.status_code == 200
        assert 'autocomplete="one-time-code"' in page.text
        assert "operator" not in panel.http.cookies
        assert (await panel.http.get("/admin/account")).url.path == "/admin/sign-in"

    async def test_a_code_does_and_leads_on(self, panel: Panel):
        key, _ = await turn_on(panel)
        assert is_in(await second_step(panel, key.at(panel.rig.clock())))
        newest = (await sessions.alive(panel.rig.context, (await operator_of(panel)).id))[0]
        assert newest.method == sessions.Method.PASSWORD_AND_CODE

    @pytest.mark.parametrize(("seconds", "is_taken"), [(-61, False), (-30, True), (0, True), (30, True), (61, False)])
    async def test_clocks_may_differ_by_one_step(self, panel: Panel, seconds: int, is_taken):
        key, _ = await turn_on(panel)
        now = int(panel.rig.clock().timestamp())
        panel.rig.clock.forward(seconds=600 - now % 30)  # at the beginning of a step
        code = key.at(int(panel.rig.clock().timestamp()) + seconds)
        assert is_in(await second_step(panel, code)) is is_taken

    async def test_each_code_works_once_also_when_sent_twice_at_once(self, panel: Panel):
        key, _ = await turn_on(panel)
        code, operator = key.at(panel.rig.clock()), await operator_of(panel)
        spent = await asyncio.gather(*(second_factor.spend(panel.rig.context, operator.id, code) for _ in range(5)))
        assert sorted(spent) == [False] * 4 + [True]
        refused = await second_step(panel, code)
        assert refused.status_code == 422
        assert WRONG_CODE in refused.text

    async def test_after_a_code_no_older_one_works(self, panel: Panel):
        key, _ = await turn_on(panel)
        older, newer = key.at(panel.rig.clock()), key.at(panel.rig.clock(), counter_offset=1)
        assert is_in(await second_step(panel, newer))
        assert not is_in(await second_step(panel, older))

    async def test_a_recovery_code_works_once_however_it_is_typed(self, panel: Panel):
        _, codes = await turn_on(panel)
        typed = f" {codes[3].upper().replace('-', ' ')} "
        assert is_in(await second_step(panel, typed))
        assert not is_in(await second_step(panel, codes[3]))
        assert is_in(await second_step(panel, codes[4]))
        assert "with 8 recovery codes left" in (await panel.http.get("/admin/account")).text

    @pytest.mark.parametrize(
        "code", ["", "0", "12345", "1234567", "abcdef", "\N{FULLWIDTH DIGIT ONE}23456", "-", "x" * 3000, "\0"]
    )
    async def test_nonsense_is_no_code(self, panel: Panel, code: str):
        await turn_on(panel)
        assert (await second_step(panel, code)).status_code == 422

    async def test_guessing_codes_is_limited_as_guessing_passwords_is(self, panel: Panel):
        key, _ = await turn_on(panel)
        page = await panel.sign_in()
        step = re.search(r'name="step" value="([^"]+)"', page.text)[1]
        answers = await asyncio.gather(
            *(panel.http.post("/admin/sign-in/code", data={"step": step, "code": f"{i:06}"}) for i in range(100))
        )
        assert sum(WRONG_CODE in answer.text for answer in answers) < attempts.MOST_FOR_ACCOUNT
        right = await panel.http.post("/admin/sign-in/code", data={"step": step, "code": key.at(panel.rig.clock())})
        assert "too many failed sign-ins" in right.text

    async def test_the_step_is_nobody_elses_invention_and_ends_after_five_minutes(self, panel: Panel, monkeypatch):
        key, _ = await turn_on(panel)
        operator = await operator_of(panel)
        signers = panel.rig.app.state
        page = await panel.sign_in()
        old = re.search(r'name="step" value="([^"]+)"', page.text)[1]
        for step in ("", "nonsense", str(operator.id), signers.operator_form_signer.sign(str(operator.id))):
            answer = await panel.http.post(
                "/admin/sign-in/code", data={"step": step, "code": key.at(panel.rig.clock())}
            )
            assert "That took too long" in answer.text
        now = panel.rig.clock().timestamp()
        monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + 400)
        late = await panel.http.post("/admin/sign-in/code", data={"step": old, "code": key.at(panel.rig.clock())})
        assert "That took too long" in late.text

    async def test_who_was_disabled_between_the_steps_does_not_get_in(self, panel: Panel):
        key, _ = await turn_on(panel)
        page = await panel.sign_in()
        step = re.search(r'name="step" value="([^"]+)"', page.text)[1]
        other = await accounts.add(
            panel.rig.context, MACHINE, email="b@acme.example", name="", role=Role.OWNER, password=None
        )
        assert other.role is Role.OWNER
        await accounts.disable(panel.rig.context, MACHINE, (await operator_of(panel)).id)
        answer = await panel.http.post("/admin/sign-in/code", data={"step": step, "code": key.at(panel.rig.clock())})
        assert answer.status_code == 422

    async def test_another_site_cannot_send_the_second_step(self, panel: Panel):
        await turn_on(panel)
        answer = await panel.http.post(
            "/admin/sign-in/code", data={"step": "x", "code": "1"}, headers={"Sec-Fetch-Site": "cross-site"}
        )
        assert answer.status_code == 403


class TestTurningOff:
    @pytest.mark.parametrize("proof", ["", "wrong", "000000"])
    async def test_it_takes_the_password_or_a_code(self, panel: Panel, proof: str):
        await turn_on(panel)
        for what in ("turn-off", "recovery-codes"):
            assert (await panel.post(PAGE, f"{PAGE}/{what}", proof=proof)).status_code == 422
        assert (await operator_of(panel)).totp_confirmed_at is not None

    @pytest.mark.parametrize("with_code", [True, False])
    async def test_then_the_password_alone_does(self, panel: Panel, with_code):
        key, _ = await turn_on(panel)
        proof = key.at(panel.rig.clock()) if with_code else PASSWORD
        assert is_in(await panel.post(PAGE, f"{PAGE}/turn-off", proof=proof))
        assert (await panel.sign_in()).url.path == "/admin"

    async def test_guesses_at_the_proof_are_limited(self, panel: Panel):
        await turn_on(panel)
        for _ in range(attempts.MOST_FOR_ACCOUNT):
            await panel.post(PAGE, f"{PAGE}/turn-off", proof="wrong")
        refused = await panel.post(PAGE, f"{PAGE}/turn-off", proof=PASSWORD)
        assert "too many failed sign-ins" in refused.text

    async def test_new_recovery_codes_replace_the_old_ones(self, panel: Panel):
        _, old = await turn_on(panel)
        shown = await panel.post(PAGE, f"{PAGE}/recovery-codes", proof=PASSWORD)
        new = re.findall(r"<li><code>([a-z2-7-]+)</code>", shown.text)
        assert not set(old) & set(new)
        assert not is_in(await second_step(panel, old[0]))
        assert is_in(await second_step(panel, new[0]))

    async def test_an_owner_resets_anothers(self, panel: Panel, panel_of):
        viewer = await panel_of(Role.VIEWER)
        await turn_on(viewer)
        page = f"/admin/operators/{(await operator_of(viewer)).id}"
        await panel.post(page, f"{page}/second-factor")
        assert (await viewer.sign_in()).url.path == "/admin"
        assert (await operator_of(viewer)).recovery_digests == []

    async def test_not_even_an_owner_turns_their_own_off_without_a_proof(self, panel: Panel):
        await turn_on(panel)
        page = f"/admin/operators/{(await operator_of(panel)).id}"
        for what in ("second-factor", "password"):
            refused = await panel.post(page, f"{page}/{what}")
            assert refused.status_code == 422
            assert "on the page of your account" in refused.text
        assert (await operator_of(panel)).totp_confirmed_at is not None


class TestWhereEverybodyNeedsOne:
    async def test_who_has_none_sets_it_up_before_seeing_anything(self, make_rig):
        async with make_rig(operators_need_totp="true").running() as rig:
            await accounts.add(
                rig.context, MACHINE, email="a@acme.example", name="", role=Role.OWNER, password=PASSWORD
            )
            panel = Panel(rig, "a@acme.example")
            await panel.sign_in()
            assert (await panel.http.get("/admin/operators")).url.path == PAGE
            sent = await panel.post(PAGE, "/admin/operators", email="b@acme.example", role="owner")
            assert sent.url.path == PAGE
            assert len(await accounts.everybody(rig.context)) == 1
            shown = await panel.http.get(PAGE)
            assert 'aria-label="Panel"' not in shown.text
            await turn_on(panel)
            assert (await panel.http.get("/admin/operators")).url.path == "/admin/operators"
            assert (await panel.post("/admin/account", "/admin/sign-out")).url.path == "/admin/sign-in"
            await panel.http.aclose()


class TestAtRest:
    async def test_the_key_is_sealed_anew_with_everything_else(self, database_url: str, panel: Panel):
        key, _ = await turn_on(panel)
        operator = await operator_of(panel)
        old = panel.rig.settings.encryption_keys[0].get_secret_value()
        async with Rig(new_settings(database_url, encryption_keys=f"{NEW_KEY},{old}")).running() as rig:
            assert [batch async for batch in reencrypt(rig.context)] == [(1, 1)]
            assert [batch async for batch in reencrypt(rig.context)] == [(1, 0)]
        async with Rig(new_settings(database_url, encryption_keys=NEW_KEY)).running() as rig:
            rig.clock.now = panel.rig.clock()
            assert await second_factor.spend(rig.context, operator.id, key.at(panel.rig.clock()))

    async def test_a_key_that_was_copied_to_another_account_does_not_open(self, panel: Panel, panel_of):
        viewer = await panel_of(Role.VIEWER)
        await turn_on(panel)
        await turn_on(viewer)
        stolen = (await operator_of(viewer)).totp_secret_sealed
        async with panel.rig.context.database.transaction() as session:
            operator = await session.get_one(Operator, UUID(str((await operator_of(panel)).id)))
            operator.totp_secret_sealed = stolen
        with pytest.raises(WrongKeyError):
            await second_factor.spend(panel.rig.context, operator.id, "123456")
